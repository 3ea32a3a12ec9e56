"""MinimalRNN: an encoding, and a gate that keeps."""

import jax.numpy as jnp
import pytest
from cells.sequences import SIZES, float64_problem
from comparing import assert_close

import lstm_jax as lj

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
def test_a_minimal_rnn_that_keeps_nothing_shows_its_encoding():
    """u = 0 gives h = z, whatever was before; u = 1 gives h = h_{t-1}."""
    params, carry, xs, *_ = float64_problem(lj.cells.MINIMAL_RNN)
    z = jnp.tanh(xs[0] @ params.w_ih + params.b_z)
    for bias, wanted in [(-800.0, z), (800.0, carry.h)]:
        sure = params._replace(b=jnp.full(SIZES.hidden, bias))
        assert_close(lj.cells.MINIMAL_RNN.step(sure, carry, xs[0])[1], wanted)
