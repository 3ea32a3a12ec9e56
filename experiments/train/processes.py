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

from experiments.common import cli
from experiments.common.errors import ConfigError

# A process that says nothing for so long is given up, and the others are stopped. The
# others notice a closed connection at once; this is for a machine that went dark.
HEARTBEAT_SECONDS = 20


SHUTDOWN_SECONDS = 30


MOST_CPU_DEVICES = 1024  # with thousands, the threads of XLA are too many


STATUS = r"[A-Z_]+: "  # with which XLA's errors begin: "UNKNOWN: Gloo AllGather failed"


BY_HAND = ("coordinator", "num_processes", "process_id")


BY_HAND_FLAGS = ", ".join(f"--{name}" for name in BY_HAND)


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
