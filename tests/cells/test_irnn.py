"""IRNN: active units keep their gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close

import lstm_jax as lj

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
def test_irnn_that_is_active_and_hears_nothing_keeps_its_gradient():
    """||dL/dh_t|| is constant on active units: relu, and W = I."""
    params = lj.cells.IRNN.init(jax.random.key(0), 2, 3, dtype=jnp.float64)
    np.testing.assert_array_equal(params.w_hh, np.eye(3))
    carry = lj.RNNCarry(h=jnp.array([0.5, 0.1, 2.0]))
    measure = jax.jit(lj.gradient_norms, static_argnames="loss_fn")
    loss_fn = lambda ys: ys[-1].sum()
    norms = measure(lj.cells.IRNN, params, jnp.zeros((50, 2)), loss_fn, carry)
    assert_close(norms.h, np.full(50, 3**0.5))
