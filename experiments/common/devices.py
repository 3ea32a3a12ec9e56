"""The devices of a command: on a CPU, by default, one for each core.

A small network keeps one core busy. Networks side by side, or the parts of a batch, on
a device each keep all of them busy. Only commands choose: `run(Config())` in a notebook
computes on the devices that JAX has there.
"""

import math
import os
from typing import Any, cast

import jax
from jax.sharding import Mesh

from experiments.common import environment
from experiments.common.cores import is_beside_others
from experiments.common.errors import ConfigError
from lstm_jax.training import sharding

AUTO = "auto"
MOST = 1024  # with thousands, the threads of XLA are too many


def begin(asked: str | int, *, trial: bool = False) -> None:
    """Makes the CPU act as `asked` devices, one per core if "auto".

    A number also puts the run on the CPU. "auto" leaves alone what the environment
    says, in JAX_NUM_CPU_DEVICES or XLA_FLAGS.

    Args:
      asked: "auto", or a number from 1.
      trial: whether there may be more devices than cores, to try a mesh out.

    Raises:
      ConfigError: there are fewer cores, or JAX has begun to compute.
    """
    cores = environment.cores()
    if asked == AUTO:
        if not _said_elsewhere():
            _act_as(cores)
        return
    if int(asked) > cores and not trial:
        raise ConfigError(
            f"cpu_devices: got {asked} on {cores} cores; it must be at most {cores}, "
            f"or come with a mesh to try out; 'auto' would run on {cores}"
        )
    _act_as(int(asked))
    jax.config.update("jax_platforms", "cpu")


def _said_elsewhere() -> bool:
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    return forced or cast(Any, jax.config).jax_num_cpu_devices > 0


def _act_as(count: int) -> None:
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError as error:
        there = jax.device_count("cpu")
        if count != there:
            raise ConfigError(
                f"cpu_devices: got {count} after JAX began to compute on {there}; it "
                f"must be given before, or be {there}"
            ) from error


def on_cpu() -> int:
    """Returns how many devices the CPU acts as; 1 where something else computes."""
    return jax.local_device_count() if jax.default_backend() == "cpu" else 1


def mesh_for(num_runs: int, batch_size: int | None, devices: int) -> str | None:
    """Returns how devices share a training: seeds first, then the batch.

        seed  = gcd(num_runs, devices)             which exchange nothing
        data  = gcd(batch_size, devices // seed)   which sum their gradients

    Args:
      num_runs: networks trained side by side.
      batch_size: sequences of an update; None if they must stay together.
      devices: how many there are.

    Returns:
      The text that `sharding.mesh_of` reads, such as "seed:2"; None for one device.
    """
    seeds = math.gcd(num_runs, devices)
    rows = 1 if batch_size is None else math.gcd(batch_size, devices // seeds)
    sizes = {sharding.SEED: seeds, sharding.DATA: rows}
    parts = [f"{axis}:{size}" for axis, size in sizes.items() if size > 1]
    return ",".join(parts) or None


def mesh_of_networks(count: int) -> Mesh | None:
    """Returns the devices of a CPU, at most one per network; None for one device.

    Parts of an experiment that run beside one another have a core each, and compiling
    for several devices would only cost more.
    """
    devices = 1 if is_beside_others() else min(count, on_cpu())
    return sharding.mesh_of(f"seed:{devices}") if devices > 1 else None
