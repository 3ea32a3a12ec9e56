"""Gradient flossing, against nets whose exponents are known, and by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import (
    LINEAR,
    draw,
    drawn_like,
    in_float64,
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
    whole = flossing(LINEAR, params, silence(400), burn_in=200)
    assert_allclose(whole, squares.mean(), atol=1e-11)
    first = flossing(LINEAR, params, silence(400), 2, burn_in=200, qr_every=4)
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


@in_float64
@pytest.mark.parametrize(
    "cell", slow_but([lj.RNN], [lj.RNN, lj.LSTM]), ids=lambda cell: cell.name
)
def test_its_gradient_is_that_of_central_differences(cell):
    """Of all weights of a net that reads a batch, along one direction."""
    params = cell.init(jax.random.key(0), 2, 4, gain=1.5, dtype=jnp.float64)
    xs, change, size = draw(12, 2, 2), drawn_like(params, seed=3), 1e-5
    loss = lambda p: flossing(cell, p, xs, 3, burn_in=4, qr_every=2)
    ahead, behind = (
        loss(jax.tree.map(lambda p, d: p + by * d, params, change))  # noqa: B023
        for by in (size, -size)
    )
    products = jax.tree.map(jnp.vdot, jax.jit(jax.grad(loss))(params), change)
    slope = sum(jax.tree.leaves(products))
    assert_allclose(slope, (ahead - behind) / 2 / size, rtol=1e-6)


@in_float64
def test_a_batch_is_averaged():
    params = lj.RNN.init(jax.random.key(0), 2, 4, dtype=jnp.float64)
    xs = draw(12, 2, 2)
    apart = [flossing(lj.RNN, params, xs[:, b], 3) for b in range(2)]
    assert_allclose(flossing(lj.RNN, params, xs, 3), np.mean(apart), rtol=1e-12)
    assert apart[0] != apart[1]


@in_float64
def test_descending_it_brings_the_exponents_to_zero():
    params = lj.RNN.init(jax.random.key(0), 2, 6, gain=0.5, dtype=jnp.float64)
    xs = draw(20, 2)
    loss = jax.jit(jax.value_and_grad(lambda p: flossing(lj.RNN, p, xs, 4)))
    before, _ = loss(params)
    for _ in range(100):
        _, gradients = loss(params)
        params = jax.tree.map(lambda p, g: p - 0.2 * g, params, gradients)
    assert loss(params)[0] < 0.05 * before
