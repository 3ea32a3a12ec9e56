"""Shapes and dtypes are those of the annotations, in a choice of the tests."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# To check every call of every test would take a fifth of the time of all.
FEW = ("test_readouts.py", "theory/test_gates.py")
MANY = (
    "cells",
    "gradients/test_carry.py",
    "tasks/test_answers.py",
    "test_unrolling.py",
    "theory",
    "training/test_loop.py",
)


@pytest.mark.slow
@pytest.mark.parametrize("files", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_they_hold_wherever_these_tests_call(files):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "no:xdist", "--jaxtyping-packages=lstm_jax,beartype.beartype"]
    done = subprocess.run(
        [*command, *(f"tests/{file}" for file in files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
