"""Step Jacobians and their products, against loops and closed forms."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest
from gradients.loops import one_step
from numpy.testing import assert_allclose, assert_array_equal
from problems import (
    LINEAR,
    compiled,
    draw,
    in_float64,
    make_cell,
    recurrence,
    rotation,
    silence,
    slow_but,
)

import lstm_jax as lj
from lstm_jax import theory
from lstm_jax.gradients.jacobians import jacobian_products, step_jacobians
from lstm_jax.gradients.state import state_vector
from lstm_jax.theory.transients import kreiss_bound, transient_growth

TIME, INPUT, HIDDEN, BATCH = 5, 2, 3, (2,)


# They hold what NumPy made.
LSTMCarry: Any = lj.LSTMCarry
make_params = partial(problems.make_params, input_size=INPUT, hidden_size=HIDDEN)


# ---------------------------------------------------------------------------
# One step
# ---------------------------------------------------------------------------


@jax.jit
def chained(cell, params, xs):
    """Adjoints of the carry that enters each step, and the Jacobians of the steps."""
    adjoints = lj.carry_gradients(cell, params, xs, lambda ys: jnp.sum(ys[-1]))
    return state_vector(adjoints, 1 + len(BATCH)), step_jacobians(cell, params, xs)


@in_float64
@pytest.mark.parametrize("name", slow_but(["lstm"], lj.CELLS))
def test_probe_gradients_are_products_of_step_jacobians(name):
    """a_t = J_tᵀ a_{t+1} before the last step, the only one that is read."""
    cell = lj.CELLS[name]
    params, xs = make_params(cell), draw(TIME, *BATCH, INPUT, seed=100)
    adjoints, jacobians = chained(cell, params, xs)
    expected = np.einsum("tbij,tbi->tbj", jacobians[:-1], adjoints[1:])
    assert_allclose(adjoints[:-1], expected, rtol=1e-11, atol=1e-14)
    assert np.abs(adjoints).min() > 0 or name not in ("lstm", "four_gate", "gru")


def lstm_loop(params, xs, carry, **masks):
    """Jacobians by central differences of one step of the reference at a time."""
    size, step = 1e-6, 2 * HIDDEN
    reverse = masks.get("reverse", False)
    found = {}
    for t in range(len(xs))[:: -1 if reverse else 1]:
        rules = {name: masks[name][t] for name in ("mask", "resets")}
        x = np.asarray(xs)[t]

        def after(vector, x=x, rules=rules):
            entering = LSTMCarry(*np.split(vector, 2, axis=-1))
            left, _ = one_step(lj.LSTM, params, entering, x, **rules, reverse=reverse)
            return np.concatenate([left.h, left.c], -1)

        at = np.concatenate([carry.h, carry.c], -1)
        columns = [
            (after(at + size * unit) - after(at - size * unit)) / (2 * size)
            for unit in np.eye(step)
        ]
        found[t] = np.stack(columns, -1)
        carry = LSTMCarry(*np.split(after(at), 2, axis=-1))
    return np.stack([found[t] for t in range(len(xs))])


@in_float64
@pytest.mark.parametrize("reverse", slow_but([True], [False, True]))
def test_jacobians_of_an_lstm_under_masks_are_those_of_a_python_loop(reverse):
    params, xs = make_params(lj.LSTM), draw(3, *BATCH, INPUT, seed=100)
    carry = LSTMCarry(h=draw(*BATCH, HIDDEN, seed=7), c=draw(*BATCH, HIDDEN, seed=8))
    masks = {
        "mask": np.array([[True, True], [True, False], [True, True]]),
        "resets": np.array([[False, False], [False, False], [True, False]]),
        "reverse": reverse,
    }
    measure = compiled(step_jacobians, lj.LSTM, **masks)
    found = np.asarray(measure(params, xs, carry))
    assert_allclose(found, lstm_loop(params, xs, carry, **masks), atol=1e-8)
    assert_array_equal(found[1, 1], np.eye(2 * HIDDEN))  # the step that holds
    assert_array_equal(found[2, 0], np.zeros((2 * HIDDEN, 2 * HIDDEN)))  # the reset


class Spiral(NamedTuple):
    count: Any
    z: Any
    r: Any


@in_float64
def test_a_complex_leaf_is_two_reals_and_a_counter_is_not_there():
    """z <- (a + ib) z, r <- r + |z|²; the order is z.re, z.im, r."""

    def step(params, carry, x):
        z, _ = params * carry.z, x
        r = carry.r + jnp.abs(carry.z) ** 2
        return Spiral(count=carry.count + 1, z=z, r=r), r

    start = Spiral(count=jnp.array([4]), z=jnp.array([1 - 2j]), r=jnp.zeros(1))
    cell = make_cell(lambda *_: start, step)
    found = step_jacobians(cell, jnp.array(0.6 + 0.8j), silence(2))
    z = [1 - 2j, (1 - 2j) * (0.6 + 0.8j)]
    expected = [[[0.6, -0.8, 0], [0.8, 0.6, 0], [2 * p.real, 2 * p.imag, 1]] for p in z]
    assert_allclose(found, expected, rtol=1e-12)


# ---------------------------------------------------------------------------
# Products
# ---------------------------------------------------------------------------


@in_float64
def test_windows_are_the_products_of_a_loop():
    jacobians = draw(6, 2, 3, 3)
    for window in (1, 2, 5, 6):
        found = jax.jit(jacobian_products, static_argnums=1)(jacobians, window)
        expected = [
            [
                np.linalg.multi_dot([*jacobians[t : t + window, b][::-1], np.eye(3)])
                for b in range(2)
            ]
            for t in range(6 - window + 1)
        ]
        assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("window", [0, 7, -1])
def test_a_window_that_does_not_fit_is_refused(window):
    with pytest.raises(ValueError, match=rf"window: got {window}; .* \[1, 6\]"):
        jacobian_products(jnp.ones((6, 2, 2)), window)


@in_float64
def test_an_orthogonal_net_keeps_g_to_the_k_in_every_direction():
    """g = 0.9 leaves 2.6561e-5 after 100 steps."""
    jacobians = step_jacobians(LINEAR, recurrence(0.9 * rotation(4)), silence(100))
    (product,) = np.asarray(jacobian_products(jacobians, 100))
    assert_allclose(product @ product.T, 0.9**200 * np.eye(4), rtol=0, atol=1e-20)
    assert_allclose(np.linalg.norm(product, 2), 2.6561e-5, rtol=1e-4)


@in_float64
def test_a_jordan_block_grows_before_it_decays():
    """k l^(k-1) is largest at k = 9 and 10 for l = 0.9."""
    block = np.array([[0.9, 5.0], [0.0, 0.9]])
    jacobians = step_jacobians(LINEAR, recurrence(block), silence(40))
    for k in (1, 10):
        (product, *_) = jacobian_products(jacobians, k)
        assert_allclose(product, theory.jordan_block_power(0.9, 5.0, k), rtol=1e-12)
    growth = transient_growth(block, 40)
    corners = [abs(theory.jordan_block_power(0.9, 5.0, k)[0, 1]) for k in range(41)]
    assert corners[9] == pytest.approx(corners[10]) == max(corners)
    assert growth.power == 9  # the diagonal, .9^9 against .9^10, breaks the tie
    norms = [np.linalg.norm(np.linalg.matrix_power(block, k), 2) for k in range(41)]
    assert_allclose(growth.norm, max(norms), rtol=1e-12)


def test_kreiss_constant_is_between_its_bounds():
    """K <= max ||W^k|| <= e n K (Kreiss matrix theorem); closed forms at normal W."""
    block = np.array([[0.9, 5.0], [0.0, 0.9]])
    bound, largest = kreiss_bound(block), transient_growth(block, 100).norm
    assert largest / (np.e * 2) < bound < largest
    assert bound > 10  # K itself: 12.5 on a fine grid
    # Normal, radius r: ||(z-W)^-1|| = 1/(|z|-r), so (|z|-1)/(|z|-r) -> 1 far out.
    assert_allclose(kreiss_bound(0.5 * rotation(3)), 10 / 10.5, rtol=1e-2)
    assert kreiss_bound(1.1 * np.eye(2)) == np.inf


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: transient_growth(np.ones((2, 3)), 3), r"matrix: shape is \(2, 3\)"),
        (lambda: transient_growth(np.eye(2), 0), "max_power: got 0"),
        (lambda: kreiss_bound(np.ones(3)), r"matrix: shape is \(3,\)"),
        (lambda: kreiss_bound(np.eye(2), num_radii=0), "num_radii: got 0"),
        (lambda: kreiss_bound(np.eye(2), num_angles=-1), "num_angles: got -1"),
    ],
)
def test_matrices_and_grids_that_say_nothing_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


@in_float64
def test_no_net_violates_pascanu_s_bound():
    """500 random nets per slope, at every lag, driven by noise."""
    nets, time, hidden = 500, 12, 5
    gains = np.random.default_rng(1).uniform(0.2, 4, nets)
    w = draw(nets, hidden, hidden) * jnp.asarray(gains / hidden**0.5)[:, None, None]
    u, xs = draw(hidden, seed=2), draw(time, nets, hidden, seed=3)

    @partial(jax.jit, static_argnums=0)
    def gradients(activation):
        def one(w, xs):
            zeros = jnp.zeros(hidden)
            params = lj.RNNParams(w_ih=jnp.eye(hidden), w_hh=w, b=zeros)
            loss = lambda ys: ys[-1] @ u
            return lj.carry_gradients(lj.rnn(activation), params, xs, loss).h

        return jax.vmap(one, in_axes=(0, 1))(w, xs)

    sigma = np.linalg.norm(np.asarray(w), 2, axis=(-2, -1))
    for activation in ("tanh", "logistic"):
        gamma = theory.STEEPEST_SLOPES[activation]
        # The norm at lag T - t against that of the last STATE: ||dL/dh_T|| = ||u||.
        norms = np.linalg.norm(np.asarray(gradients(activation)), axis=-1)
        log_share = np.log(norms / np.linalg.norm(u))
        lags = time - np.arange(time)
        bound = np.log(theory.jacobian_bound(sigma[:, None], lags, gamma))
        assert (log_share <= bound + 1e-12).all()
        assert (bound - log_share).min() < (5 if activation == "logistic" else 1)
