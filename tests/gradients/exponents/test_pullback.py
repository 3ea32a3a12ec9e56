"""Two leaves that fade at different rates, far below what a float can hold."""

import math
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import (
    LONG,
    TwoLeaves,
    last_along,
    log_gradient_norms,
    silence,
    sum_of_last,
)
from numpy.testing import assert_allclose, assert_array_equal
from problems import make_cell

import lstm_jax as lj


class TwoRates(NamedTuple):
    fast: Any
    slow: Any
    slow_into_fast: Any
    fast_into_slow: Any


def two_leaf_step(params, carry, x):
    fast = params.fast * carry.fast + params.slow_into_fast * carry.slow
    slow = params.slow * carry.slow + params.fast_into_slow * carry.fast
    return TwoLeaves(fast, slow), jnp.concatenate([fast, slow], -1)


TWO_LEAVES = make_cell(
    lambda params, batch=(): TwoLeaves(
        jnp.zeros((*batch, 1), params.fast.dtype),
        jnp.zeros((*batch, 1), params.fast.dtype),
    ),
    two_leaf_step,
)


def two_leaf_log_norms(reads, **coupling):
    """T = 10 000 in float32; `reads` says how much of each leaf the loss reads."""
    couplings = {"slow_into_fast": 0.0, "fast_into_slow": 0.0, **coupling}
    rates = {"fast": 0.5, "slow": 0.99, **couplings}
    params = TwoRates(**{name: jnp.float32(rate) for name, rate in rates.items()})
    return log_norms_of_two_leaves(params, jnp.array(reads, jnp.float32))


def log_norms_of_two_leaves(params, reads):
    xs = silence(LONG, dtype=jnp.float32)
    return log_gradient_norms(TWO_LEAVES, params, xs, last_along(reads))


def log_of(fraction):
    """ln of a fraction far outside the range of floats."""
    return math.log(fraction.numerator) - math.log(fraction.denominator)


@pytest.mark.slow
def test_two_leaves_that_fade_apart_both_come_out_right():
    log_norms = two_leaf_log_norms(reads=[1, 1])
    rates = [lj.decay_rate(leaf) for leaf in log_norms]
    assert_allclose(rates, np.log([0.5, 0.99]), rtol=0, atol=1e-6)
    joint = lj.joint_log_norms(log_norms)
    assert_allclose(joint[0], LONG * np.log(0.99), rtol=1e-5)


@pytest.mark.parametrize("coupling", [1e-3, 1e-30])
def test_weakly_coupled_leaves_agree_with_exact_fractions(coupling):
    fast, slow, weak = (
        Fraction(float(np.float32(rate))) for rate in (0.5, 0.99, coupling)
    )
    # Read at both, the fast leaf hears its own echo first and then the slow one's.
    fed_by_slow = two_leaf_log_norms(reads=[1, 1], fast_into_slow=coupling)
    # Read at the fast leaf only, the slow one hears all through the coupling.
    fed_by_fast = two_leaf_log_norms(reads=[1, 0], slow_into_fast=coupling)
    close = partial(assert_allclose, rtol=1e-6, atol=1e-6)
    for lag in (1, 2, 50, 100, 1_000, LONG):
        # The corner of [[slow, weak], [0, fast]]^lag.
        corner = weak * (slow**lag - fast**lag) / (slow - fast)
        close(fed_by_slow.fast[-lag], log_of(fast**lag + corner))
        close(fed_by_slow.slow[-lag], log_of(slow**lag))
        close(fed_by_fast.fast[-lag], log_of(fast**lag))
        close(fed_by_fast.slow[-lag], log_of(corner))


@pytest.mark.slow
def test_every_sequence_of_a_batch_fades_at_its_own_rate():
    cell = make_cell(
        lambda params, batch=(): jnp.zeros((*batch, 1), params.dtype),
        lambda params, h, x: (h * x, h * x),
    )
    rates = jnp.array([0.5, 0.99, 1.0, 2.0, 0.0], jnp.float32)
    xs = jnp.broadcast_to(rates[:, None], (LONG, 5, 1))
    log_norms = log_gradient_norms(cell, jnp.float32(0), xs, sum_of_last)
    wanted = [*np.log([0.5, 0.99, 1.0, 2.0]), np.nan]
    assert_allclose(lj.decay_rate(log_norms), wanted, rtol=0, atol=1e-6)
    assert_array_equal(log_norms[:, 4], -np.inf)
