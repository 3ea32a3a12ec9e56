"""The line through a curve of log-norms, and where a dtype can't follow the curve."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import linregress

import lstm_jax as lj
from lstm_jax.gradients.decay import fit_decay, rounding_lag, underflow_lag


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
        lj.horizon(jnp.array(curve), fraction)


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
