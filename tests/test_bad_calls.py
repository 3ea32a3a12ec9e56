"""What can't be is refused in one line that names it, before any work is done."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import bad_calls
import pytest

FOLDER = Path(__file__).parent


@cache
def raised():
    """What every bad call raised, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parent)}
    found = subprocess.run(
        [sys.executable, FOLDER / "bad_calls.py"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return json.loads(found.stdout)


@pytest.mark.parametrize("name", bad_calls.BAD)
def test_a_bad_call_ends_in_one_line(name):
    error, line = raised()[name]
    bad = bad_calls.BAD[name]
    # What JAX appends on lines of its own is not ours.
    line, *more = line.split("\n")
    assert (error, line[: len(bad.line)]) == (bad.error.__name__, bad.line)
    assert not more or more[0].startswith("---"), more
