"""Logarithms of the gradients of single units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import (
    GRID,
    TIME,
    at_step,
    carry_gradients,
    lags,
    make_masks,
    make_sequence,
    measured,
    rnn_params,
    silence,
    sum_of_last,
    weighted_loss,
)
from numpy.testing import assert_allclose
from problems import LINEAR, assert_trees_close, in_float64, make_carry

import lstm_jax as lj
from lstm_jax.gradients.units import log_gradients


@in_float64
@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
def test_log_gradients_are_the_logarithms_of_every_unit(reverse):
    params, xs, weights = make_sequence(lj.LSTM, GRID)
    lengths = jnp.array([[0, 2], [TIME - 1, TIME]], jnp.int32)
    masks = make_masks(lengths=lengths, resets=at_step(2), reverse=reverse)
    carry = make_carry(lj.LSTM, params, GRID)
    args = (lj.LSTM, params, xs, weighted_loss(weights), carry)
    gradients = carry_gradients(*args, **masks)
    with np.errstate(divide="ignore"):
        wanted = jax.tree.map(lambda g: np.log(np.abs(g)), gradients)
    found = measured(log_gradients, *args, **masks)
    assert_trees_close(found, wanted, rtol=0, atol=1e-11)
    assert np.any(found.c == -np.inf) and np.any(np.isfinite(found.c))


def test_units_that_fade_apart_all_come_out_right():
    """A linear net of three units, of which 0 feeds 1; down to 1e-9000 in float32.

    a_t = W^n 1 with n = T - t: w_jj^n of units 1 and 2, and of unit 0, with e = W_01,
    w_00^n + e (w_11^n - w_00^n) / (w_11 - w_00).
    """
    time, w, e = 3000, np.array([0.1, 0.9, 1e-3]), 1e-20
    w_hh = np.diag(w)
    w_hh[0, 1] = e
    params = rnn_params(jnp.asarray(w_hh, jnp.float32))
    xs = silence(time, dtype=jnp.float32)
    found = measured(log_gradients, LINEAR, params, xs, sum_of_last).h
    n = lags(time)
    by_itself = n[:, None] * np.log(w)
    fed = np.log(e / (w[1] - w[0])) + by_itself[:, 1] + np.log1p(-((w[0] / w[1]) ** n))
    assert_allclose(found[:, 0], np.logaddexp(by_itself[:, 0], fed), rtol=1e-6)
    assert_allclose(found[:, 1:], by_itself[:, 1:], rtol=1e-6)
