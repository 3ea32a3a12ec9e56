"""Bounds on products of Jacobians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from theory.printed import printed

from lstm_jax import theory
from lstm_jax.cells.rnn import ACTIVATIONS


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_the_bound_is_a_power_and_an_orthogonal_product_attains_it():
    # 0.9^100.
    printed(theory.jacobian_bound(0.9, 100), "2.6561e-5")
    rotation = 0.9 * np.linalg.qr(normal(4, 4))[0]
    left = np.linalg.matrix_power(rotation, 20) @ normal(4, seed=1)
    bound = theory.jacobian_bound(np.linalg.norm(rotation, 2), 20)
    assert_allclose(np.linalg.norm(left) / np.linalg.norm(normal(4, seed=1)), bound)


def test_steepest_slopes_are_those_of_the_activations():
    z = jnp.linspace(-3.0, 3.0, 601)
    for name, steepest in theory.STEEPEST_SLOPES.items():
        slopes = jax.vmap(jax.grad(ACTIVATIONS[name]))(z)
        assert_allclose(jnp.max(jnp.abs(slopes)), steepest, rtol=1e-4)


@pytest.mark.parametrize("lag", [0, 1, 2, 9])
def test_a_jordan_block_is_multiplied_out(lag):
    block = np.array([[0.9, 5.0], [0.0, 0.9]])
    wanted = np.linalg.matrix_power(block, lag)
    assert_allclose(theory.jordan_block_power(0.9, 5, lag), wanted, rtol=1e-13)


def test_a_jordan_block_grows_until_lags_nine_and_ten():
    # The corner of the k-th power is k a l^(k - 1).
    corners = [theory.jordan_block_power(0.9, 5, lag)[0, 1] for lag in range(30)]
    assert np.argmax(np.round(corners, 9)) == 9
    assert_allclose(corners[9], corners[10], rtol=1e-12)


def test_the_spectral_radius_is_what_remains_of_a_product():
    # ρ(W) per step; W is symmetric, so that nothing is transient.
    w = normal(2, 5, 5)
    w = w + w.transpose(0, 2, 1)
    power = np.linalg.matrix_power(w / 10, 201) / np.linalg.matrix_power(w / 10, 199)
    found = theory.spectral_radius_rate(w / 10)
    assert_allclose(found, 0.5 * np.log(power.mean((1, 2))), rtol=1e-9)
    assert theory.spectral_radius_rate(np.zeros((2, 2))) == -np.inf


def test_initial_slopes_are_those_of_pascanus_weights():
    # Pascanu's initial weights: basic tanh .707 per step, sigmoid .0177.
    printed(np.exp(theory.initial_slope(0.1, 50)), "0.707")
    printed(np.exp(theory.initial_slope(0.01, 50, 0.25)), "0.0177")
    found = theory.initial_slope(0.5, 100)
    measured = theory.spectral_radius_rate(0.5 * normal(100, 100))
    assert abs(found - measured) < 0.1
