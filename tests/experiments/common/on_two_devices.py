"""Trains three networks, and settles a run in FOLDER, on two CPU devices.

NPROC=2 python on_two_devices.py FOLDER
"""

import json
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np

import lstm_jax as lj
from experiments import train
from experiments.common import devices, training
from experiments.common.cores import on_all_cores
from experiments.train.sharing import settled
from lstm_jax.training import runs

RECIPE = runs.Recipe(
    lj.RNN,
    lj.TASKS["delayed_xor"],
    partial(training.optimizer, 0.1),
    hidden_size=2,
    batch_size=2,
    length=12,
    init_options={"dtype": np.float64},
)
STEPS = 3


def difference():
    """The largest difference between networks of two devices and of one."""
    begun = runs.program(RECIPE).begin(
        jax.random.split(jax.random.key(0), 3), runs.Settings()
    )
    shared = training.train_side_by_side(
        begun, RECIPE, num_steps=STEPS, what="", advance=lambda *_: None
    )
    alone, _ = runs.program(RECIPE).steps(begun, runs.Settings(), STEPS)
    apart = jax.tree.map(
        lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(),
        shared.params,
        alone.params,
    )
    return float(max(jax.tree.leaves(apart)))


def main(folder):
    """Prints one line of JSON."""
    devices.begin(devices.AUTO)
    one = train.Config(num_seeds=1)
    two = train.Config(num_seeds=2)
    with jax.enable_x64(True):
        apart = difference()
    alone = devices.mesh_of_networks(3)
    found = {
        "alone": None if alone is None else alone.size,
        "beside others": on_all_cores([partial(devices.mesh_of_networks, 3)] * 2),
        "devices": jax.device_count(),
        "difference": apart,
        "of one seed": settled(one, folder, resume=False).mesh,
        "of two seeds": settled(two, folder, resume=False).mesh,
        "of one seed again": settled(one, folder, resume=True).mesh,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
