"""How much memory there is, and one clear line when more is needed."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from experiments.common.cli import ConfigError

# The limit of a container under cgroups v2, then v1.
LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def there_is() -> int:
    """Returns the bytes of memory of this machine, or of its container."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([installed, *filter(None, map(_limit, LIMITS))])


def of_devices() -> int:
    """Returns the bytes of memory of JAX's devices, over all processes."""
    known = [device.memory_stats() for device in jax.local_devices()]
    limits = [stats["bytes_limit"] for stats in known if stats]
    return (sum(limits) or there_is()) * jax.process_count()


def check(
    sizes: Mapping[str, Any],
    arrays: Iterable[Sequence[str | int]],
    itemsize: int = 4,
) -> None:
    """Refuses an array that does not fit into memory, before anything is allocated.

    XLA aborts the process when an allocation it relied on fails.

    Args:
      sizes: by the name of the flag.
      arrays: the lengths of each array's axes, as names of flags or as numbers.
      itemsize: bytes per entry.

    Raises:
      ConfigError: the largest array is larger than the memory.
    """

    def size(axes: Sequence[str | int]) -> int:
        counts = (sizes[axis] if isinstance(axis, str) else axis for axis in axes)
        return itemsize * math.prod(counts)

    largest, most = max(arrays, key=size), of_devices()
    if size(largest) <= most:
        return
    names = list(dict.fromkeys(axis for axis in largest if isinstance(axis, str)))
    values = ", ".join(str(sizes[name]) for name in names)
    raise ConfigError(
        f"{', '.join(names)}: got {values}, an array of {in_words(size(largest))}; it "
        f"must fit into the memory, {in_words(most)}"
    )


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def in_words(count: int | float) -> str:
    """Returns a number of bytes in the largest unit that leaves it at least 1."""
    power = 0
    while count >= 1024 and power < len(UNITS) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.3g} {UNITS[power]}"
