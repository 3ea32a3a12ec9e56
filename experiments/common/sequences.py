"""A user's own sequence, from a file: flags, and what they read."""

import os
import re
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float64

import lstm_jax as lj
from experiments.common import array_files, cli
from experiments.common.cli import ConfigError, option

FLAG = re.compile(r"\b(columns|missing|scale)=")
FILES = "FILE.csv or .npy, numbers, one row a step"
SEVERAL = "several with commas"
MOST_NAMES = 8


class Flags(Protocol):
    """The flags by which an experiment reads a sequence."""

    @property
    def sequence(self) -> str | None:
        """The file."""
        ...

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Which to take."""
        ...

    @property
    def missing(self) -> str:
        """What to do where there is no value."""
        ...

    @property
    def scale(self) -> str:
        """What to do with the numbers."""
        ...


class Read(NamedTuple):
    """A sequence, or several of one length.

    Attributes:
      values: with an axis of sequences, one unless the file has three axes.
      columns: names of the inputs.
      notes: what was done to the file.
    """

    values: Float64[np.ndarray, "time sequences input"]
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def sequence_option(instead_of: str) -> Any:
    """The field `sequence`; `instead_of` says what it replaces."""
    return option(None, cli.optional(cli.text()), f"{FILES}, {SEVERAL}; {instead_of}")


def columns_option() -> Any:
    """The field `columns`."""
    kind = cli.optional(cli.list_of(cli.text()))
    return option(None, kind, "of the table, by name or position")


def missing_option() -> Any:
    """The field `missing`."""
    kind = cli.one_of(("error", "forward", "drop"))
    return option("error", kind, "what becomes of a gap in the table")


def scale_option() -> Any:
    """The field `scale`."""
    kind = cli.one_of(("standardize", "none"))
    return option("standardize", kind, "to mean 0 and standard deviation 1")


def read(config: Flags, dtype: str = "float32") -> Read:
    """Returns the sequence that the flags name, or those of several files.

    Several are scaled as one, and cut to the last steps of the shortest.

    Raises:
      ConfigError: one can't be read, or is not finite in `dtype`; files have other
        columns.
    """
    paths = _paths(config.sequence or "")
    table = _joined(paths, [_table(config, path) for path in paths])
    if config.scale == "standardize":
        table = lj.data.standardize(table)
    found = of_table(table)
    odd = found.values[array_files.beyond(found.values, dtype)]
    if odd.size:
        raise ConfigError(
            f"sequence: {config.sequence!r}: got {odd[0]:g}; it must be finite in "
            f"{dtype}: --scale=standardize"
        )
    return found


def _paths(text: str) -> list[str]:
    """Returns one path, which may hold commas, or several with commas between."""
    return [text] if os.path.exists(text) or "," not in text else text.split(",")


def _table(config: Flags, path: str) -> lj.data.Table:
    options = {"columns": config.columns, "missing": config.missing}
    try:
        return lj.data.read_table(path, **options)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        raise ConfigError(f"sequence: {with_flags(path, str(error))}") from error


def _joined(paths: list[str], tables: list[lj.data.Table]) -> lj.data.Table:
    """Returns several tables as one, with an axis of sequences."""
    first, *others = tables
    if not others:
        return first
    for path, table in zip(paths[1:], others, strict=True):
        if table.columns != first.columns:
            raise ConfigError(
                f"sequence: {path!r} has the columns {', '.join(table.columns)}; it "
                f"must have those of {paths[0]!r}, {', '.join(first.columns)}"
            )
    lengths = [len(table.values) for table in tables]
    shortest = min(lengths)
    values = np.concatenate(
        [
            table.values[-shortest:].reshape(shortest, -1, len(first.columns))
            for table in tables
        ],
        axis=1,
    )
    notes = list(dict.fromkeys(note for table in tables for note in table.notes))
    if max(lengths) > shortest:
        notes.append(f"each is cut to its last {shortest} steps, of the shortest")
    return lj.data.Table(values, first.columns, tuple(notes))


def of_table(table: lj.data.Table) -> Read:
    """Returns a table as one sequence, or as several if it has an axis of them."""
    values = table.values if table.values.ndim == 3 else table.values[:, None]
    notes = tuple(with_flags("", note) for note in table.notes)
    return Read(values, table.columns, notes)


def with_flags(path: str, message: str) -> str:
    """Returns what the library said of an argument, said of a flag."""
    head, named, rest = message.partition(repr(path)) if path else ("", "", message)
    return head + named + FLAG.sub(r"--\1=", rest)


def in_words(found: Read | None) -> list[str]:
    """Returns the line of the verdict on what was read and done, if anything was."""
    if found is None:
        return []
    steps, several, _ = found.values.shape
    names = ", ".join(map(repr, found.columns))
    if len(found.columns) > MOST_NAMES:
        names = f"{len(found.columns)} columns"
    of = f"{several} sequences of " if several > 1 else ""
    line = "; ".join([f"{of}{steps} steps of {names}", *found.notes])
    return [f"  read:     {line}"]


def in_record(found: Read | None) -> dict[str, Any]:
    """Returns what a record's config says of it."""
    if found is None:
        return {}
    return {"columns": list(found.columns), "notes": list(found.notes)}


def check_flags(config: Flags) -> None:
    """Refuses columns where there is no sequence."""
    if config.sequence is None and config.columns is not None:
        raise ConfigError(
            f"columns: got {','.join(config.columns)}; it must not be given without a "
            "sequence"
        )
