"""From a `Config` to absl flags, and from a flag to one clear line when it is wrong.

A default, its help and what is allowed are written once, in the dataclass:

    @dataclass(frozen=True)
    class Config:
        lag: int = option(40, integer(minimum=1), "steps between scene and question")

        def __post_init__(self):
            check(self)

so `run(Config(lag=0))` in a notebook and `--lag=0` on a command line say the same.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from absl import app, flags, logging

from experiments import records
from experiments.alone import alone_in
from experiments.errors import ConfigError as ConfigError
from experiments.records import Record


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a field may hold.

    Attributes:
      allowed: the end of the sentence "it must be ...".
      parse: text of a flag to a value; raises ValueError where it can't.
      holds: whether a value is allowed.
    """

    allowed: str
    parse: Callable[[str], Any]
    holds: Callable[[Any], bool]


def integer(*, minimum: int) -> Kind:
    """An integer from `minimum` up."""

    def holds(value):
        return isinstance(value, int) and value >= minimum

    return Kind(f"an integer, at least {minimum}", int, holds)


def number(*, above: int | float = -math.inf) -> Kind:
    """A finite number greater than `above`."""
    limit = "" if above == -math.inf else f" above {above:g}"

    def holds(value):
        return isinstance(value, int | float) and above < value < math.inf

    return Kind(f"a finite number{limit}", float, holds)


def one_of(names: Iterable[str]) -> Kind:
    """One of some names."""
    names = tuple(names)
    return Kind(f"one of {', '.join(names)}", str, lambda value: value in names)


def list_of(kind: Kind) -> Kind:
    """A tuple of at least one value, all different; on a command line, with commas."""

    def parse(text):
        return tuple(kind.parse(part) for part in text.split(","))

    def holds(values):
        return (
            isinstance(values, tuple)
            and len(values) > 0
            and len(set(values)) == len(values)
            and all(kind.holds(value) for value in values)
        )

    return Kind(f"different values with commas, each {kind.allowed}", parse, holds)


def either(word: str, kind: Kind) -> Kind:
    """A word with a meaning of its own, or a value."""

    def parse(text):
        return word if text == word else kind.parse(text)

    def holds(value):
        return value == word or kind.holds(value)

    return Kind(f"{kind.allowed}, or {word!r}", parse, holds)


def optional(kind: Kind) -> Kind:
    """A value, or None where nothing was given."""
    return Kind(
        kind.allowed, kind.parse, lambda value: value is None or kind.holds(value)
    )


def text() -> Kind:
    """Any text that is not empty."""
    return Kind("text", str, lambda value: isinstance(value, str) and value != "")


def option(default: Any, kind: Kind, help: str) -> Any:
    """Returns a dataclass field that knows its flag."""
    return dataclasses.field(default=default, metadata={"kind": kind, "help": help})


def check(config: Any) -> None:
    """Raises `ConfigError` for the first field that holds what it must not.

    NumPy's numbers become Python's, as a record and a command line write them.
    """
    for field in dataclasses.fields(config):
        value, kind = _python(getattr(config, field.name)), field.metadata["kind"]
        if not kind.holds(value):
            raise ConfigError(f"{field.name}: got {value!r}; it must be {kind.allowed}")
        object.__setattr__(config, field.name, value)


def _python(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_python(one) for one in value)
    return value.item() if isinstance(value, np.generic) else value


class _Parser(flags.ArgumentParser):
    """A flag's text to a value, with our own words where it can't be read."""

    def __init__(self, kind: Kind):
        self.kind = kind

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        try:
            value = self.kind.parse(argument)
        except ValueError:
            raise ValueError(f"it must be {self.kind.allowed}") from None
        if not self.kind.holds(value):
            raise ValueError(f"it must be {self.kind.allowed}")
        return value


class _Serializer(flags.ArgumentSerializer):
    """A value as it is written on a command line."""

    def serialize(self, value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def main(
    config_type: type,
    run: Callable[[Any], Record],
    plot: Callable[[Record], Any],
    name: str,
) -> None:
    """Runs an experiment from the command line; call it under `__main__`.

    Flags -> Config -> run -> table and verdict on stdout, files under --out.
    """

    def command(config: Any, out: Path):
        _run_and_save(config, run, plot, out)

    start(config_type, command, f"out/{name}")


def start(
    config_type: type, command: Callable[[Any, Path], None], default_out: str
) -> None:
    """Calls `command(config, out)` with what the flags say.

    The process ends with 0; with 2 and one line on stderr where an argument is wrong;
    with 130 after Ctrl-C that the command let through, having written nothing.
    """
    for field in dataclasses.fields(config_type):
        flags.DEFINE(
            _Parser(field.metadata["kind"]),
            field.name,
            field.default,
            f"{field.metadata['help']}; {field.metadata['kind'].allowed}",
            serializer=_Serializer(),
            module_name=sys.argv[0],
        )
    flags.DEFINE_string(
        "out", default_out, "folder of the results", module_name=sys.argv[0]
    )

    def checked_command(_):
        values = {
            field.name: flags.FLAGS[field.name].value
            for field in dataclasses.fields(config_type)
        }
        try:
            config, out = config_type(**values), Path(flags.FLAGS.out)
            _check_out(out)
            command(config, out)
        except ConfigError as error:
            _stop(str(error), 2)
        except KeyboardInterrupt:
            _stop("interrupted; nothing was written", 130)

    # JAX tells at this level which accelerators it did not find.
    logging.set_verbosity(logging.WARNING)
    app.run(checked_command, flags_parser=_parse_flags)


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        _stop(" ".join(str(error).split()) + " (--help lists the flags)", 2)
    if len(rest) > 1:
        _stop(f"{rest[1]}: not a flag; flags are written --name=value", 2)
    return rest


def _check_out(out: Path) -> None:
    try:
        records.check_writable(out)
    except OSError as error:
        raise ConfigError(
            f"out: can't write to {str(out)!r} ({error.strerror}); it must be a folder "
            "that can be made and written to"
        ) from error


def _run_and_save(
    config: Any,
    run: Callable[[Any], Record],
    plot: Callable[[Record], Any],
    out: Path,
) -> None:
    with alone_in(out):
        record = run(config)
        records.save(record, plot(record), out)
    records.show(record)
    print(f"\nrecord.json, record.npz, figure.png, figure.svg in {out.resolve()}")


def _stop(message: str, status: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)
