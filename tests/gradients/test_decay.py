"""From a curve of log-norms to a number: rates, half-lives, shares and horizons."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import Counting, TwoLeaves, lags
from numpy.testing import assert_allclose, assert_array_equal
from problems import draw, in_float64
from scipy.stats import linregress

import lstm_jax as lj
from lstm_jax.gradients import decay

# Each is some thirty operations, which one by one take a second to compile.
decay_rate = jax.jit(lj.decay_rate)
fit_decay = jax.jit(decay.fit_decay, static_argnames="window")
half_life = jax.jit(lj.half_life)
horizon = jax.jit(lj.horizon, static_argnames="fraction")
joint_log_norms = jax.jit(lj.joint_log_norms)
rounding_lag = jax.jit(decay.rounding_lag, static_argnames="dtype")
underflow_lag = jax.jit(decay.underflow_lag, static_argnames="dtype")


@pytest.fixture
def curve():
    noise = np.random.default_rng(0).normal(size=40)
    return -0.3 * np.arange(40)[::-1] + noise


@pytest.mark.parametrize("window", [None, (0, 40), (5, 30)])
def test_the_line_and_its_error_are_those_of_linear_regression(x64, curve, window):
    start, stop = window or (0, 40)
    wanted: Any = linregress(-np.arange(start, stop), curve[start:stop])
    found = fit_decay(jnp.array(curve), window)
    assert_allclose(found.rate, wanted.slope, rtol=1e-12)
    assert_allclose(found.stderr, wanted.stderr, rtol=1e-12)
    assert found.window == (start, stop - 1)


def test_what_is_cut_off_is_no_part_of_the_fit_nor_of_its_window(x64, curve):
    cut = np.where(np.arange(40) < 12, -np.inf, curve)
    found = fit_decay(jnp.array(cut))
    wanted: Any = linregress(-np.arange(12, 40), curve[12:])
    assert_allclose(found.rate, wanted.slope, rtol=1e-12)
    assert_allclose(found.stderr, wanted.stderr, rtol=1e-12)
    assert found.window == (12, 39)


def test_batches_are_fitted_one_by_one(x64, curve):
    both = jnp.stack([jnp.array(curve), 2 * jnp.array(curve)], axis=1)
    found = fit_decay(both)
    assert_allclose(found.rate[1], 2 * found.rate[0], rtol=1e-12)
    assert_array_equal(found.window[1], [39, 39])


@pytest.mark.parametrize("window", [(-1, 5), (3, 4), (5, 3), (0, 41)])
def test_a_window_outside_the_sequence_is_refused(curve, window):
    with pytest.raises(ValueError, match=r"window: got .*; it must be \(start, stop\)"):
        fit_decay(jnp.array(curve), window)


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1])
def test_a_fraction_that_is_none_is_refused(curve, fraction):
    with pytest.raises(ValueError, match=r"fraction: got .*; it must be in \(0, 1\)"):
        horizon(jnp.array(curve), fraction)


HALVING = jnp.log(0.5) * jnp.arange(299, -1, -1.0)


@pytest.mark.parametrize(
    ("dtype", "rounding", "underflow"),
    [
        (jnp.float16, 11, 14),
        (jnp.bfloat16, 8, 126),
        (jnp.float32, 24, 126),
        (jnp.float64, 53, np.inf),
    ],
)
def test_where_a_halving_gradient_leaves_each_dtype(dtype, rounding, underflow):
    assert_allclose(rounding_lag(HALVING, dtype), rounding, rtol=1e-6)
    assert_allclose(underflow_lag(HALVING, dtype), underflow, rtol=1e-6)


def test_a_norm_that_starts_below_the_range_underflows_at_once():
    assert underflow_lag(HALVING - 100.0, jnp.float32) == 0


def line(rate, time, offset: Any = 0.0):
    """Log-norms that change by `rate` nats per step of lag."""
    return jnp.asarray(offset + rate * lags(time))


@in_float64
@pytest.mark.parametrize("offset", [0.0, 1e6, -1e6])
def test_decay_rate_is_exact_on_straight_lines_anywhere(offset):
    # With slopes that are powers of two the lines themselves are exact.
    for rate in (-0.5, 0.25, -(2.0**-8), 0.0):
        found = decay_rate(line(rate, 1_000, offset))
        assert_allclose(found, rate, rtol=1e-12, atol=1e-14)


@in_float64
def test_decay_rate_is_the_slope_of_least_squares():
    curves = draw(30, 2, 3)
    slopes = np.polyfit(np.arange(30), np.reshape(curves, (30, 6)), 1)[0]
    assert_allclose(decay_rate(curves).ravel(), -slopes, rtol=1e-10)
    moved = curves + jnp.array([1.0, -50.0, 1e3])
    assert_allclose(decay_rate(moved), decay_rate(curves), rtol=1e-9)


def test_vanishing_is_negative_and_exploding_positive():
    assert decay_rate(line(-0.1, 20).astype(jnp.float32)) < 0
    assert decay_rate(line(0.1, 20).astype(jnp.float32)) > 0


@in_float64
def test_decay_rate_leaves_minus_infinity_out():
    curves = jnp.stack([line(-0.5, 9)] * 2, axis=1)
    curves = curves.at[jnp.array([0, 3, 8]), 1].set(-jnp.inf)
    assert_allclose(decay_rate(curves), [-0.5, -0.5], rtol=1e-12)


@pytest.mark.parametrize("remaining", [0, 1])
def test_decay_rate_of_fewer_than_two_entries_is_nan(remaining):
    curve = jnp.full((5,), -jnp.inf).at[:remaining].set(1.0)
    assert np.isnan(decay_rate(curve))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_decay_rate_shows_what_is_not_finite(bad):
    assert np.isnan(decay_rate(jnp.array([0.0, bad, 2.0])))


def test_half_life_is_the_time_in_which_half_is_lost():
    rates = jnp.array([-np.log(2), -np.log(2) / 8, 0.0, 0.3, -np.inf], jnp.float32)
    assert_allclose(half_life(rates), [1, 8, np.inf, np.inf, 0], rtol=1e-6)
    assert_allclose(half_life(-0.1), np.log(2) / 0.1, rtol=1e-6)


def test_an_unknown_rate_has_an_unknown_half_life():
    assert np.isnan(half_life(jnp.float32(np.nan)))


@in_float64
def test_log_shares_are_relative_to_the_last_step():
    curves = jnp.stack([line(-0.5, 4, 7.0), line(1.0, 4, -2.0)], axis=1)
    wanted = np.outer([3, 2, 1, 0], [-0.5, 1.0])
    assert_allclose(lj.log_shares(curves), wanted, atol=1e-14)
    gone = lj.log_shares(jnp.array([-jnp.inf, 3.0]))
    assert_array_equal(gone, [-np.inf, 0])


@in_float64
def test_horizon_is_the_lag_at_which_the_fraction_is_left():
    curves = jnp.stack([line(-0.1, 50, 3.0), line(-1.0, 50, 1e6)], axis=1)
    for fraction in (0.5, 0.9, 0.01):
        wanted = -np.log(fraction) / np.array([0.1, 1.0])
        assert_allclose(horizon(curves, fraction), wanted, rtol=1e-8)


@in_float64
def test_horizon_interpolates_between_the_two_steps_of_the_first_crossing():
    backwards = jnp.log(jnp.array([1.0, 0.8, 0.25, 0.9, 0.1]))
    within = np.log(0.8 / 0.5) / np.log(0.8 / 0.25)
    assert_allclose(horizon(backwards[::-1], 0.5), 1 + within, rtol=1e-12)


def test_horizon_is_infinite_where_that_little_is_never_left():
    curves = jnp.stack([line(-0.01, 10), line(0.5, 10)], axis=1)
    curves = curves.astype(jnp.float32)
    assert_array_equal(horizon(curves, 0.5), [np.inf, np.inf])


def test_horizon_ends_where_the_gradient_is_cut_off():
    curve = jnp.array([-jnp.inf, -jnp.inf, -0.1, 0.0])
    assert_array_equal(horizon(curve, 0.5), 2)


def test_horizon_of_an_unknown_curve_is_unknown():
    assert np.isnan(horizon(jnp.full((5,), jnp.nan), 0.5))


def test_joint_log_norms_take_all_leaves_together():
    curves = TwoLeaves(
        fast=jnp.array([np.log(3), -np.inf, -np.inf, -9_000.0, 9_000.0]),
        slow=jnp.array([np.log(4), 2.0, -np.inf, -9_000.0, -9_000.0]),
    )
    root = 0.5 * np.log(2)
    wanted = [np.log(5), 2.0, -np.inf, -9_000 + root, 9_000]
    assert_allclose(joint_log_norms(curves), wanted, rtol=1e-6)
    alone = lj.RNNCarry(h=jnp.array([1.0, -np.inf]))
    assert_array_equal(joint_log_norms(alone), [1, -np.inf])


@in_float64
def test_joint_log_norms_leave_out_what_has_no_gradient():
    curves = Counting(h=jnp.array([1.0, 2.0]), count=None)
    assert_array_equal(joint_log_norms(curves), [1, 2])


def test_one_step_has_no_slope():
    assert np.isnan(decay_rate(jnp.zeros((1, 3)))).all()
