"""Your numbers from a file."""

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lstm_jax import checks, files
from lstm_jax.data import array_files, cleaning, csv_files, frames
from lstm_jax.data.raw import Raw, counted, refusal

TEXTS = (".csv", ".tsv", ".txt")
WANTED = (
    "a file of numbers, one row a step: .npy or .csv, also .tsv, .txt, .csv.gz, .npz "
    "or .parquet"
)


class Table(NamedTuple):
    """Numbers over time.

    Attributes:
      values: one row a step; a `.npy` or `.npz` file may have a batch axis in between.
      columns: their names; those of a file without names are "1", "2", ...
      notes: what was done to the file, a line each.
    """

    values: Float64[ndarray, "time *batch column"]
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def read_table(
    path: str | PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    missing: str = "error",
    scale: str = "none",
) -> Table:
    r"""Reads a table of numbers as people have them, or says in one line why it can't.

    Of a text it finds out the encoding, the separator, the decimal sign and whether
    there is a header; comments (#) and a footer below a blank line are left out.

    Args:
      path: `.csv`, `.tsv` or `.txt`, perhaps packed as `.gz`; `.npy`; `.npz` with one
        array, or with columns by name; `.parquet`, if pyarrow is installed.
      columns: which to take, by name or by position from "1", in this order. By default
        all but dates, and a column without a name that counts the rows; a column of
        other text is refused.
      missing: what to do about a missing value: "error" refuses it, "forward" repeats
        the one before, "drop" leaves the row out.
      scale: "none", or "standardize" to mean 0 and standard deviation 1 over time and
        batch; a constant column becomes 0.

    Returns:
      A `Table`; its notes say what was left out, filled in and scaled.

    Raises:
      OSError: the file can't be read.
      ValueError: it is something else, or has fewer than two rows; the line names line
        and column, and what helps.
      ModuleNotFoundError: pandas is needed and not installed.

    Example:
      >>> import pathlib, tempfile
      >>> path = pathlib.Path(tempfile.mkdtemp(), "mine.csv")
      >>> rows = ["Month;Passengers", "1949-01;1,12", "1949-02;1,18"]
      >>> _ = path.write_text(chr(10).join(rows))
      >>> table = lj.data.read_table(path)
      >>> table.values.tolist(), table.columns
      ([[1.12], [1.18]], ('Passengers',))
      >>> table.notes
      ('commas are decimal', "column 'Month' holds dates: left out")
    """
    checks.check_choice("missing", missing, cleaning.MISSING)
    checks.check_choice("scale", scale, cleaning.SCALE)
    checks.check_type("path", path, str | PathLike, "the path of a file")
    name = fspath(path)
    columns = [columns] if isinstance(columns, str) else columns
    if columns is not None:
        wanted = "names of columns, or positions from '1'"
        checks.check_type("columns", columns, list | tuple, wanted)
        for column in columns:
            checks.check_type("columns", column, str, wanted)
    raw, columns = _read(name, columns)
    raw = cleaning.chosen(name, raw, columns)
    if len(raw.values) < 2:
        got = counted(len(raw.values), "row")
        raise refusal(name, "", got, "at least 2 steps", "write one row a step")
    cleaning.check_finite(name, raw)
    raw = cleaning.filled(name, raw, missing)
    table = Table(raw.values, raw.names, tuple(raw.notes))
    return standardize(table) if scale == "standardize" else table


def standardize(table: Table, first: int | None = None) -> Table:
    """Returns columns of mean 0 and standard deviation 1; a constant one is 0.

    Args:
      table: what `read_table` returns.
      first: the steps that mean and deviation are of, the first ones, so that a test
        on later ones is not known before; all if not given.

    Raises:
      ValueError: there are fewer steps than `first`.

    Example:
      >>> import numpy as np
      >>> table = lj.data.Table(np.array([[1.0], [3.0], [8.0]]), ("x",), ())
      >>> lj.data.standardize(table, first=2).values[:, 0].tolist()
      [-1.0, 1.0, 6.0]
    """
    checks.check_type("table", table, Table, "a table, as lj.data.read_table returns")
    if first is not None:
        checks.check_whole("first", first, 1, len(table.values), "its steps")
    known, every = table.values[:first], tuple(range(table.values.ndim - 1))
    low, high = known.min(every), known.max(every)
    deviation = np.where(low == high, 1, known.std(every))
    mean = np.where(low == high, low, known.mean(every))
    of = "" if first is None else f" over the first {first} steps"
    notes = [f"standardized: every column has mean 0 and standard deviation 1{of}"]
    notes += [
        f"column {name!r} is constant, and 0 now"
        for name, same in zip(table.columns, low == high, strict=True)
        if same
    ]
    scaled = (table.values - mean) / deviation
    return table._replace(values=scaled, notes=(*table.notes, *notes))


def _read(path: str, columns: Sequence[str] | None) -> tuple[Raw, Sequence[str] | None]:
    """Returns what is in a file, and the columns that are still to be chosen."""
    packed = path.lower().endswith(".gz")
    suffix = Path(path[:-3] if packed else path).suffix.lower()
    if suffix in TEXTS:
        return csv_files.read_csv(path, WANTED), columns
    if packed or suffix not in (".npy", ".npz", ".parquet"):
        raise files.refusal(path, f"has the suffix {suffix!r}", WANTED)
    if suffix == ".npy":
        return array_files.read_npy(path, WANTED), columns
    if suffix == ".npz":
        return array_files.read_npz(path, WANTED, columns)
    return frames.read_parquet(path, WANTED), columns
