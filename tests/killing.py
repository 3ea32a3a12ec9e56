"""What is on the disk before each operation on files, and processes that die there.

    python tests/killing.py FOLDER KEEP 7 8 ...

trains once for each number, under FOLDER/7, FOLDER/8, ..., and dies by SIGKILL before
the 7th, 8th, ... operation on files there, of those that Python makes; what TensorStore
writes lies between two of them. Beyond the last one a run ends. Says what became of
each.
"""

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure

from experiments import train
from experiments.common import records
from experiments.train import Config

EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
WRITES = os.O_WRONLY | os.O_RDWR


def small(keep):
    """A run of three checkpoints, and of nothing that takes time."""
    return Config(
        task="adding",
        cell="rnn",
        hidden_size=2,
        length=4,
        batch_size=2,
        num_steps=30,
        log_interval=7,
        checkpoint_interval=10,
        keep_checkpoints=keep,
        test_size=5,
    )


@contextmanager
def heard(folder, call):
    """Calls before every operation that changes files or folders there."""
    hearing, sync = True, os.fsync

    def hear(event, arguments):
        nonlocal hearing
        if not hearing:  # a hook stays for ever
            return
        changes = event in EVENTS or (event == "open" and arguments[2] & WRITES)
        if changes and is_there(arguments[0]):
            hearing = False
            call()
            hearing = True

    def is_there(path):
        # A whole folder is deleted name by name, from its open parent.
        return (
            isinstance(path, int)
            or not os.path.isabs(path)
            or folder
            in (
                Path(os.fsdecode(path)),
                *Path(os.fsdecode(path)).parents,
            )
        )

    def fsync(file):
        hear("os.truncate", (file,))
        sync(file)

    sys.addaudithook(hear)
    os.fsync = fsync
    try:
        yield
    finally:
        hearing, os.fsync = False, sync


def train_and_die(out, keep, number):
    """Returns how a child ended, as `os.waitstatus_to_exitcode` says it."""
    child = os.fork()  # before JAX has made its threads
    if child == 0:
        operations = iter(range(1, number))

        def die_at_last():
            if next(operations, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        with heard(out, die_at_last):
            record = train.run(small(keep), out)
            records.save(record, Figure(), out)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    place, keep, *numbers = sys.argv[1:]
    for number in numbers:
        print(number, train_and_die(Path(place) / number, int(keep), int(number)))
