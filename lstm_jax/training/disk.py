"""Files and folders that are there whole or not at all, and stay.

What is written stands under a name of its own, `.unfinished-...`, until all of it is on
the disk; then one rename gives it its place. What is deleted takes the same way back.
A process that is killed, or a machine that loses its power, so leaves the former
content or the new one, and perhaps something unfinished, which `tidy` deletes. Names
are drawn at random and made anew, so that no link that lies there is followed.

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
    """Makes a folder and those above it; an empty one that is lost is lost for good."""
    missing = _missing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        _sync(path.parent)


@contextmanager
def folder_if_used(folder: Path) -> Iterator[None]:
    """Makes a folder and those above; the new ones that stay empty go at the end."""
    missing = _missing(folder)
    try:
        make_folder(folder)
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file, in place of the former one if there is one."""
    with unfinished(path.parent) as place:
        with place.open("xb") as file:
            file.write(content)
        commit(place, path)


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """Yields a new name in a folder; what still has it at the end is deleted."""
    place = folder / f"{UNFINISHED}{secrets.token_hex(8)}"
    try:
        yield place
    finally:
        _delete(place)


def commit(place: Path, path: Path) -> None:
    """Gives a file or folder its name, once all of it is on the disk.

    Args:
      place: what is finished.
      path: its name from now on; a file or an empty folder there is replaced.
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
    """Deletes what killed processes left unfinished; no other one may be at work."""
    for path in folder.glob(f"{UNFINISHED}*"):
        _delete(path)


def _missing(folder: Path) -> list[Path]:
    """Returns the folders that are to be made, the innermost first."""
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
        # Some network file systems have no such list to write.
        if error.errno != errno.EINVAL or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
