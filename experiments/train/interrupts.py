"""Ctrl-C as a request to stop, met between two chunks with everything saved."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # a batch system asks by SIGTERM


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], int | None]]:
    """Yields a function that returns the signal received so far, or None.

    A second Ctrl-C interrupts at once, as usual.
    """
    came: list[int] = []

    def remember(number, frame):
        if came:
            raise KeyboardInterrupt
        came.append(number)

    with _handled_by(remember):
        yield lambda: came[0] if came else None


@contextmanager
def _handled_by(handler: Callable) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals only ever reach the main thread
        return
    former = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, action in former.items():
            signal.signal(number, action)
