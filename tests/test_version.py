"""--version, on every command."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from problems import slow_but

import lstm_jax as lj

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    slow_but(["experiments.train"], ["experiments", "experiments.train", "benchmarks"]),
)
def test_a_command_says_its_version(module):
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout == f"lstm_jax {lj.__version__}\n"
    assert done.returncode == 0
    assert lj.__version__ == version("lstm_jax")
