"""A user's own sequence, from a file."""

from pathlib import Path

import numpy as np

from experiments.common import array_files
from experiments.common.cli import ConfigError

WANTED = "a .npy or .csv file of finite numbers, (time, input) or (time,)"


def read_sequence(path: str, dtype: str = "float32") -> np.ndarray:
    """Returns the sequence in a file as (time, input) float64, time >= 2.

    Raises:
      ConfigError: the file can't be read, is ragged, has another shape, or holds
        anything but numbers that are finite in `dtype`.
    """
    values = _read(path)
    if values.dtype.kind not in "fiu":
        raise _refusal(path, f"holds {values.dtype}")
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 1:
        raise _refusal(path, f"has shape {values.shape}, time must be at least 2")
    bad = np.argwhere(array_files.beyond(values, dtype))
    if len(bad):
        step, feature = bad[0]
        found = values[step, feature]
        in_dtype = f", beyond {dtype}" if np.isfinite(found) else ""
        raise _refusal(
            path, f"has {found:g} at step {step}, feature {feature}{in_dtype}"
        )
    return values.astype(np.float64)


def _read(path: str) -> np.ndarray:
    suffix = Path(path).suffix
    if suffix not in (".npy", ".csv"):
        raise _refusal(path, f"has the suffix {suffix!r}")
    if suffix == ".npy":
        return array_files.read_npy("sequence", path, WANTED)
    array_files.check_regular("sequence", path, WANTED)
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise array_files.unreadable("sequence", path, error, WANTED) from error
    except ValueError as error:
        raise _refusal(path, "can't be read as text") from error
    return _from_csv(path, text)


def _from_csv(path: str, text: str) -> np.ndarray:
    lines = [line for line in text.splitlines() if line.strip()]
    rows = [line.split(",") for line in lines]
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        odd = next(k for k, row in enumerate(rows) if len(row) != len(rows[0]))
        raise _refusal(
            path,
            f"is ragged: line 1 has {len(rows[0])} values, line {odd + 1} has "
            f"{len(rows[odd])}",
        )
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise _refusal(path, f"is not all numbers: {error}") from error


def _refusal(path: str, found: str) -> ConfigError:
    return array_files.refusal("sequence", path, found, WANTED)
