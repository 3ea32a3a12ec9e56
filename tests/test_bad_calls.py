"""What can't be is refused in one line that names it, before any work is done."""

import json
import os
import pickle
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import bad_calls
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import checks

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


def test_numbers_of_every_library_and_traced_ones_are_let_through():
    init = partial(lj.LSTM.init, jax.random.key(0), 2)
    for size in (3, np.int64(3), jnp.int32(3)):
        assert checks.check_whole("size", size, 1, 3) == 3
    for bias in (2, 2.0, np.float32(2), jnp.float32(2), np.full(3, 2)):
        checks.check_number("forget_bias", bias, "[2, 2]")
    traced = jax.jit(lambda bias, gain: init(3, forget_bias=bias, gain=gain).b)
    assert traced(jnp.nan, 1.0).shape == (12,)  # a value that nobody knows yet
    old = jax.random.PRNGKey(0)
    checks.check_key("key", old)
    jax.vmap(lambda key: checks.check_key("key", key))(jax.random.split(old, 2))


def test_a_table_is_a_dictionary_like_any_other():
    assert "LSTM" not in lj.CELLS and lj.CELLS.get("LSTM") is None
    assert list(lj.CELLS | {}) == list(lj.CELLS)
    assert pickle.loads(pickle.dumps(checks.Named("number", {"one": 1}))) == {"one": 1}
