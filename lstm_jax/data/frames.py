"""Columns of a pandas frame: numbers, and what is left out or refused."""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm_jax import files
from lstm_jax.data import dialects
from lstm_jax.data.raw import Raw, quoted, refusal

DAYS = (
    *("%Y/%m/%d", "%Y/%m", "%Y.%m.%d", "%Y %b", "%d.%m.%Y", "%m.%Y", "%d.%m.%y"),
    *("%d/%m/%Y", "%m/%d/%Y", "%m/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%b %Y", "%b-%Y", "%b-%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y"),
    *("%B %Y", "%d %B %Y", "%B %d, %Y"),
)
DATES = (
    "ISO8601",  # 1949-01, 1949-01-02, 1949-01-02T03:04:05Z
    *(f"{day}{time}" for day in DAYS for time in ("", " %H:%M", " %H:%M:%S")),
    *("%H:%M", "%H:%M:%S"),
)
CENTURIES = (15000101, 22001231)  # 19580329 is a day of these


def pandas_for(path: str) -> ModuleType:
    """Returns pandas, or says how to install it."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path!r}: tables are read by pandas: pip install 'lstm_jax[data]'"
        ) from error
    return pandas


def read_parquet(path: str, wanted: str) -> Raw:
    """Returns the columns of a Parquet file, where pandas has a reader for it."""
    pandas = pandas_for(path)
    files.check_fits(path, files.check_regular(path, wanted))
    try:
        frame = pandas.read_parquet(path)
    except ImportError as error:
        raise ModuleNotFoundError(
            f"{path!r}: Parquet is read by pyarrow: pip install pyarrow"
        ) from error
    except OSError as error:
        raise files.unreadable(path, error, wanted) from error
    except ValueError as error:
        raise files.refusal(path, "can't be read as Parquet", wanted) from error
    return raw_of(path, frame, tuple(map(str, frame.columns)))


def raw_of(
    path: str,
    frame: Any,
    names: tuple[str, ...],
    decimal: str = ".",
    lines: list[int] | None = None,
) -> Raw:
    """Returns the columns of a frame.

    Args:
      path: of the file, for messages.
      frame: as pandas read it.
      names: of its columns; an empty name is none.
      decimal: the decimal sign of numbers in columns of text.
      lines: of the rows in the file; None if it has no lines.
    """
    pandas = pandas_for(path)

    def place(row: int) -> str:
        return f"step {row + 1}" if lines is None else f"line {lines[row]}"

    found: dict[str, NDArray] = {}
    aside: dict[str, str] = {}
    refused, notes = {}, []
    for position, name in enumerate(dialects.unique(names)):
        entries = frame.iloc[:, position]
        values, wrong = _numbers(pandas, entries, decimal)
        dates = _dates(pandas, entries, wrong is None)
        if not names[position] and entries.isna().all():
            notes.append(f"column {name!r} is empty: left out")
        elif dates:
            aside[name] = dates
        elif wrong is not None:
            odd = _odd_date(pandas, entries)
            row, wanted = (wrong, "a number") if odd is None else (odd, "a date")
            where, got = f"{place(row)}, column {name!r}", str(entries.iloc[row])
            remedy = dialects.remedy(got)
            refused[name] = refusal(path, where, quoted(got), wanted, remedy)
        else:
            found[name] = values
            if not names[position] and any(names) and _counts(values):
                aside[name] = "has no name and counts the rows"
    values = np.stack([*found.values()], -1) if found else np.empty((len(frame), 0))
    order = dialects.unique(names)
    return Raw(values, tuple(found), order, place, aside, refused, notes)


def _numbers(
    pandas: ModuleType, entries: Any, decimal: str
) -> tuple[NDArray, int | None]:
    """Returns the numbers of a column, and the first row that is none."""
    kind = entries.dtype.kind
    if kind in "fiub":
        return entries.to_numpy(np.float64), None
    if kind == "M":
        return np.full(len(entries), np.nan), None
    texts = entries.where(entries.isna(), entries.astype(str))
    if decimal != ".":
        texts = texts.str.replace(decimal, ".", regex=False)
    found = pandas.to_numeric(texts, errors="coerce").astype(np.float64)
    (wrong,) = np.nonzero((found.isna() & entries.notna()).to_numpy())
    return found.to_numpy(np.float64), int(wrong[0]) if len(wrong) else None


def _dates(pandas: ModuleType, entries: Any, numbers: bool) -> str | None:
    """Returns what a column of dates is, in words; None if it is another."""
    given = entries.dropna()
    if not len(given):
        return None
    if entries.dtype.kind == "M":
        return _order(given)
    if not numbers:
        every = (_all(pandas, given, form) for form in DATES)
        return next(
            (_order(dates) for dates in every if dates is not None),
            None,
        )
    if given.dtype.kind != "i" or not given.between(*CENTURIES).all():
        return None
    days = _all(pandas, given, "%Y%m%d")
    if days is None or len(days) < 3:
        return None
    one_way = days.is_monotonic_increasing or days.is_monotonic_decreasing
    return _order(days) if one_way else None


def _all(pandas: ModuleType, given: Any, form: str) -> Any:
    """Returns the dates if all are written in that form, else None."""
    texts = given.astype(str)
    for part in (texts.iloc[:1], texts):
        dates = pandas.to_datetime(part, format=form, errors="coerce", utc=True)
        if dates.isna().any():
            return None
    return dates


def _odd_date(pandas: ModuleType, entries: Any) -> int | None:
    """Returns the first row that is no date in a column where most rows are."""
    texts, given = entries.astype(str), entries.notna()
    if dialects.NUMBER.fullmatch(texts.iloc[0]):
        return None
    fits = [
        pandas.to_datetime(texts, format=form, errors="coerce", utc=True).notna()
        for form in DATES
        if _all(pandas, texts.iloc[:1], form) is not None
    ]
    most = max(fits, key=sum, default=~given)
    return int((given & ~most).argmax()) if sum(most) > len(texts) / 2 else None


def _order(dates: Any) -> str:
    back = len(dates) > 1 and dates.is_monotonic_decreasing
    return "holds dates" + ", the last one first" * bool(back)


def _counts(values: NDArray) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    return values[0] in (0, 1) and bool((np.diff(values) == 1).all())
