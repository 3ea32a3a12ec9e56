"""Runs and gradients under meshes: explicit, automatic and manual axes.

The functions are in mesh_runs.py and run in a process of several devices.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_on(*arguments):
    done = subprocess.run(
        [sys.executable, "tests/engine/mesh_runs.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_devices_give_what_one_gives():
    run_on("2", "few")


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["2", "8"])
def test_many_devices_give_what_one_gives(devices):
    run_on(devices)
