"""What a run learns: a task of the library, or the user's own table or text.

The file's hash is a setting of the run, so that a run can't go on, or be explained, on
another file without being told.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import lstm_jax as lj
from experiments.common import array_files, sequences
from experiments.common.errors import ConfigError
from experiments.common.own_data_flags import (
    HORIZON,
    WINDOW,
    OwnData,
    OwnTable,
    file_of,
    flag_of,
)
from lstm_jax import files
from lstm_jax.tasks import stored
from lstm_jax.tasks.character_language import alphabet_of

HELD_OUT = 0.2  # of a table, its last steps: the test
SEEN = 4  # files that are kept in memory

Settings = TypeVar("Settings", bound=OwnTable)


class Learnt(NamedTuple):
    """A user's file as a task.

    Attributes:
      task: whose leaves are the data, if they are the user's own.
      inputs: names of its inputs; None of a task of the library.
      said: what a record's config says of them, besides the flags.
      verdict: what was read, a line.
    """

    task: lj.Task
    inputs: tuple[str, ...] | None
    said: dict[str, Any]
    verdict: list[str]


def pinned(config: Settings) -> Settings:
    """Returns the settings with the hash of the file and its whole path.

    Raises:
      ConfigError: it can't be read, or has another hash than the one given.
    """
    path = file_of(config)
    if path is None:
        return config
    whole = {flag_of(config): str(Path(path).resolve())}
    return replace(config, file_sha256=_checked_hash(config), **whole)


def task_of(config: Any) -> lj.Task:
    """Returns the task that is learnt; errors as of `learnt`."""
    return learnt(config).task


def called(config: Mapping[str, Any]) -> str:
    """Returns what a record's config says was learnt."""
    if config["data"] is not None:
        target = ", ".join(config["target"] or config["columns"] or ())
        return f"{target} of {Path(config['data']).name}".removeprefix(" of ")
    if config["text"] is not None:
        return f"the characters of {Path(config['text']).name}"
    return config["task"].replace("_", " ")


def learnt(config: Any) -> Learnt:
    """Returns what is learnt, the library's or the user's own.

    Raises:
      ConfigError: the file is missing, can't be read, or is not the one that `pinned`
        saw.
    """
    if file_of(config) is None:
        return Learnt(lj.TASKS[config.task], None, {}, [])
    own: dict[str, Any] = {
        f.name: getattr(config, f.name, f.default) for f in fields(OwnData)
    }
    return _learnt(OwnData(**own), getattr(config, "valid", None) or 0.0)


@lru_cache(maxsize=SEEN)  # what has the same hash is the same, and need not be there
def _learnt(config: OwnData, valid: float) -> Learnt:
    _checked_hash(config)
    read = _of_text if config.data is None else _of_table
    with _told(config):
        return read(config, valid)


forget = _learnt.cache_clear
"""Lets go of the files that were read."""


def _of_text(config: OwnData, valid: float) -> Learnt:
    text = lj.data.read_text(config.text or "")
    task = lj.tasks.character_language(text, valid=valid)
    kinds = f"{len(text)} characters, {task.input_size} different ones"
    return Learnt(task, tuple(alphabet_of(text)), {}, [f"  read:     {kinds}"])


def _of_table(config: OwnData, valid: float) -> Learnt:
    table = lj.data.read_table(
        config.data or "", columns=config.columns, missing=config.missing
    )
    scale = {}
    if config.scale == "standardize":
        before = len(table.values) - stored.num_test(HELD_OUT, len(table.values))
        known = table.values[: before - stored.num_valid(valid, before)]
        scale = {"mean": known.mean(0).tolist(), "deviation": known.std(0).tolist()}
        table = lj.data.standardize(table, first=len(known))
    task = lj.tasks.from_windows(
        table,
        _target(config, table.columns),
        window=config.window or WINDOW,
        horizon=config.horizon or HORIZON,
        test=HELD_OUT,
        valid=valid,
    )
    read = sequences.of_table(table)
    said = sequences.in_record(read) | scale, sequences.in_words(read)
    return Learnt(task, table.columns, *said)


def _target(config: OwnData, columns: tuple[str, ...]) -> tuple[str, ...]:
    if config.target is None and len(columns) > 1:
        raise ValueError(
            f"target: got none; it must be given, one of {', '.join(columns)}"
        )
    return config.target or columns


def _checked_hash(config: OwnTable) -> str:
    """Returns the hash of the file, which must be the one that the settings give."""
    path = file_of(config) or ""
    with _told(config):
        files.check_regular(path, "the file to learn from")
        found = array_files.sha256(path)
    if config.file_sha256 not in (None, found):
        raise ConfigError(
            f"{flag_of(config)}: {path!r} has changed, its sha256 is {found}; it must "
            f"be the file of the run, {config.file_sha256}"
        )
    return found


@contextmanager
def _told(config: OwnTable) -> Iterator[None]:
    """Says which flag a file belongs to that can't be learnt."""
    name, path = flag_of(config), file_of(config)
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, OSError, ModuleNotFoundError) as error:
        said = sequences.with_flags(path or "", str(error))
        about = said.startswith((repr(path), "sequence"))
        raise ConfigError(f"{name}: {said}" if about else said) from error
