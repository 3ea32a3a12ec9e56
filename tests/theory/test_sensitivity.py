"""Variances and sensitivities of linear memories."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from theory.printed import printed

import lstm_jax as lj
from lstm_jax import theory

in_float64 = pytest.mark.usefixtures("x64")


def test_the_curse_of_memory_to_the_printed_digits():
    # E[h²] = 1 / (1 - l²) and E[(dh/dl)²] = (1 + l²) / (1 - l²)³, of white noise.
    printed(theory.memory_variance([0.9, 0.99, 0.999]), "5.26316 50.2513 500.25")
    found = theory.sensitivity_variance([0.9, 0.99, 0.999])
    printed(found, "263.887 251263 2.50125e8")
    correlated = ([0.9, 0.99], [0.5, 0.9])
    printed(theory.memory_variance(*correlated), "13.8756 871.79")
    printed(theory.sensitivity_variance(*correlated), "778.117 4.73781e6")


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.7])
@pytest.mark.parametrize("decay", [0.9, -0.6])
def test_variances_are_double_sums_over_the_past(decay, correlation):
    # h = Σ_n λ^n x_{-n}, dh/dλ = Σ_n n λ^{n-1} x_{-n}.
    n = np.arange(400)
    covariance = correlation ** np.abs(n[:, None] - n).astype(np.float64)
    state, slope = decay ** n.astype(np.float64), n * decay ** (n - 1.0)
    found = theory.memory_variance(decay, correlation)
    assert_allclose(found, state @ covariance @ state, rtol=1e-10)
    found = theory.sensitivity_variance(decay, correlation)
    assert_allclose(found, slope @ covariance @ slope, rtol=1e-10)


@in_float64
def test_the_sensitivity_is_the_derivative_of_a_linear_rnn():
    # White input: the mean of (dh/dλ)² over the input is the sum of squared weights.
    def last(decay, xs):
        params = lj.RNNParams(
            w_ih=jnp.ones((1, 1)), w_hh=decay.reshape(1, 1), b=jnp.zeros((1,))
        )
        return lj.unroll(lj.rnn("linear"), params, xs)[1][-1, 0]

    per_input = jax.jacobian(jax.grad(last), argnums=1)
    weights = per_input(jnp.asarray(0.8), jnp.zeros((200, 1)))
    wanted = theory.sensitivity_variance(0.8)
    assert_allclose(jnp.sum(weights**2), wanted, rtol=1e-12)


def test_normalised_states_have_variance_one():
    # E|h|² = 1 with inputs scaled by sqrt(1 - |l|²), as in the LRU.
    modulus = np.array([0.0, 0.5, 0.99, 1 - 1e-12])
    variance = theory.lru_normaliser(modulus) ** 2 * theory.memory_variance(modulus)
    assert_allclose(variance, 1, rtol=1e-12)


def test_over_a_ring_the_variance_is_the_mean_over_its_area():
    # |λ|² is uniform: Gauss-Legendre of 1 / (1 - s) over s from r_min² to r_max².
    nodes, weights = np.polynomial.legendre.leggauss(200)
    low, high = np.array([0.0, 0.5, 0.9]), np.array([0.9, 0.99, 0.999])
    squares = (low**2 + high**2 + np.outer(nodes, high**2 - low**2)) / 2
    wanted = weights @ (1 / (1 - squares)) / 2
    assert_allclose(theory.lru_ring_variance(low, high), wanted, rtol=1e-12)
    # A narrow ring is one decay.
    narrow = theory.lru_ring_variance(0.9, 0.9 + 1e-9)
    assert_allclose(narrow, theory.memory_variance(0.9), rtol=1e-7)
