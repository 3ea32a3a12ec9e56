"""Rows side by side: a process each, with its share of the cores."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import NamedTuple

from experiments.common import environment
from experiments.common.rows import Check

ROOT = Path(__file__).parent.parent
PROGRESS = re.compile(r"\s*\d+ %")


class Ended(NamedTuple):
    """How the run of a row ended.

    Attributes:
      name: the experiment.
      seconds: of wall time.
      checks: its criteria; none if it failed.
      error: its last line, if it failed.
    """

    name: str
    seconds: float
    checks: list[Check]
    error: str | None


class Started(NamedTuple):
    """The processes that run, and whether they shall end."""

    running: set[subprocess.Popen[str]]
    ending: threading.Event

    def end(self) -> None:
        """Ends them, and all that are started later."""
        self.ending.set()
        for process in list(self.running):
            process.terminate()


def run_all(
    names: Sequence[str], size: str, out: Path, say: Callable[[str], None]
) -> Iterator[Ended]:
    """Runs rows and yields each as it ends; `say` gets the lines of their progress.

    At most as many at once as there are cores. Ctrl-C or SIGTERM ends all of them.
    """
    cores = environment.cores()
    at_once = max(1, min(cores, len(names)))
    started = Started(set(), threading.Event())
    run = partial(_run, size, out.resolve(), max(1, cores // at_once), started, say)
    with _interrupted_by_sigterm(), ThreadPoolExecutor(at_once) as pool:
        try:
            for one in as_completed([pool.submit(run, name) for name in names]):
                yield one.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            started.end()


def _run(
    size: str,
    out: Path,
    threads: int,
    started: Started,
    say: Callable[[str], None],
    name: str,
) -> Ended:
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.one_row", name, size, str(out)],
        cwd=ROOT,
        env=_environment(threads),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        started.running.add(process)
        if started.ending.is_set():
            process.terminate()
        last = ""
        for line in process.stderr or ():
            if PROGRESS.match(line):
                say(f"{name:<16} {line.rstrip()}")
            else:
                last = line.strip() or last
        printed = process.stdout.read() if process.stdout else ""
    started.running.discard(process)
    seconds, status = time.monotonic() - start, process.returncode
    if status:
        error = last if status > 0 and last else f"it ended with status {status}"
        return Ended(name, seconds, [], error)
    checks = [Check(*each) for each in json.loads(printed.splitlines()[-1])]
    return Ended(name, seconds, checks, None)


def _environment(threads: int) -> dict[str, str]:
    """Returns the environment of a row that gets this many threads."""
    libraries = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Otherwise the first row on a GPU takes three quarters of its memory.
    together = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    return together | os.environ | dict.fromkeys(libraries, str(threads))


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Makes SIGTERM a KeyboardInterrupt, so that no row outlives this process."""

    def interrupt(*_):
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
