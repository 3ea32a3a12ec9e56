"""IndRNN: every unit decays by its own weight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close

import lstm_jax as lj

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
def test_an_active_unit_of_indrnn_keeps_the_power_of_its_weight():
    params = lj.cells.INDRNN.init(jax.random.key(0), 1, 3, dtype=jnp.float64)
    assert (params.u >= 0).all() and (params.u <= 1).all()
    last = lambda h: lj.unroll_reference(
        lj.cells.INDRNN, params, jnp.zeros((9, 1)), lj.RNNCarry(h=h)
    )[1][-1]
    ones = jnp.ones(3)
    assert_close(jax.jvp(last, (ones,), (ones,))[1], params.u**9)


@in_float64
def test_clipped_indrnn_grows_no_gradient_beyond_gamma():
    params = lj.cells.INDRNN.init(
        jax.random.key(0), 1, 50, smallest=-3.0, largest=3.0, dtype=jnp.float64
    )
    clipped = lj.cells.clip_indrnn(params, max_lag=20, gamma=2.0)
    assert_close(jnp.abs(clipped.u).max() ** 20, np.array(2.0))
    small = jnp.abs(params.u) < 1
    np.testing.assert_array_equal(clipped.u[small], params.u[small])
    by_default = lj.cells.clip_indrnn(params, max_lag=20)
    np.testing.assert_array_equal(by_default.u, clipped.u)
