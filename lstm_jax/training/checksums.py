"""SHA256SUMS of a folder, so that damaged files are noticed before they are read.

A shell can check it too: `sha256sum --check SHA256SUMS`.
"""

import hashlib
from pathlib import Path

SUMS = "SHA256SUMS"


def write(place: Path) -> None:
    """Lists every file below a folder in its SHA256SUMS."""
    names = sorted(
        p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()
    )
    lines = [f"{_digest(place / name)}  {name}" for name in names]
    text = "".join(f"{line}\n" for line in [*lines, _count(lines)])
    (place / SUMS).write_text(text, encoding="ascii")


def hold(place: Path) -> bool:
    """Whether there are files below a folder and all are as they were written."""
    try:
        *lines, last = (place / SUMS).read_text(encoding="ascii").splitlines()
        sums = [line.partition("  ")[::2] for line in lines]
        return last == _count(lines) != _count([]) and all(
            _digest(place / name) == digest for digest, name in sums
        )
    except (OSError, ValueError):
        return False


def _count(lines: list[str]) -> str:
    """Returns the last line, which shows that no line is missing."""
    return f"# {len(lines)} files"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
