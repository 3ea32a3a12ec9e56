"""metrics.jsonl: what a training run logs, one object per logged step."""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.training import disk

Metrics = dict[str, np.ndarray]
"""Columns of equal length by name, NaN where there is no value; with several seeds,
what differs between them is (line, seed)."""


def joined(before: Metrics, after: Metrics) -> Metrics:
    """Returns all lines of both, in order."""
    if not before:
        return after
    return {name: np.concatenate([before[name], after[name]]) for name in before}


def lines_of(metrics: Metrics) -> Iterable[str]:
    """Returns each line as JSON; NaN and infinity, unknown to JSON, as null."""
    names = list(metrics)
    for row in zip(*(metrics[name].tolist() for name in names), strict=True):
        yield json.dumps(
            {n: _plain(value) for n, value in zip(names, row, strict=True)}
        )


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if np.isfinite(value) else None


def append(path: Path, metrics: Metrics) -> None:
    """Appends lines to a file; from then on they survive the process."""
    with path.open("a", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in lines_of(metrics))


def rewrite(path: Path, metrics: Metrics) -> None:
    """Replaces the file with exactly these lines, atomically and durably."""
    text = "".join(f"{line}\n" for line in lines_of(metrics))
    disk.replace_file(path, text.encode("ascii"))


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz file, whole or not at all."""
    file, contents = io.BytesIO(), dict[str, Any](arrays)
    np.savez(file, **contents)
    disk.replace_file(path, file.getvalue())
