"""Files and folders that are on the disk whole or not at all, and survive a crash.

Everything is written under a temporary name, `.unfinished-...`, and renamed once all of
it is on the disk; to delete, it is renamed back first. So a killed process or a power
cut leaves either the old content or the new, and perhaps something unfinished, which
`tidy` deletes. Temporary names are random, so that no planted link is followed.

    with unfinished(folder) as place:
        place.write_bytes(content)
        commit(place, folder / "name")
"""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".unfinished-"


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents, and waits until they are on the disk."""
    missing = _missing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        _sync(path.parent)


@contextmanager
def folder_if_used(folder: Path) -> Iterator[None]:
    """Makes a folder and its parents; new ones still empty at the end are removed."""
    missing = _missing(folder)
    try:
        make_folder(folder)
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file, replacing the old one if there is one."""
    with unfinished(path.parent) as place:
        with place.open("xb") as file:
            file.write(content)
        commit(place, path)


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """Yields a temporary name in a folder; what still has it at the end is deleted."""
    place = folder / f"{UNFINISHED}{secrets.token_hex(8)}"
    try:
        yield place
    finally:
        _delete(place)


def commit(place: Path, path: Path) -> None:
    """Renames a finished file or folder once all of it is on the disk.

    A file or an empty folder at `path` is replaced.
    """
    for part in (*place.rglob("*"), place):
        _sync(part)
    os.replace(place, path)
    _sync(path.parent)


def remove(path: Path) -> None:
    """Deletes a file, link or folder; its name is free at once."""
    with unfinished(path.parent) as place:
        os.replace(path, place)


def tidy(folder: Path) -> None:
    """Deletes what killed processes left unfinished; no other may be running."""
    for path in folder.glob(f"{UNFINISHED}*"):
        _delete(path)


def _missing(folder: Path) -> list[Path]:
    """Returns the folders still to be made, innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Waits until a file, or the list of a folder's names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems can't sync a folder.
        if error.errno != errno.EINVAL or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
