"""The folder of a sweep: sweep.json identifies it, cells/ holds the finished parts.

A part is written beside its place and then moved, so it is there whole or not at all.
"""

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common import environment
from experiments.common.errors import ConfigError
from experiments.sweep.parts import Outcome
from experiments.train import metrics
from lstm_jax.training import disk, settings

DESCRIPTION = "sweep.json"
MADE = "made"  # the entry of it that may change, which the user is told
# What NumPy raises when a file is not as it wrote it; zipfile takes some damaged ones
# for encrypted (RuntimeError).
DAMAGED = (EOFError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


def begin(out: Path, identity: Mapping[str, Any], resume: bool) -> list[str]:
    """Claims the folder for this sweep; returns notes for the user.

    The caller holds the folder's lock, here and when parts are saved.

    Raises:
      ConfigError: it holds another sweep, or this one and `resume` is False.
    """
    path, made = out / DESCRIPTION, environment.here()
    identity = {**identity, **settings.random_numbers()}
    if path.exists():
        there = _description(path)
        was_made = there.pop(MADE, made)
        if differences := settings.differences(there, identity):
            raise ConfigError(
                f"out: {str(out)!r} holds another sweep: {'; '.join(differences)}"
            )
        if not resume:
            raise ConfigError(
                f"out: {str(out)!r} holds this sweep, {_count(out)} parts done; go on "
                "with --resume, or name another folder"
            )
        disk.tidy(out / "cells")
        return environment.changes(was_made, made, "now")
    disk.make_folder(out / "cells")
    disk.tidy(out / "cells")
    write_text(path, json.dumps({**identity, MADE: made}, indent=1) + "\n")
    return [f"No sweep in {out}: it starts at the beginning."] if resume else []


def _description(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"out: {str(path)!r} is damaged; name another folder"
        ) from error


def _count(out: Path) -> int:
    return len(list((out / "cells").glob("[0-9]*.npz")))


def save_part(out: Path, number: int, outcome: Outcome) -> None:
    """Writes the outcome of a part; from then on it survives the process."""
    metrics.save_arrays(_place(out, number), outcome._asdict())


def load_part(out: Path, number: int) -> Outcome | None:
    """Returns the outcome of a part; None if it is not finished.

    Raises:
      DamagedError: the file is there, but not as it was written.
    """
    path = _place(out, number)
    if not path.exists():
        return None
    content = io.BytesIO(path.read_bytes())
    try:
        with np.load(content) as stored:
            return Outcome(**{name: stored[name] for name in Outcome._fields})
    except DAMAGED as error:
        raise DamagedError(f"{path} is damaged") from error


class DamagedError(ValueError):
    """A part that can't be read."""


def _place(out: Path, number: int) -> Path:
    return out / "cells" / f"{number:04d}.npz"


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes one line per row, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_text(path: Path, text: str) -> None:
    """Replaces a file, whole or not at all."""
    disk.replace_file(path, text.encode())
