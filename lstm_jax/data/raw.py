"""What every reader returns, and the lines in which a file is refused."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Float64
from numpy import ndarray

from lstm_jax import files


class Raw(NamedTuple):
    """A file as it was read: nothing chosen, filled in or scaled.

    Attributes:
      values: the columns that can be used; NaN where there is no value.
      names: of these columns.
      order: names of all columns as they stand in the file.
      place: where a step stands in the file, in words: "line 12", "step 3".
      aside: columns that are left out if none are asked for, with the reason.
      refused: columns of something else, with the refusal.
      notes: what was done on reading.
    """

    values: Float64[ndarray, "time *batch column"]
    names: tuple[str, ...]
    order: tuple[str, ...]
    place: Callable[[int], str]
    aside: dict[str, str]
    refused: dict[str, ValueError]
    notes: list[str]


def refusal(path: str, where: str, got: str, wanted: str, remedy: str) -> ValueError:
    """Returns the error of a place in a file; without a place, of all of it."""
    where = f"{path!r}, {where}" if where else f"{path!r}"
    message = f"{where}: got {got}; it must be {wanted}: {remedy}"
    return ValueError(files.printable(message))


def counted(count: int, what: str) -> str:
    """Returns a number of things in words."""
    return f"{count} {what}{'s' * (count != 1)}"


def listed(names: Sequence[str]) -> str:
    """Returns names as one writes them after `columns=`; of very many, the first."""
    shown = ",".join(names[:12])
    return shown if len(names) <= 12 else f"{shown},... ({len(names)} in all)"


def quoted(value: object) -> str:
    """Returns a value of a file as a short text between quotes."""
    text = str(value)
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
