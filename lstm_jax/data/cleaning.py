"""From what was read to a table: columns chosen, gaps closed, numbers scaled."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from lstm_jax import files
from lstm_jax.data.raw import Raw, counted, listed, refusal

MISSING = ("error", "forward", "drop")
SCALE = ("none", "standardize")
LARGEST = float(np.finfo(np.float32).max)

Values = Float64[ndarray, "time *batch column"]


def chosen(path: str, raw: Raw, columns: Sequence[str] | None) -> Raw:
    """Returns the columns asked for, in that order; by default all that can be used."""
    usable = [name for name in raw.names if name not in raw.aside]
    if columns is None:
        if raw.refused:
            error = next(iter(raw.refused.values()))
            others = f", or take others: columns={listed(usable)}" if usable else ""
            raise ValueError(files.printable(f"{error}{others}")) from error
        left = [f"column {n!r} {why}: left out" for n, why in raw.aside.items()]
        ramps = [_ramp(raw, name) for name in usable if len(usable) > 1]
        raw = raw._replace(notes=[*raw.notes, *left, *filter(None, ramps)])
        columns = usable
    positions = [_position(path, raw, name, usable) for name in columns]
    if not positions:
        wanted = "at least one of numbers"
        raise refusal(path, "", "no column of numbers", wanted, "add one")
    if len(set(positions)) < len(positions):
        remedy = f"columns={listed(list(dict.fromkeys(columns)))}"
        raise refusal(path, "", "a column twice", "each once", remedy)
    names = tuple(raw.names[at] for at in positions)
    return raw._replace(values=raw.values[..., positions], names=names)


def _position(path: str, raw: Raw, name: str, usable: list[str]) -> int:
    """Returns where a column is among those of numbers."""
    if name not in raw.order and name.isdecimal() and 0 < int(name) <= len(raw.order):
        name = raw.order[int(name) - 1]
    if name in raw.names:
        return raw.names.index(name)
    if name in raw.refused:
        raise raw.refused[name]
    remedy = f"columns={listed(usable)}"
    if name in raw.aside:
        got = f"{name!r}, which {raw.aside[name]}"
        raise refusal(path, "columns", got, "of numbers", remedy)
    raise refusal(path, "columns", repr(name), "a column of the file", remedy)


def _ramp(raw: Raw, name: str) -> str | None:
    """Says of a column that it only counts, as years do."""
    values = raw.values[..., raw.names.index(name)]
    if len(values) < 3 or not (np.diff(values, axis=0) == 1).all():
        return None
    return f"column {name!r} grows by 1 at every step; columns= can leave it out"


def filled(path: str, raw: Raw, missing: str) -> Raw:
    """Returns a table without gaps: refused, filled with the last value, or dropped."""
    gaps = np.isnan(raw.values)
    if not gaps.any():
        return raw
    if missing == "drop":
        return _dropped(path, raw, gaps)
    if missing == "forward":
        return _forward(path, raw, gaps)
    remedy = "missing=forward repeats the one before, missing=drop leaves the row out"
    where = _place(raw, np.argwhere(gaps)[0])
    raise refusal(path, where, "no value", "a number", remedy)


def _dropped(path: str, raw: Raw, gaps: Bool[ndarray, "time *batch column"]) -> Raw:
    without = gaps.reshape(len(gaps), -1).any(axis=1)
    (kept,) = np.nonzero(~without)
    if len(kept) < 2:
        got, wanted = f"{counted(len(kept), 'row')} without a gap", "at least 2"
        raise refusal(path, "", got, wanted, "columns= leaves a column out")
    first = raw.place(int(without.argmax()))
    gone = counted(int(without.sum()), "row")
    note = f"{gone} without a value left out, the first at {first}"
    return raw._replace(
        values=raw.values[kept],
        place=lambda row: raw.place(int(kept[row])),
        notes=[*raw.notes, note],
    )


def _forward(path: str, raw: Raw, gaps: Bool[ndarray, "time *batch column"]) -> Raw:
    if gaps[0].any():
        where = _place(raw, np.argwhere(gaps)[0])
        remedy = "missing=drop leaves the row out"
        raise refusal(path, where, "no value, and none before", "a number", remedy)
    steps = np.arange(len(gaps)).reshape(-1, *[1] * (gaps.ndim - 1))
    last = np.maximum.accumulate(np.where(gaps, 0, steps), axis=0)
    values = np.take_along_axis(raw.values, last, axis=0)
    first = _place(raw, np.argwhere(gaps)[0])
    gone = counted(int(gaps.sum()), "missing value")
    note = f"{gone} filled from above, the first at {first}"
    return raw._replace(values=values, notes=[*raw.notes, note])


def check_finite(path: str, raw: Raw) -> None:
    """Refuses what float32 can't hold, and NaN is none of it."""
    bad = np.argwhere(np.abs(raw.values) > LARGEST)
    if len(bad):
        got = f"{raw.values[tuple(bad[0])]:g}"
        remedy = "correct it, or divide the column"
        wanted = f"finite in float32, at most {LARGEST:.2g}"
        raise refusal(path, _place(raw, bad[0]), got, wanted, remedy)


def _place(raw: Raw, index: ndarray) -> str:
    step, *batch, column = index
    of = "".join(f", sequence {k + 1}" for k in batch)
    return f"{raw.place(int(step))}{of}, column {raw.names[column]!r}"
