"""Devices and processes of `experiments.train`: JAX's SPMD runtime, and its flags.

Every process runs the same program; what they must agree on, `exchange` tells them.
"""

import contextlib
import faulthandler
import ipaddress
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from absl import flags

from experiments.common import cli, devices
from experiments.common.errors import ConfigError

# A process that is silent for this long is given up, and the others are stopped. They
# notice a closed connection at once; this is for a machine that has gone down.
HEARTBEAT_SECONDS = 20


SHUTDOWN_SECONDS = 30


STATUS = r"[A-Z_]+: "  # with which XLA's errors begin: "UNKNOWN: Gloo AllGather failed"


BY_HAND = ("coordinator", "num_processes", "process_id")


BY_HAND_FLAGS = ", ".join(f"--{name}" for name in BY_HAND)


class Processes(NamedTuple):
    """The flags for devices and processes; those not given are None."""

    cpu_devices: int | str = devices.AUTO
    distributed: bool = False
    coordinator: str | None = None  # None: the job manager knows these last three
    num_processes: int | None = None
    process_id: int | None = None


def define_flags() -> None:
    """Defines a flag for every field of `Processes` but the devices."""
    here: Any = {"module_name": sys.argv[0]}
    flags.DEFINE_boolean(
        "distributed",
        False,
        "this is one of several processes, which find each other through Slurm, Open "
        "MPI or Kubernetes, or by --coordinator, --num_processes and --process_id",
        **here,
    )
    flags.DEFINE_string(
        "coordinator", None, "host:port at which process 0 answers", **here
    )
    most = cli.INT32_MAX
    flags.DEFINE_integer("num_processes", None, "processes in the run", 1, most, **here)
    flags.DEFINE_integer("process_id", None, "of this process, from 0", 0, most, **here)


def from_flags() -> Processes:
    """Returns what the command line gives, for the flags that are defined."""
    values: Any = {
        name: flags.FLAGS[name].value
        for name in Processes._fields
        if name in flags.FLAGS
    }
    return Processes(**values)


def check(processes: Processes) -> None:
    """Raises `ConfigError` if the flags contradict each other or are incomplete."""
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


def start(processes: Processes, mesh: str | None) -> None:
    """Sets up the devices and joins the other processes; before any computation.

    One of several processes has one CPU device unless it is told otherwise. To try out
    a mesh there may be more devices than cores.

    Raises:
      ConfigError: the flags are refused by `check` or `devices.begin`, no job manager
        or flag says which process this is, or the processes have different numbers of
        devices.
    """
    check(processes)
    together = processes.distributed
    if not (together and processes.cpu_devices == devices.AUTO):
        devices.begin(processes.cpu_devices, trial=together or mesh is not None)
    if not together:
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
    """Returns a loopback address to listen on only there; else None: everywhere."""
    host = (coordinator or "").rpartition(":")[0]
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return coordinator if loopback else None


@contextlib.contextmanager
def lost_process_told(processes: Processes, again: str) -> Iterator[None]:
    """Prints how to resume if this process ends because another one did.

    Usually the runtime kills the process itself, as when process 0 is gone. Python has
    no chance to react, so a shell waits beside it and prints the message when its pipe
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
        start_new_session=True,  # so that Ctrl-C does not reach it
    )
    faulthandler.disable()  # a traceback of where Python stood would not help here
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if not _is_of_runtime(error):
            raise
        print(str(error).splitlines()[0], file=sys.stderr, flush=True)
        sys.stdout.flush()
        # A normal exit would wait for the processes that are gone.
        os._exit(1)
    finally:
        watcher.communicate(b"done\n")


def _name_of(processes: Processes) -> str:
    if processes.process_id is None:
        return "this process"
    return f"process {processes.process_id} of {processes.num_processes}"


def _is_of_runtime(error: Exception) -> bool:
    """Whether XLA raised it, or NumPy when it read an array that XLA failed to make."""
    return isinstance(error, jax.errors.JaxRuntimeError) or bool(
        re.match(STATUS, str(error))
    )


def command_to_resume(experiment: str) -> str:
    """Returns the command of this process with --resume."""
    arguments: list[Any] = [word for word in sys.argv[1:] if word != "--resume"]
    module = f"experiments.{experiment}"
    return shlex.join(["python", "-m", module, *arguments, "--resume"])
