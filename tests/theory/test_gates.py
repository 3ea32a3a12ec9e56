"""Carousels and chrono biases."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from theory.printed import printed

import lstm_jax as lj
from lstm_jax import theory
from lstm_jax.initializers import chrono_biases

in_float64 = pytest.mark.usefixtures("x64")


def test_carousels_to_the_printed_digits():
    # σ(b_f)^T, with all weights zero.
    biases = [0, 1, 2, 3, 5]
    wanted = "7.889e-31 2.484e-14 3.073e-6 7.760e-3 .5109"
    printed(theory.carousel_share(biases, 100), wanted)
    printed(theory.carousel_horizon(biases), "2 3.7183 8.389 21.09 149.4")
    printed(theory.carousel_half_life(biases), "1 2.213 5.461 14.27 103.2")
    # ln σ(40) = -4.2e-18, where σ(40) is 1 to every digit.
    assert_allclose(theory.carousel_rate(40), -math.exp(-40), rtol=1e-15)
    assert_allclose(theory.carousel_rate(-800), -800, rtol=1e-15)


@in_float64
def test_a_gru_without_weights_halves_its_gradient():
    # σ(b)^T at b = 0.
    shapes = jax.eval_shape(lambda key: lj.GRU.init(key, 1, 1), jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)

    def last(h):
        carry = lj.cells.GRUCarry(h=h[None])
        for _ in range(4):
            carry, _ = lj.GRU.step(params, carry, jnp.zeros((1,)))
        return carry.h[0]

    gradient = jax.grad(last)(jnp.asarray(0.3))
    assert_allclose(gradient, theory.carousel_share(0.0, 4), rtol=1e-14)


def test_chrono_to_the_printed_digits():
    # b_f = ln(T - 1): σ(b_f)^T = (1 - 1/T)^T.
    lags = np.array([10, 100, 500, 1000])
    shares = theory.chrono_share(lags)
    printed(shares, ".348678 .366032 .367511 .367695")
    assert_allclose(shares, theory.carousel_share(theory.chrono_bias(lags), lags))
    assert_allclose(theory.carousel_horizon(theory.chrono_bias(lags)), lags, rtol=1e-12)
    found = theory.chrono_population_share([1, 10, 100, 500, 1000, 2000], 1000)
    printed(found, ".99377 .95107 .72354 .32699 .14861 .03754")


@pytest.mark.parametrize("lag", [0, 3, 200])
def test_the_chrono_population_is_a_mean_over_a_fine_grid_of_biases(lag):
    u = 1 + 58 * (np.arange(200_000) + 0.5) / 200_000
    wanted = np.mean((u / (1 + u)) ** lag)
    assert_allclose(theory.chrono_population_share(lag, 60), wanted, rtol=1e-7)


def test_the_chrono_population_is_that_of_the_initializer():
    biases = chrono_biases(jax.random.key(0), 20_000, 60).forget_bias
    shares = theory.carousel_share(np.asarray(biases), 20)
    stderr = shares.std() / math.sqrt(len(shares))
    assert abs(shares.mean() - theory.chrono_population_share(20, 60)) < 4 * stderr
