"""How the devices of a CPU share a run: settled once, and kept when it goes on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from experiments.common import devices
from experiments.train.config import Config
from experiments.train.saving import folder_of
from lstm_jax.training import checkpoints, sharding


def settled(config: Config, out: Path, *, resume: bool) -> Config:
    """Returns the configuration with the mesh of `devices.mesh_for`, if it has none.

    A run that goes on keeps the mesh of its newest checkpoint, if there are as many
    devices; if there are fewer, it says so like any other change.
    """
    if config.mesh is not None or jax.process_count() > 1:
        return config
    there = devices.on_cpu()
    batch = None if config.dropout else config.batch_size  # all would draw the same
    mesh = devices.mesh_for(config.num_seeds, batch, there)
    kept = _of_newest(out) if resume else {}
    if "mesh" in kept and sharding.num_devices(kept["mesh"]) <= there:
        mesh = kept["mesh"]
    return replace(config, mesh=mesh)


def _of_newest(out: Path) -> dict[str, Any]:
    """Returns what the newest whole checkpoint was made with; nothing without one."""
    step = checkpoints.latest(folder_of(out))
    return {} if step is None else checkpoints.read(folder_of(out), step).made
