"""One run at a time writes to a folder: a lock that dies with its process.

The kernel (on NFS, the server) holds it with flock and releases it however the process
ends, be it by SIGKILL or a power failure. The file `.lock` names the process and is
deleted when the run ends. On a file system without locks the run says so and goes on
unprotected.
"""

import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.common import records
from experiments.common.errors import ConfigError
from lstm_jax.training import disk

LOCK = ".lock"
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Makes a folder, locks it, and finishes what killed runs left unfinished.

    Raises:
      ConfigError: another run holds the lock.
      OSError: the folder can't be made or written to.
    """
    disk.make_folder(out)
    file = _held(out)
    try:
        disk.tidy(out)
        records.settle(out)
        yield
    finally:
        # Before the release: the next run must not open a file about to be deleted.
        (out / LOCK).unlink(missing_ok=True)
        os.close(file)


def _held(out: Path) -> int:
    """Returns the open file that holds the lock of a folder."""
    path = out / LOCK
    while True:
        file = _opened(path)
        try:
            _lock(file, out)
        except BaseException:
            os.close(file)
            raise
        if _is_at(path, file):
            os.ftruncate(file, 0)
            os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return file
        os.close(file)  # the previous run has deleted it meanwhile


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise ConfigError(
            f"out: can't write {str(path)!r} ({error.strerror}); it must be a file "
            "that can be made, and not a link"
        ) from error


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _lock(file: int, out: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        who = ascii(os.read(file, 200).decode(errors="replace"))[1:-1]
        raise ConfigError(
            f"out: got {str(out)!r}, where {who or 'another run'} is at work; it must "
            "be a folder to which no other run writes"
        ) from error
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        print(
            f"{out} is on a file system without locks: nothing keeps another run from "
            "writing there",
            file=sys.stderr,
        )
