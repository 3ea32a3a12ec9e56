"""Gradient flossing, against nets whose exponents are known, and by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import (
    LINEAR,
    compiled,
    draw,
    drawn_like,
    in_float64,
    make_params,
    recurrence,
    silence,
    slow_but,
)

import lstm_jax as lj
from lstm_jax.gradients import flossing


@in_float64
def test_of_a_linear_net_it_is_the_mean_square_of_the_largest_exponents():
    basis = np.asarray(draw(4, 4))
    eigenvalues = np.array([0.3, -1.1, 0.9, 0.5])
    params = recurrence(basis @ np.diag(eigenvalues) @ np.linalg.inv(basis))
    squares = np.sort(np.log(np.abs(eigenvalues)))[::-1] ** 2
    options = {"num_exponents": 2, "burn_in": 200, "qr_every": 4}
    first = compiled(flossing, LINEAR, **options)(params, silence(400))
    assert_allclose(first, squares[:2].mean(), atol=1e-11)


@in_float64
def test_its_gradient_of_a_scaled_rotation_is_known():
    """W = s Q: every λ is ln s, and d/dW mean λ² = 2 ln s W⁻ᵀ / N."""
    w_hh = 0.7 * np.linalg.qr(draw(4, 4))[0]
    loss = lambda w: flossing(LINEAR, recurrence(w), silence(20))
    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(w_hh))
    assert_allclose(value, np.log(0.7) ** 2, rtol=1e-12)
    wanted = 2 * np.log(0.7) * np.linalg.inv(w_hh).T / 4
    assert_allclose(gradient, wanted, atol=1e-12)


@jax.jit
def loss_and_slopes(cell, params, xs):
    loss = lambda params: flossing(cell, params, xs, 3, burn_in=4, qr_every=2)
    return jax.value_and_grad(loss)(params)


def of_numbers(tree):
    """NumPy's arrays, which have nothing to compile."""
    return jax.tree.map(np.asarray, tree)


def moved(params, change, size):
    return jax.tree.map(lambda p, d: p + size * d, params, change)


@in_float64
@pytest.mark.parametrize(
    "cell", slow_but([lj.RNN], [lj.RNN, lj.LSTM]), ids=lambda cell: cell.name
)
def test_its_gradient_is_that_of_central_differences(cell):
    """Of all weights of a net that reads a batch, along one direction."""
    params, xs, size = of_numbers(make_params(cell, 2, 4)), draw(12, 2, 2), 1e-5
    change = of_numbers(drawn_like(params, seed=3))
    ahead, behind = (
        loss_and_slopes(cell, moved(params, change, by), xs)[0] for by in (size, -size)
    )
    _, slopes = loss_and_slopes(cell, params, xs)
    slope = sum(map(np.vdot, jax.tree.leaves(slopes), jax.tree.leaves(change)))
    assert_allclose(slope, (ahead - behind) / 2 / size, rtol=1e-6)


@in_float64
def test_a_batch_is_averaged():
    params, xs = make_params(lj.RNN, 2, 4), np.asarray(draw(12, 2, 2))
    apart = [loss_and_slopes(lj.RNN, params, xs[:, b])[0] for b in range(2)]
    whole, _ = loss_and_slopes(lj.RNN, params, xs)
    assert_allclose(whole, np.mean(apart), rtol=1e-12)
    assert apart[0] != apart[1]


@in_float64
def test_descending_it_brings_the_exponents_to_zero():
    params, xs = of_numbers(make_params(lj.RNN, 2, 4)), draw(12, 2)
    before, _ = loss_and_slopes(lj.RNN, params, xs)
    for _ in range(100):
        _, slopes = loss_and_slopes(lj.RNN, params, xs)
        params = moved(params, of_numbers(slopes), -0.2)
    assert loss_and_slopes(lj.RNN, params, xs)[0] < 0.05 * before
