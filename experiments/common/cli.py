"""Turns a `Config` into absl flags, and a wrong value into one clear line.

A default, its help and what is allowed are written once, in the dataclass:

    @dataclass(frozen=True)
    class Config(Flags):
        lag: int = option(40, integer(minimum=1), "steps between scene and question")

so `run(Config(lag=0))` in a notebook and `--lag=0` on a command line say the same.
"""

import contextlib
import dataclasses
import errno
import functools
import io
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, cast

import jax
import numpy as np
from absl import app, flags, logging

import lstm_jax as lj
from experiments.common import devices, records, usage, wording
from experiments.common.errors import ConfigError as ConfigError
from experiments.common.kinds import INT32_MAX as INT32_MAX
from experiments.common.kinds import SEED_MAX as SEED_MAX
from experiments.common.kinds import SWITCH
from experiments.common.kinds import Kind as Kind
from experiments.common.kinds import either as either
from experiments.common.kinds import integer as integer
from experiments.common.kinds import list_of as list_of
from experiments.common.kinds import number as number
from experiments.common.kinds import number_in as number_in
from experiments.common.kinds import one_of as one_of
from experiments.common.kinds import optional as optional
from experiments.common.kinds import seed as seed
from experiments.common.kinds import switch as switch
from experiments.common.kinds import text as text
from experiments.common.lock import alone_in
from experiments.common.pipes import quiet_when_unread
from experiments.common.records import Record
from lstm_jax import plots
from lstm_jax.training import disk

HELP = {"h", "help", "helpshort", "helpfull"}  # the last three are absl's own
OWN = "__annotations__"  # of a class, without those it inherits
INTERRUPTED = 128 + signal.SIGINT  # the exit status that shells expect


STYLE = one_of(plots.STYLES)
CPU_DEVICES = either(devices.AUTO, integer(minimum=1, maximum=devices.MOST))


def option(default: Any, kind: Kind, help: str, *, positional: bool = False) -> Any:
    """Returns a dataclass field that is also a flag, or a word on its own."""
    said = {"kind": kind, "help": help, "positional": positional}
    return dataclasses.field(default=default, metadata=said)


@dataclasses.dataclass(frozen=True)
class Flags:
    """The settings of an experiment: every field is an `option`, and so a flag."""

    def __post_init__(self) -> None:
        """Raises `ConfigError` for the first field with a value that is not allowed.

        NumPy numbers become Python's, as records and command lines write them.
        """
        for field in dataclasses.fields(self):
            value, kind = _python(getattr(self, field.name)), field.metadata["kind"]
            if not kind.holds(value):
                raise ConfigError(
                    f"{field.name}: got {value!r}; it must be {kind.allowed}"
                )
            object.__setattr__(self, field.name, value)


def _python(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_python(one) for one in value)
    return value.item() if isinstance(value, np.generic) else value


class _Parser(flags.ArgumentParser):
    """Turns a flag's text into a value, or says what it must be."""

    def __init__(self, kind: Kind):
        self.kind = kind

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        with contextlib.suppress(ValueError):
            value = self.kind.parse(argument)
            if self.kind.holds(value):
                return value
        raise ValueError(f"it must be {self.kind.allowed}")


class _Serializer(flags.ArgumentSerializer):
    """Writes a value as on a command line."""

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
        devices.begin(flags.FLAGS.cpu_devices)
        with alone_in(out):
            record = run(config)
            records.save(record, plot(record), out)
        records.show(record)
        print(f"\nrecord.json, record.npz, figure.png, figure.svg in {out.resolve()}")

    start(config_type, command, f"out/{name}", trains=True)


def start(
    config_type: type,
    command: Callable[[Any, Path], None],
    default_out: str,
    *,
    trains: bool = False,
) -> None:
    """Calls `command(config, out)` with the values of the flags, as `begin` does.

    One that trains has --cpu_devices, with which it calls `devices.begin`.
    """

    def in_folder(config):
        style = plots.in_style(flags.FLAGS.style)
        with _folder(flags.FLAGS.out) as out, style:
            command(config, out)

    for field in _in_order(config_type):
        _define(field)
    flags.DEFINE_string(
        "out", default_out, "folder of the results", module_name=sys.argv[0]
    )
    flags.DEFINE(
        _Parser(STYLE),
        "style",
        "paper",
        "how the figure is drawn, slide with larger letters and lines; " + STYLE.hint,
        module_name=sys.argv[0],
    )
    if trains:
        flags.DEFINE(
            _Parser(CPU_DEVICES),
            "cpu_devices",
            devices.AUTO,
            f"how many the CPU acts as, auto for one per core; {CPU_DEVICES.hint}",
            module_name=sys.argv[0],
        )
    _run(config_type, in_folder)


def begin(config_type: type, command: Callable[[Any], None]) -> None:
    """Calls `command(config)` with the values of the flags.

    The exit status is 0; 2, with one line on stderr, for a wrong argument; 1, with one
    line, when memory runs out; 130 after a Ctrl-C that the command did not handle, when
    nothing was written; 141 when what reads its lines stopped doing so.
    """
    for field in _in_order(config_type):
        _define(field)
    _run(config_type, command)


def _run(config_type: type, command: Callable[[Any], None]) -> None:
    def checked_command(_):
        try:
            command(config_type(**_given(config_type)))
        except ConfigError as error:
            stop(str(error), 2)
        except KeyboardInterrupt:
            stop("interrupted; nothing was written", INTERRUPTED)
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            stop(f"out of memory; the sizes are {_sizes(_given(config_type))}", 1)

    # A console that can't show σ shows an escape instead.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Below this level JAX lists the accelerators that it did not find.
    logging.set_verbosity(logging.WARNING)
    try:
        parse = functools.partial(_parse_flags, unnamed=_unnamed(config_type))
        with quiet_when_unread():
            app.run(checked_command, flags_parser=parse)
    except SystemExit as ended:
        # Processes that run together must shut down together.
        if ended.code == INTERRUPTED and not jax.distributed.is_initialized():
            _leave_at_once(INTERRUPTED)
        raise


def _in_order(config_type: type) -> list[dataclasses.Field]:
    """Returns the fields as --help shows them: its own before those it inherits."""
    known = {field.name: field for field in dataclasses.fields(config_type)}
    names = [name for of in config_type.__mro__ for name in vars(of).get(OWN, ())]
    return [known[name] for name in dict.fromkeys(names) if name in known]


def _define(field: dataclasses.Field) -> None:
    kind, default = field.metadata["kind"], cast(Any, field.default)
    here: Any = {"module_name": sys.argv[0]}
    help = f"{field.metadata['help']}; {kind.hint}"
    if kind.parse == SWITCH.parse:
        flags.DEFINE_boolean(field.name, default, help, **here)
        return
    parser, serializer = _Parser(kind), _Serializer()
    flags.DEFINE(parser, field.name, field.default, help, serializer=serializer, **here)


def _given(config_type: type) -> dict[str, Any]:
    """Returns the values of the flags, by field."""
    names = [field.name for field in dataclasses.fields(config_type)]
    return {name: flags.FLAGS[name].value for name in names}


def _unnamed(config_type: type) -> str | None:
    """Returns the field that a word which is no flag belongs to."""
    fields = dataclasses.fields(config_type)
    return next((each.name for each in fields if each.metadata["positional"]), None)


def _parse_flags(argv: list[str], *, unnamed: str | None) -> list[str]:
    words = {word.lstrip("-") for word in argv[1:] if word.startswith("-")}
    if HELP & words:
        usage.show()
        sys.exit(0)
    if "version" in words:
        print(f"lstm_jax {lj.__version__}")
        sys.exit(0)
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        stop(f"{wording.one_line(str(error))} (--help lists the flags)", 2)
    if unnamed and len(rest) == 2 and flags.FLAGS[unnamed].value is None:
        flags.FLAGS[unnamed].value = rest.pop()
    if len(rest) > 1:
        message = f"{rest[1]}: not a flag; flags are written --name=value"
        stop(wording.one_line(message), 2)
    return rest


@contextlib.contextmanager
def _folder(text: str) -> Iterator[Path]:
    """Yields the folder of the results; removes a new one that stays empty."""
    out = Path(text)
    with contextlib.ExitStack() as made:
        try:
            if not text:
                raise FileNotFoundError(errno.ENOENT, "it has no name")
            made.enter_context(disk.folder_if_used(out))
            with tempfile.TemporaryFile(dir=out):
                pass
        except OSError as error:
            raise ConfigError(
                f"out: can't write to {text!r} ({error.strerror}); it must be a folder "
                "that can be made and written to"
            ) from error
        yield out


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "Out of memory" in str(error)


def _sizes(values: dict[str, Any]) -> str:
    """Returns the integers among the settings, as text."""
    return ", ".join(
        f"{name}={value}"
        for name, value in values.items()
        if isinstance(value, int) and name != "seed"
    )


def stop(message: str, status: int) -> NoReturn:
    """Ends the process with one line on stderr."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)


def _leave_at_once(status: int) -> NoReturn:
    """Ends the process without Python's own shutdown.

    Shutting XLA down while it still compiles what Ctrl-C interrupted ended in a
    segmentation fault one time in six.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
