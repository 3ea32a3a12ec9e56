"""LSTM with layer normalisation: which scales it sees, and how it starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import float64_problem
from comparing import assert_close

import lstm_jax as lj
from lstm_jax import initializers

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
def test_layer_norm_lstm_does_not_see_the_size_of_its_weights():
    """LN(s v) = LN(v) for s > 0, but for ε."""
    cell = lj.cells.layer_norm_lstm(epsilon=1e-30)
    params, carry, xs, *_ = float64_problem(cell)
    louder = params._replace(w_ih=7 * params.w_ih, w_hh=0.1 * params.w_hh)
    assert_close(cell.step(louder, carry, xs[0]), cell.step(params, carry, xs[0]))


def test_layer_norm_lstm_starts_with_the_norm_alone(key):
    params = lj.cells.LAYER_NORM_LSTM.init(
        key, 2, 3, recurrent_init=initializers.uniform
    )
    for scale in (params.scale_ih, params.scale_hh, params.scale_c):
        np.testing.assert_array_equal(scale, np.ones(scale.shape))
    np.testing.assert_array_equal(params.b_c, np.zeros(3))


@pytest.mark.slow
def test_half_precision_keeps_a_small_spread_around_a_large_mean(key):
    """All of c is kept and shown; its mean, 64.875, is no bfloat16."""
    params = lj.cells.LAYER_NORM_LSTM.init(key, 1, 4, dtype=jnp.bfloat16)
    gates = jnp.repeat(jnp.array([-100, 100, 0, 100], jnp.bfloat16), 4)
    c = jnp.array([64, 64.5, 65, 66], jnp.bfloat16)
    low = (params._replace(b=gates), lj.LSTMCarry(h=0 * c, c=c), 0 * c[:1])
    high = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), low)
    assert_close(
        lj.cells.LAYER_NORM_LSTM.step(*low)[1], lj.cells.LAYER_NORM_LSTM.step(*high)[1]
    )
