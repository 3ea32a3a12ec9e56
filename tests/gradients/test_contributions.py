"""What each step adds to the weight gradient, against a loop and closed forms."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import (
    draw,
    every_output_counts,
    in_float64,
    make_params,
    slow_but,
)

import lstm_jax as lj
from lstm_jax.gradients import contributions
from lstm_jax.gradients.adjoint import run_back, way_back
from lstm_jax.gradients.contributions import (
    log_weight_contributions,
    weight_contributions,
    weight_gradients,
)
from lstm_jax.masking import prepare

TIME, INPUT, HIDDEN, BATCH = 4, 3, 4, 2
# Operation by operation it takes a second to compile.
effective_window = jax.jit(contributions.effective_window, static_argnums=1)


MASKS: dict[str, Any] = {
    "mask": np.array([[True, True], [True, True], [True, True], [False, True]]),
    "resets": np.array([[False, False], [False, False], [False, True], [False, False]]),
}


@pytest.mark.slow
@in_float64
@pytest.mark.parametrize(
    "reverse", slow_but([True], [False, True]), ids=["forward", "reverse"]
)
def test_contributions_are_the_gradients_of_weights_used_at_one_step(reverse):
    """The oracle gives every step weights of its own, and differentiates those."""
    cell, xs = lj.LSTM, draw(TIME, BATCH, INPUT, seed=100)
    params = make_params(cell)
    first = lj.LSTMCarry(h=draw(BATCH, HIDDEN, seed=1), c=draw(BATCH, HIDDEN, seed=2))

    def loss_of_all(params_of_steps):
        carry, ys = first, {}
        for t in range(TIME)[:: -1 if reverse else 1]:
            own = jax.tree.map(lambda leaf, t=t: leaf[t], params_of_steps)
            masks: Any = {k: v[t : t + 1] for k, v in MASKS.items()}
            carry, y = lj.unroll_reference(
                cell, own, xs[t : t + 1], carry, **masks, reverse=reverse
            )
            ys[t] = y[0]
        return every_output_counts(jnp.stack([ys[t] for t in range(TIME)]))

    @jax.jit
    def both():
        repeated = jax.tree.map(lambda leaf: jnp.stack([leaf] * TIME), params)
        arguments = cell, params, xs, every_output_counts, first
        found = weight_contributions(*arguments, **MASKS, reverse=reverse)
        return found, jax.grad(loss_of_all)(repeated)

    found, parts = both()
    for name in ("w_ih", "w_hh", "b"):
        part = np.asarray(getattr(parts, name)).reshape(TIME, -1)
        expected = np.linalg.norm(part, axis=-1)
        assert_allclose(getattr(found, name), expected, rtol=1e-12)
        assert expected.min() > 1e-3


@in_float64
def test_the_parts_add_up_to_the_gradient():
    cell, xs = lj.RNN, draw(TIME, BATCH, INPUT, seed=100)
    params = make_params(cell)

    @jax.jit
    def both():
        way = way_back(prepare(cell, params, xs), every_output_counts)
        loss = lambda params: every_output_counts(lj.unroll(cell, params, xs)[1])
        return run_back(way, weight_gradients), jax.grad(loss)(params)

    parts, whole = both()
    for part, leaf in zip(parts, jax.tree.leaves(whole), strict=True):
        exponents = np.asarray(part.exponent).reshape(-1, *(1,) * leaf.ndim)
        values = np.asarray(part.mantissa) * 2.0**exponents
        assert_allclose(values.sum(0), leaf, rtol=1e-12, atol=1e-14)


@pytest.mark.slow
def test_no_contribution_underflows():
    """h_t = w h + x with x = 1: dL/dw_t = w^(T-1-t) h_{t-1}, here down to 1e-598."""
    time, w = 300, 0.01
    cell = lj.rnn("linear")
    params = lj.RNNParams(jnp.ones((1, 1)), jnp.full((1, 1), w), jnp.zeros(1))
    found = log_weight_contributions(
        cell, params, jnp.ones((time, 1)), lambda ys: jnp.sum(ys[-1])
    )
    decay = np.log(w) * np.arange(time - 1, -1, -1)
    before = np.log((1 - w ** np.arange(1, time)) / (1 - w))
    assert found.w_hh[0] == -np.inf  # nothing enters the first step
    assert_allclose(found.w_hh[1:], decay[1:] + before, rtol=2e-6, atol=1e-6)
    assert_allclose(found.w_ih, decay, rtol=2e-6, atol=1e-6)
    assert_allclose(found.b, decay, rtol=2e-6, atol=1e-6)


@pytest.mark.slow
def test_a_batch_is_summed_as_loud_as_each_example_is():
    """Examples whose adjoints differ by 2^20, and one that is silent."""
    params = lj.RNNParams(jnp.ones((1, 1)), jnp.full((1, 1), 0.5), jnp.zeros(1))
    loud = jnp.array([2.0**20, 1.0, 0.0, -(2.0**20)])[:, None]
    found = weight_contributions(
        lj.rnn("linear"), params, jnp.ones((2, 4, 1)), lambda ys: jnp.sum(ys[-1] * loud)
    )
    assert_allclose(found.b, [0.5, 1.0])  # the two loud ones take each other out


def test_an_update_hears_as_many_steps_as_a_geometric_sum_needs():
    time, rate = 60, 0.8
    log_norms = np.arange(time - 1, -1, -1.0) * np.log(rate)
    for fraction in (0.5, 0.9, 0.99):
        # Σ of the last k is (1 - r^k) / (1 - r).
        whole = 1 - rate**time
        k = int(np.ceil(np.log(1 - fraction * whole) / np.log(rate)))
        assert int(effective_window(log_norms, fraction)) == k


def test_effective_window_of_columns_that_underflow_or_are_silent():
    columns = np.full((10, 4), -np.inf)
    columns[:, 0] = -1e4  # even
    columns[-1, 1] = 3.0  # the last alone
    columns[0, 2] = 3.0  # the first alone
    assert_array_equal(effective_window(columns, 0.85), [9, 1, 1, 0])


@pytest.mark.parametrize("fraction", [0.0, 1.0, 1.5])
def test_a_fraction_that_is_none_is_refused(fraction):
    with pytest.raises(ValueError, match=r"fraction: got .*; it must be in \(0, 1\)"):
        effective_window(jnp.zeros(3), fraction)


def test_effective_window_of_what_is_unknown_or_padded():
    inf, nan = np.inf, np.nan
    curves = np.array([[0, nan, 1], [0, inf, 1], [0, 0, -inf], [-inf, -inf, -inf]]).T
    assert_array_equal(effective_window(curves), [-1, -1, 2, 0])
