"""Devices of a command: the rule, what is refused, and that two give what one gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from training.saving import HISTORY, state_of

from experiments.common import devices
from experiments.common.errors import ConfigError
from experiments.train import Config
from experiments.train.saving import folder_of
from experiments.train.sharing import settled
from lstm_jax.training import checkpoints

MADE_ON_TWO = {"mesh": "seed:2"}
HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.mark.parametrize(
    ("num_runs", "batch_size", "there", "mesh"),
    [
        (8, 32, 1, None),
        (8, 32, 2, "seed:2"),
        (1, 32, 2, "data:2"),
        (5, 32, 2, "data:2"),
        (6, 32, 8, "seed:2,data:4"),
        (3, 7, 2, None),
        (1, None, 2, None),
        (4, None, 6, "seed:2"),
    ],
)
def test_devices_share_the_seeds_first_and_then_the_batch(
    num_runs, batch_size, there, mesh
):
    assert devices.mesh_for(num_runs, batch_size, there) == mesh


def test_more_devices_than_cores_are_for_trials_alone(monkeypatch):
    monkeypatch.setenv("NPROC", "2")
    line = "got 3 on 2 cores; it must be at most 2, or come with a mesh to try out"
    with pytest.raises(
        ConfigError, match=f"cpu_devices: {line}; 'auto' would run on 2"
    ):
        devices.begin(3)


def test_devices_are_chosen_before_jax_begins():
    there = jax.device_count()
    devices.begin(there, trial=True)
    with pytest.raises(ConfigError, match=f"got {there + 1} after JAX began to comp"):
        devices.begin(there + 1, trial=True)
    assert devices.on_cpu() == there


def test_two_devices_give_what_one_gives_and_a_run_keeps_its_two(tmp_path):
    saved = state_of(0)
    checkpoints.save(
        folder_of(tmp_path), 1, saved, config={}, history=HISTORY, made=MADE_ON_TWO
    )
    env = {**os.environ, "NPROC": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, HERE / "on_two_devices.py", tmp_path],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("difference") < 1e-12
    assert found == {
        "devices": 2,
        "of one seed": "data:2",
        "of two seeds": "seed:2",
        "of one seed again": "seed:2",
        "alone": 2,
        "beside others": [None, None],
    }
    # This process has one device: the run can't keep its mesh.
    assert settled(Config(num_seeds=2), tmp_path, resume=True).mesh is None
