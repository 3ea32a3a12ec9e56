"""How much memory there is, and one line where something needs more."""

import os
from pathlib import Path

# What a container may have; the first is that of today's kernels.
LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def there_is() -> int:
    """Returns the bytes of memory of this machine, or of its container."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([installed, *filter(None, map(_limit, LIMITS))])


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def in_words(count: int | float) -> str:
    """Returns a number of bytes in the unit that people would choose."""
    power = 0
    while count >= 1024 and power < len(UNITS) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.3g} {UNITS[power]}"
