"""What is printed into a pipe that nobody reads any longer."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

UNREAD = 128 + signal.SIGPIPE  # the exit status that shells expect


@contextlib.contextmanager
def quiet_when_unread() -> Iterator[None]:
    """Ends the process without a traceback once the reader of its lines is gone.

    `python -m experiments.latch --help | head -1` closes the pipe after one line.
    """
    try:
        try:
            yield
        finally:
            # What waits in the buffer until Python ends would break with a message.
            sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        sys.exit(UNREAD)
