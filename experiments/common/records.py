"""Record: what an experiment found; saved whole or not at all.

Its files are written into one folder, which a single rename commits as `.record`; then
each file is moved to its place. Reading and saving both look into `.record` first, so
that a process killed between two moves leaves one record, and never parts of two.
"""

import datetime
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.common import describing, environment, tables, wording
from experiments.common.errors import ConfigError
from lstm_jax.training import disk

PACKAGES = ("jax", "jaxlib", "lstm_jax", "numpy", "optax")
COMMITTED = ".record"
STORED = ("benchmarks/results", "experiments/reference")  # what runs write


class Quantity(NamedTuple):
    """Numbers over named axes.

    Attributes:
      values: one axis per name; NaN where there is no such number.
      axes: their names, each one of the record's.
      unit: "nats", "steps", "nats/step"; "1" for shares and counts.
    """

    values: np.ndarray
    axes: tuple[str, ...]
    unit: str


class Record(NamedTuple):
    """What an experiment found, and everything needed to find it again.

    Attributes:
      experiment: the module that made it.
      config: the fields of its Config.
      arrays: every number in the figure, and more, by the name of the quantity.
      axes: the entries along each axis, as JSON values. Those of "variant" are objects:
        the settings compared, with a "label". "lag" counts steps back from the last
        one, "time" steps, and "update" those of training.
      rows: the table, one dictionary per row.
      verdict: lines for the reader.
      made: versions, device, CPU threads, commit, date and wall time.
    """

    experiment: str
    config: dict[str, Any]
    arrays: dict[str, Quantity]
    axes: dict[str, list[Any]]
    rows: list[dict[str, Any]]
    verdict: list[str]
    made: dict[str, Any]

    def __repr__(self) -> str:
        """Returns what was asked and found; arrays by their axes, not their numbers."""
        return describing.text(self)


def take(record: Record, name: str, **entries: Any) -> np.ndarray:
    """Returns a quantity at entries of its axes; the other axes keep their order.

        take(record, "log_share", variant=variant, stage="trained")

    Raises:
      ValueError: the quantity has no such axis, or the axis no such entry.
    """
    quantity = record.arrays[name]
    for axis, entry in entries.items():
        allowed = record.axes[axis] if axis in quantity.axes else []
        if entry not in allowed:
            raise ValueError(f"{name}: got {axis}={entry!r}; it must be in {allowed}")
    index = tuple(
        record.axes[axis].index(entries[axis]) if axis in entries else slice(None)
        for axis in quantity.axes
    )
    return np.asarray(quantity.values[index])


def new(
    experiment: str,
    config: dict[str, Any],
    start: float,
    arrays: dict[str, Quantity],
    axes: Mapping[str, Iterable[Any]],
    rows: Iterable[dict[str, Any]] = (),
    verdict: Iterable[str] = (),
) -> Record:
    """Returns the record of a run from `start`, a `time.monotonic()`, until now.

    An axis without entries in `axes` gets 0, 1, 2, ...; the rest is as in `Record`.

    Raises:
      ValueError: the shape of an array does not match the axes it names.
    """
    sizes = {
        axis: size
        for quantity in arrays.values()
        for axis, size in zip(quantity.axes, quantity.values.shape, strict=True)
    }
    entries = {axis: list(axes.get(axis, range(size))) for axis, size in sizes.items()}
    for name, quantity in arrays.items():
        wanted = tuple(len(entries[axis]) for axis in quantity.axes)
        if quantity.values.shape != wanted:
            raise ValueError(
                f"{name}: got the shape {quantity.values.shape}; it must be {wanted}, "
                f"for the axes {', '.join(quantity.axes)}"
            )
    made = provenance(time.monotonic() - start)
    return Record(experiment, config, arrays, entries, list(rows), list(verdict), made)


def provenance(wall_seconds: float) -> dict[str, Any]:
    """Returns versions, device, CPU threads, commit, date and wall time."""
    device = jax.devices()[0]
    versions = {name: environment.version(name) for name in PACKAGES}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "device": f"{device.platform}: {device.device_kind}, {os.cpu_count()} cores",
        "threads": environment.threads(),
        "commit": commit_of(Path(__file__).parent),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(wall_seconds, 1),
    }


def commit_of(folder: Path) -> str | None:
    """Returns the commit of a checkout, marked "-dirty" if its files have changed.

    Changes to stored records don't count: runs write them. None without git, or outside
    a checkout.
    """
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    others = (f":(top,exclude){stored}" for stored in STORED)
    changed = _git(
        folder, "status", "--porcelain", "--untracked-files=no", "--", ":(top)", *others
    )
    return f"{commit}-dirty" if commit and changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    """Returns what git prints about a folder, or None if that is nothing."""
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def save(record: Record, figure: Figure, out: Path) -> None:
    """Writes record.json, record.npz, figure.png and figure.svg.

    A run that is interrupted or killed leaves either the old record or this one; Ctrl-C
    waits until the files are moved.
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
    """Moves the files of a committed record to their places."""
    if not (out / COMMITTED).is_dir():
        return
    for path in (out / COMMITTED).iterdir():
        os.replace(path, out / path.name)
    (out / COMMITTED).rmdir()


def is_in(out: Path) -> bool:
    """Returns whether a folder holds a record."""
    return _place(out, "record.json").exists()


def load(out: Path) -> Record:
    """Returns the record saved in a folder.

    Raises:
      ConfigError: it dates from before the axes of arrays had names.
    """
    fields = json.loads(_place(out, "record.json").read_text())
    if "axes" not in fields:
        raise ConfigError(
            f"out: {str(out)!r} holds a record without named axes; it must be one of "
            "this version, made anew"
        )
    with np.load(_place(out, "record.npz")) as stored:
        arrays = {
            name: Quantity(stored[name], tuple(of["axes"]), of["unit"])
            for name, of in fields.pop("arrays").items()
        }
    return Record(arrays=arrays, **fields)


def _place(out: Path, name: str) -> Path:
    """Returns the path of a record's file, which may not have been moved yet."""
    committed = out / COMMITTED / name
    return committed if committed.exists() else out / name


def config_fields(record: Record) -> dict[str, Any]:
    """Returns the fields of the Config, with tuples where a loaded record has lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record.config.items()
    }


def show(record: Record) -> None:
    """Prints the table and the verdict."""
    # Only a terminal has a width; piped lines are not wrapped.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in [*tables.lines(record.rows, width), *record.verdict]:
        print(wording.printable(line))


def _files(record: Record, figure: Figure) -> dict[str, bytes]:
    described = {
        name: {"axes": list(quantity.axes), "unit": quantity.unit}
        for name, quantity in record.arrays.items()
    }
    values: Any = {name: quantity.values for name, quantity in record.arrays.items()}
    npz, png, svg = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez_compressed(npz, **values)
    figure.savefig(png, format="png", dpi=200)
    figure.savefig(svg, format="svg")
    text = _json(record._asdict() | {"arrays": described})
    return {
        "record.json": f"{text}\n".encode(),
        "record.npz": npz.getvalue(),
        "figure.png": png.getvalue(),
        "figure.svg": svg.getvalue(),
    }


def _json(value: Any, depth: int = 2) -> str:
    """Returns JSON with one line for each row, array and axis, however long."""
    if not depth or not value or not isinstance(value, dict | list):
        return json.dumps(value)
    inside = "\n" + (3 - depth) * " "
    if isinstance(value, list):
        parts, ends = [_json(part, depth - 1) for part in value], "[]"
    else:
        parts = [f"{json.dumps(k)}: {_json(v, depth - 1)}" for k, v in value.items()]
        ends = "{}"
    return ends[0] + inside + f",{inside}".join(parts) + inside[:-1] + ends[1]


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Holds Ctrl-C back until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C never reaches another thread
        return
    held = []
    former = signal.signal(signal.SIGINT, lambda *arguments: held.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        if held:
            signal.raise_signal(signal.SIGINT)
