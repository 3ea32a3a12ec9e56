"""Record: what an experiment found; saved whole or not at all.

Its files are written into one folder, which one rename commits as `.record`; then each
is moved to its place. Who reads or saves a record takes what still lies in `.record`
first, so that a process killed between two moves leaves one record, and never parts of
two.
"""

import datetime
import importlib.metadata
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.common import environment, tables, wording
from lstm_jax.training import disk

PACKAGES = ("jax", "jaxlib", "lstm_jax", "numpy", "optax")
COMMITTED = ".record"
STORED = ("benchmarks/results", "experiments/reference")  # what runs write


class Record(NamedTuple):
    """What an experiment found, and everything needed to find it again.

    Attributes:
      experiment: the module that made it.
      config: the fields of its Config.
      arrays: every number of the figure and more, by name.
      rows: the table, one dictionary a row.
      verdict: lines for the reader.
      made: versions, device, threads of the CPU, commit, date and wall time.
    """

    experiment: str
    config: dict[str, Any]
    arrays: dict[str, np.ndarray]
    rows: list[dict[str, Any]]
    verdict: list[str]
    made: dict[str, Any]


def provenance(wall_seconds: float) -> dict[str, Any]:
    """Returns versions, device, threads of the CPU, commit, date and wall time."""
    device = jax.devices()[0]
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "device": f"{device.platform}: {device.device_kind}, {os.cpu_count()} cores",
        "threads": environment.threads(),
        "commit": commit_of(Path(__file__).parent),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(wall_seconds, 1),
    }


def commit_of(folder: Path) -> str | None:
    """Returns the commit of a checkout, marked where its files differ from it.

    Stored records do not count: the run that writes them is made of the rest. None
    without git, or outside of a checkout.
    """
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    others = (f":(top,exclude){stored}" for stored in STORED)
    changed = _git(
        folder, "status", "--porcelain", "--untracked-files=no", "--", ":(top)", *others
    )
    return f"{commit}-dirty" if commit and changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    """Returns what git says of a folder, None where it says nothing."""
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def save(record: Record, figure: Figure, out: Path) -> None:
    """Writes record.json, record.npz, figure.png and figure.svg.

    A run that is interrupted or killed leaves the former record or this one; Ctrl-C
    is held back while the files are moved.
    """
    disk.make_folder(out)
    with disk.unfinished(out) as staging:
        staging.mkdir()
        for name, content in _files(record, figure).items():
            (staging / name).write_bytes(content)
        with _without_interrupts():
            settle(out)
            disk.commit(staging, out / COMMITTED)
            settle(out)


def settle(out: Path) -> None:
    """Moves the files of a record that is committed to their places."""
    if not (out / COMMITTED).is_dir():
        return
    for path in (out / COMMITTED).iterdir():
        os.replace(path, out / path.name)
    (out / COMMITTED).rmdir()


def load(out: Path) -> Record:
    """Returns the record saved in a folder."""
    fields = json.loads(_place(out, "record.json").read_text())
    with np.load(_place(out, "record.npz")) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return Record(arrays=arrays, **fields)


def _place(out: Path, name: str) -> Path:
    """Returns where a file of the record is: not moved yet, or moved."""
    committed = out / COMMITTED / name
    return committed if committed.exists() else out / name


def config_fields(record: Record) -> dict[str, Any]:
    """Returns the fields of its Config; a loaded record has lists for tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record.config.items()
    }


def show(record: Record) -> None:
    """Prints the table and the verdict."""
    # Only a terminal has a width: what is piped is not broken.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in [*tables.lines(record.rows, width), *record.verdict]:
        print(wording.printable(line))


def _files(record: Record, figure: Figure) -> dict[str, bytes]:
    fields = record._asdict()
    arrays = fields.pop("arrays")
    npz, png, svg = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez_compressed(npz, **arrays)
    figure.savefig(png, format="png", dpi=200)
    figure.savefig(svg, format="svg")
    return {
        "record.json": (json.dumps(fields, indent=1) + "\n").encode(),
        "record.npz": npz.getvalue(),
        "figure.png": png.getvalue(),
        "figure.svg": svg.getvalue(),
    }


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Holds Ctrl-C back until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C only ever reaches the main thread
        return
    held = []
    former = signal.signal(signal.SIGINT, lambda *arguments: held.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        if held:
            signal.raise_signal(signal.SIGINT)
