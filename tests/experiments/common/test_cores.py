"""Parts of an experiment on all cores: order, precision, errors."""

import threading

import jax
import jax.numpy as jnp
import pytest

from experiments.common.cores import on_all_cores


def test_results_come_in_order_in_the_callers_precision(x64):
    first_waits = threading.Event()

    def first():
        assert first_waits.wait(60)
        return jnp.ones(()).dtype

    def second():
        first_waits.set()
        return 2

    assert on_all_cores([first, second]) == [jnp.float64, 2]
    with jax.enable_x64(False):
        assert on_all_cores([lambda: jnp.ones(()).dtype]) == [jnp.float32]


def test_an_error_is_the_callers():
    def fails():
        raise ValueError("as it was")

    with pytest.raises(ValueError, match="as it was"):
        on_all_cores([fails])
