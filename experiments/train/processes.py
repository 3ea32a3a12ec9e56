"""Devices and processes of `experiments.train`: JAX's SPMD runtime, and its flags.

Every process runs the same program. What they must agree on is exchanged here; process
0 alone reads and writes files.
"""

import contextlib
import faulthandler
import ipaddress
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from absl import flags
from jax.experimental import multihost_utils

from experiments.common import cli
from experiments.common.errors import ConfigError
from experiments.common.lock import alone_in
from lstm_jax.training.checkpoints import CheckpointError

# A process that says nothing for so long is given up, and the others are stopped. The
# others notice a closed connection at once; this is for a machine that went dark.
HEARTBEAT_SECONDS = 20
SHUTDOWN_SECONDS = 30
MOST_CPU_DEVICES = 1024  # with thousands, the threads of XLA are too many
STATUS = r"[A-Z_]+: "  # with which XLA's errors begin: "UNKNOWN: Gloo AllGather failed"
BY_HAND = ("coordinator", "num_processes", "process_id")
BY_HAND_FLAGS = ", ".join(f"--{name}" for name in BY_HAND)

T = TypeVar("T")


class Stopped(RuntimeError):
    """Another process of this run can't go on, and said why."""


class Processes(NamedTuple):
    """What the flags say about devices and processes.

    Attributes:
      cpu_devices: how many devices the CPU is to be; None for what JAX finds.
      distributed: whether this is one of several processes.
      coordinator: host:port at which process 0 answers; None where the job's manager
        knows, as for the next two.
      num_processes: of the run.
      process_id: of this process, from 0.
    """

    cpu_devices: int | None = None
    distributed: bool = False
    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None


def define_device_flag() -> None:
    """Makes the flag that a program of one process has."""
    flags.DEFINE_integer(
        "cpu_devices",
        None,
        "devices of the CPU; it runs on the CPU",
        1,
        MOST_CPU_DEVICES,
        module_name=sys.argv[0],
    )


def define_flags() -> None:
    """Makes a flag of every field of `Processes`."""
    define_device_flag()
    here: Any = {"module_name": sys.argv[0]}
    flags.DEFINE_boolean(
        "distributed",
        False,
        "this is one of several processes, which find each other from Slurm, Open MPI "
        "or Kubernetes, or by the next three flags",
        **here,
    )
    flags.DEFINE_string(
        "coordinator", None, "host:port at which process 0 answers", **here
    )
    most = cli.INT32_MAX
    flags.DEFINE_integer("num_processes", None, "processes of the run", 1, most, **here)
    flags.DEFINE_integer("process_id", None, "of this process, from 0", 0, most, **here)


def from_flags() -> Processes:
    """Returns what was given on the command line, by the flags that are defined."""
    values: Any = {
        name: flags.FLAGS[name].value
        for name in Processes._fields
        if name in flags.FLAGS
    }
    return Processes(**values)


def check(processes: Processes) -> None:
    """Raises `ConfigError` where the flags do not make up a run."""
    given = [name for name in BY_HAND if getattr(processes, name) is not None]
    if given and not processes.distributed:
        raise ConfigError(
            f"{given[0]}: got {getattr(processes, given[0])!r} without --distributed; "
            "it must not be given"
        )
    if given and len(given) < len(BY_HAND):
        raise ConfigError(
            f"distributed: got --{given[0]}; it must be all of {BY_HAND_FLAGS}"
        )
    host, _, port = (processes.coordinator or "host:1").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigError(
            f"coordinator: got {processes.coordinator!r}; it must be host:port"
        )
    number, count = processes.process_id, processes.num_processes
    if number is not None and count is not None and number >= count:
        raise ConfigError(
            f"process_id: got {number}; it must be below num_processes, {count}"
        )


def start(processes: Processes) -> None:
    """Makes the devices, and meets the other processes; before any computation.

    Raises:
      ConfigError: the flags do not make up a run, nobody says which process it is, or
        the processes have unequal numbers of devices.
    """
    check(processes)
    if processes.cpu_devices is not None:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", processes.cpu_devices)
    if not processes.distributed:
        return
    try:
        jax.distributed.initialize(
            processes.coordinator,
            processes.num_processes,
            processes.process_id,
            coordinator_bind_address=_bind_address(processes.coordinator),
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except ValueError as error:
        raise ConfigError(
            "distributed: no job of Slurm, Open MPI or Kubernetes was found "
            f"({error}); it must come with {BY_HAND_FLAGS}"
        ) from error
    counts = Counter(device.process_index for device in jax.devices())
    if len(set(counts.values())) > 1:
        raise ConfigError(
            f"distributed: got processes of {', '.join(map(str, counts.values()))} "
            "devices; all must have the same number"
        )


def _bind_address(coordinator: str | None) -> str | None:
    """Returns where process 0 listens; None, which is everywhere, beyond loopback."""
    host = (coordinator or "").rpartition(":")[0]
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return coordinator if loopback else None


def is_first() -> bool:
    """Whether this process reads, writes and speaks for all."""
    return jax.process_index() == 0


def exchanged(value: int) -> np.ndarray:
    """Returns what every process gave, (process,)."""
    if jax.process_count() == 1:
        return np.array([value])
    return multihost_utils.process_allgather(np.int32(value))


def first_says(value: int) -> int:
    """Returns what process 0 gave, at all of them."""
    return int(exchanged(value)[0])


def check_same(about: Mapping[str, Any]) -> None:
    """Sees to it that all processes were started alike.

    Args:
      about: what of this process must be that of all, as JSON knows it.

    Raises:
      ConfigError: they differ; in every process, and says in what.
    """
    all_of_them = [json.loads(text) for text in _exchanged_text(json.dumps(about))]
    first = all_of_them[0]
    for number, other in enumerate(all_of_them):
        for name in sorted({*first, *other}):
            if first.get(name) != other.get(name):
                raise ConfigError(
                    f"{name}: got {first.get(name)!r} in process 0 and "
                    f"{other.get(name)!r} in process {number}; it must be the same in "
                    "all processes of a run"
                )


def _exchanged_text(text: str) -> list[str]:
    """Returns the ASCII text that every process gave."""
    sizes = exchanged(len(text))
    if len(sizes) == 1:
        return [text]
    padded = np.frombuffer(text.ljust(sizes.max()).encode("ascii"), np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return [row.tobytes().decode("ascii") for row in np.asarray(rows)]


@contextlib.contextmanager
def first_alone_in(out: Path) -> Iterator[None]:
    """Holds a folder for all processes; `alone_in` says what is raised, in all."""
    with contextlib.ExitStack() as held:
        by_first(lambda: held.enter_context(alone_in(out)))
        yield


def by_first(work: Callable[[], T]) -> T | None:
    """Returns what `work` does in process 0, None in others, once it is done.

    Raises:
      ConfigError, CheckpointError, OSError: of `work`, in process 0.
      Stopped: meanwhile, in all others.
    """
    result, failure = None, None
    if is_first():
        try:
            result = work()
        except (ConfigError, CheckpointError, OSError) as error:
            failure = error
    if first_says(failure is not None):
        raise failure or Stopped("process 0 can't go on, and says why")
    return result


def of_first(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays of process 0, bit by bit, where all have the same shapes."""
    if jax.process_count() == 1:
        return arrays
    # As bytes: a sum over processes, which this is, would make 0 of -0.
    sent = multihost_utils.broadcast_one_to_all(
        {name: np.frombuffer(a.tobytes(), np.uint8) for name, a in arrays.items()}
    )
    return {
        name: np.frombuffer(sent[name].tobytes(), a.dtype).reshape(a.shape)
        for name, a in arrays.items()
    }


@contextlib.contextmanager
def lost_process_told(processes: Processes, again: str) -> Iterator[None]:
    """Says how to go on where this process ends because another one did.

    Mostly the runtime ends it from within, as it does when process 0 is gone. Python
    does not hear of that, so that a shell waits beside it, and speaks when the pipe
    closes without a word.
    """
    if not processes.distributed:
        yield
        return
    message = (
        f"error: {_name_of(processes)} was ended, most likely because another one was; "
        f"start all again with\n  {again}"
    )
    watcher = subprocess.Popen(
        ["sh", "-c", 'read -r _ || printf "%s\\n" "$1" >&2', "sh", message],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is not for it
    )
    faulthandler.disable()  # it would tell where Python stood, which says nothing here
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if not _is_of_runtime(error):
            raise
        print(str(error).splitlines()[0], file=sys.stderr, flush=True)
        sys.stdout.flush()
        # The usual end would wait for those that are gone.
        os._exit(1)
    finally:
        watcher.communicate(b"done\n")


def _name_of(processes: Processes) -> str:
    if processes.process_id is None:
        return "this process"
    return f"process {processes.process_id} of {processes.num_processes}"


def _is_of_runtime(error: Exception) -> bool:
    """Whether XLA says it; NumPy hears of an array that failed by ValueError."""
    return isinstance(error, jax.errors.JaxRuntimeError) or bool(
        re.match(STATUS, str(error))
    )


def command_to_resume() -> str:
    """Returns this command with --resume."""
    arguments: list[Any] = [word for word in sys.argv[1:] if word != "--resume"]
    return shlex.join(["python", "-m", "experiments.train", *arguments, "--resume"])
