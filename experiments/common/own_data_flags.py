"""The flags of what a run learns: a task of the library, or the user's own file."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from experiments.common import cli, sequences
from experiments.common.cli import ConfigError, option

TABLE, TEXT = "data", "text"  # the flags, and what they make of --task
WINDOW, HORIZON = 64, 1
OF_A_TABLE = ("target", "window", "horizon", "columns", "missing", "scale")


@dataclass(frozen=True)
class OwnTable(cli.Flags):
    """The flags of a table to learn."""

    data: str | None = option(
        None,
        cli.optional(cli.text()),
        f"{sequences.FILES}: predict a column from those before, instead of a --task",
    )
    target: tuple[str, ...] | None = option(
        None,
        cli.optional(cli.list_of(cli.text())),
        "the column of --data to predict, or several (its only one if not given)",
    )
    window: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1)),
        f"steps of --data that an answer is made from ({WINDOW} if not given)",
    )
    horizon: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1)),
        f"steps from the last of these to the answer ({HORIZON} if not given)",
    )
    columns: tuple[str, ...] | None = sequences.columns_option()
    missing: str = sequences.missing_option()
    scale: str = sequences.scale_option()
    file_sha256: str | None = option(
        None,
        cli.optional(cli.text()),
        "of the file to learn, which must be it; a run fills it in",
    )


@dataclass(frozen=True)
class OwnData(OwnTable):
    """The flags of a table or a text to learn."""

    text: str | None = option(
        None,
        cli.optional(cli.text()),
        "FILE in UTF-8: predict its next character, from --length of them",
    )


def file_of(config: Any) -> str | None:
    """Returns the path of the user's file, if there is one."""
    return config.data or getattr(config, "text", None)


def flag_of(config: Any) -> str:
    """Returns the flag that names the user's file."""
    return TEXT if config.data is None else TABLE


def settle(config: Any) -> None:
    """Fills in what follows from the file; refuses flags that it has no use for.

    `config` is being made, and has a `task` and a `length` besides.
    """
    settle_table(config, OF_A_TABLE)
    if config.data and config.text:
        refuse_given(config, ["text"], "with --data")
    of, (task, length) = flag_of(config), _defaults(config, "task", "length")
    if file_of(config) is None:
        if config.task in (TABLE, TEXT):
            raise ConfigError(
                f"task: got {config.task!r}; it must be given with a file, as "
                f"--{config.task}=FILE"
            )
        refuse_given(config, ["file_sha256"], "without a file")
        return
    if config.task not in (of, task):
        refuse_given(config, ["task"], f"with --{of}")
    object.__setattr__(config, "task", of)
    if config.data is None:
        return
    refuse_given(config, ["start_length"], "with --data")
    if config.length not in (config.window, length):
        raise ConfigError(
            f"length: got {config.length}; it must be the window, {config.window}, "
            "with --data"
        )
    object.__setattr__(config, "length", config.window)


def settle_table(config: Any, without_use: Iterable[str]) -> None:
    """Fills in the window; refuses flags that are `without_use` where no table is."""
    if config.data is None:
        refuse_given(config, without_use, "without --data")
        return
    object.__setattr__(config, "window", config.window or WINDOW)
    object.__setattr__(config, "horizon", config.horizon or HORIZON)


def refuse_given(config: Any, names: Iterable[str], why: str) -> None:
    """Refuses the flags of these names that have another value than their default."""
    names = list(names)
    for name, default in zip(names, _defaults(config, *names), strict=True):
        if getattr(config, name) != default:
            raise ConfigError(
                f"{name}: got {getattr(config, name)!r}; it must not be given {why}"
            )


def _defaults(config: Any, *names: str) -> list[Any]:
    defaults = {each.name: each.default for each in fields(config)}
    return [defaults[name] for name in names]
