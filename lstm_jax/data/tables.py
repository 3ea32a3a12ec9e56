"""Your numbers from a file."""

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

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
    if scale == "standardize":
        raw = cleaning.standardized(raw)
    return Table(raw.values, raw.names, tuple(raw.notes))


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
