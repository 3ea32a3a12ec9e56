"""Sequences of different lengths: read at their own ends, their curves moved there."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.ragged import CELL, LENGTHS, TIME, float64_run, last
from numpy.testing import assert_allclose, assert_array_equal
from problems import compiled, slow_but

import lstm_jax as lj


@pytest.fixture
def ragged(key):
    params = lj.LSTM.init(key, 3, 4)
    xs = jax.random.normal(key, (8, 3, 3))
    lengths = jnp.array([0, 5, 8])

    def loss(ys):
        return jnp.sum(ys[lengths - 1, jnp.arange(3)])

    @jax.jit
    def measure(params, xs):
        norms = lj.log_gradient_norms(lj.LSTM, params, xs, loss, lengths=lengths)
        alone = lj.log_gradient_norms(
            lj.LSTM, params, xs[:5, 1], lambda ys: jnp.sum(ys[-1])
        )
        return norms.c, alone.c

    return measure(params, xs)


@pytest.mark.slow
def test_a_curve_that_ends_earlier_is_read_from_its_own_end(ragged):
    norms, alone = ragged
    assert_allclose(lj.log_shares(norms)[:5, 1], lj.log_shares(alone), atol=1e-5)
    assert np.all(lj.log_shares(norms)[5:, 1] == -np.inf)
    for fraction in (0.5, 0.9):
        found = lj.horizon(norms, fraction)
        assert_allclose(found[1], lj.horizon(alone, fraction), rtol=1e-4)
        assert np.isnan(found[0])


@pytest.fixture
def run(x64):
    """Params and inputs of sequences of different lengths, in float64."""
    return float64_run()


@cache
def curves():
    measure = compiled(lj.log_gradient_norms, CELL, loss_fn=last, lengths=LENGTHS)
    return measure(*float64_run())


@cache
def alone(k):
    """The curves of one sequence without its padding."""
    params, xs = float64_run()
    xs = np.asarray(xs)[: LENGTHS[k], k]
    loss = lambda ys: ys[-1].sum()
    return compiled(lj.log_gradient_norms, CELL, loss_fn=loss)(params, xs)


moved = jax.jit(lj.gradients.by_lag)


# A run of each length is compiled anew.
@pytest.mark.parametrize("k", slow_but([1], range(len(LENGTHS))))
def test_a_moved_curve_is_that_of_the_sequence_alone(k, run):
    found, length = moved(curves(), LENGTHS), LENGTHS[k]
    assert isinstance(found, lj.LSTMCarry)
    for leaf, wanted in zip(map(np.asarray, found), alone(k), strict=True):
        assert leaf.shape == (TIME, len(LENGTHS))
        assert_allclose(leaf[TIME - length :, k], wanted, rtol=1e-12)
        assert np.isnan(leaf[: TIME - length, k]).all()


READERS = {
    "decay_rate": lj.decay_rate,
    "fit_decay": lambda curve: lj.fit_decay(curve).stderr,
    "half_life": lambda curve: lj.half_life(lj.decay_rate(curve)),
    "horizon": lambda curve: lj.horizon(curve, 0.5),
    "horizon, of what is never lost": lambda curve: lj.horizon(curve, 1e-30),
    "rounding_lag": lambda curve: lj.gradients.rounding_lag(8 * curve, jnp.bfloat16),
    "underflow_lag": lambda curve: lj.gradients.underflow_lag(curve - 7.5, jnp.float16),
    "effective_window": lj.gradients.effective_window,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_but(["decay_rate"], READERS))
def test_what_is_read_off_a_moved_curve_is_read_off_the_sequence_alone(name, run):
    read = READERS[name]
    found = read(lj.joint_log_norms(lj.gradients.by_lag(curves(), LENGTHS)))
    wanted = [read(lj.joint_log_norms(alone(k))) for k in range(len(LENGTHS))]
    assert_allclose(found, np.stack(wanted), rtol=1e-10)
    if name != "fit_decay":  # which needs three entries
        assert np.isfinite(found[0]) or "never" in name


def test_shares_are_nan_before_the_beginning_alone(run):
    shares = np.asarray(jax.jit(lj.log_shares)(moved(curves().c, LENGTHS)))
    assert_array_equal(shares[-1], 0)
    assert_array_equal(np.isnan(shares).sum(0), TIME - LENGTHS)


@pytest.mark.slow
def test_the_window_of_a_fit_counts_steps_of_the_moved_curve(run):
    curve = lj.gradients.by_lag(curves().c, LENGTHS)
    first, last = lj.fit_decay(curve).window
    assert_array_equal(first, TIME - LENGTHS)
    assert_array_equal(last, TIME - 1)
    cut = lj.fit_decay(curve, (2, TIME - 1))
    assert_allclose(cut.rate[1], lj.decay_rate(alone(1).c[:-1]), rtol=1e-10)


@pytest.mark.parametrize("name", slow_but(["horizon", "effective_window"], READERS))
def test_nan_after_the_beginning_is_a_number_that_nobody_knows(name, run):
    read, curve = jax.jit(READERS[name]), np.array(moved(curves().c, LENGTHS))
    curve[TIME - 3, 1] = np.nan
    unknown = read(curve)
    wanted = -1 if name == "effective_window" else np.nan
    assert_array_equal(unknown[1], wanted)
    assert_array_equal(unknown[0], read(curve[:, 0]))
    assert_array_equal(read(np.full((5,), np.nan)), wanted)


def test_a_sequence_without_a_step_is_nan_and_lengths_may_be_traced(run):
    curve = curves().h
    traced = np.asarray(moved(curve, np.array([TIME, 4, 0, 99])))
    assert np.isnan(traced[:, 2]).all()
    assert_array_equal(traced[:, 3], np.asarray(curve)[:, 3])  # clipped
    eager = np.asarray(lj.gradients.by_lag(curve, np.array([TIME, 4, 0, 6])))
    assert_array_equal(traced[:, :3], eager[:, :3])


@pytest.mark.slow
def test_gradients_themselves_are_moved_too(run):
    params, xs = run
    gradient = lj.carry_gradients(CELL, params, xs, last, lengths=LENGTHS).c
    found = lj.gradients.by_lag({"c": gradient, "none": None}, LENGTHS)
    assert found["none"] is None and found["c"].shape == gradient.shape
    assert_array_equal(found["c"][-1], gradient[LENGTHS - 1, np.arange(4)])
