"""How far a run has come: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 5.0

Advance = Callable[[str, int], None]
"""`advance(what, units)`: `units` more of the total are done, and `what` comes next."""


@contextmanager
def progress(total: int) -> Iterator[Advance]:
    """Yields a function that reports progress on stderr, of `total` units of work."""
    console = Console(stderr=True)
    shown = _bar(console, total) if console.is_terminal else _lines(total)
    with shown as advance:
        yield advance


@contextmanager
def _bar(console: Console, total: int) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda what, units: bar.update(task, description=what, advance=units)


@contextmanager
def _lines(total: int) -> Iterator[Advance]:
    start = last = time.monotonic()
    done = 0

    def advance(what, units):
        nonlocal last, done
        done += units
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or done == units == 0:
            last = now
            line = f"{100 * done / total:3.0f} %  {now - start:4.0f} s  {what}"
            print(line, file=sys.stderr, flush=True)

    yield advance
