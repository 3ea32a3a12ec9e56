"""One unit: rates, thresholds and cliffs."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from theory.printed import printed

import lstm_jax as lj
from lstm_jax import theory

in_float64 = pytest.mark.usefixtures("x64")


LATCHED = [1.2, 1.5, 2.0, 3.0, 5.0]


def test_tanh_rates_to_the_printed_digits():
    # h' = tanh(w h): rate w (1 - h*²) at the fixed point h*, or w where w < 1.
    wanted = ".679543 .394313 .166372 .030513 9.0874e-4"
    printed(np.exp(theory.tanh_rate(LATCHED)), wanted)
    printed(theory.tanh_rate(1.2), "-.386334")
    printed(theory.tanh_fixed_point([1.2, 1.5, 2.0]), ".658570 .858560 .957504")


@pytest.mark.parametrize("w", [-1.5, -0.5, 0.7, 1.2, 2.0, 3.0])
def test_the_tanh_rate_is_the_multiplier_of_a_long_loop(w):
    h, log_product = 0.3, []
    for _ in range(4000):
        h = math.tanh(w * h)
        log_product.append(math.log(abs(w) * (1 - h**2)))
    assert_allclose(theory.tanh_rate(w), log_product[-1], rtol=1e-12)
    if w > 0:
        assert_allclose(theory.tanh_fixed_point(w), h, atol=1e-12)


def test_the_tanh_rate_at_its_ends():
    assert theory.tanh_rate(1.0) == 0
    assert theory.tanh_rate(0.0) == -np.inf
    # w = 1 + ε gives -2ε; at w = 400, h* rounds to 1, and 1 - h*² is not 0.
    assert_allclose(theory.tanh_rate(1 + 1e-6), -2e-6, rtol=1e-5)
    assert_allclose(theory.tanh_rate(400), np.log(1600) - 800, rtol=1e-15)


def test_the_critical_product_is_a_power_law():
    # At w = 1: Π (1 - h_t²) ~ C T^(-3/2).
    time = np.array([100, 1000, 10_000, 20_000, 40_000, 80_000])
    products = theory.critical_tanh_product(time)
    constants = (products * time**1.5)[[0, 1, 2, 5]]
    printed(constants, "1.5920 1.6352 1.6404 1.6410")
    ratios = products[1:] / products[:-1]
    assert np.all(np.abs(ratios[2:] - 0.3536) < 1e-3)
    printed(products[-1] / products[-2], ".353572")
    assert theory.critical_tanh_product(0) == 1


@in_float64
def test_the_critical_product_is_the_gradient_of_a_loop():
    def last(h, time=9):
        for _ in range(time):
            h = jnp.tanh(h)
        return h

    assert_allclose(theory.critical_tanh_product(9), jax.grad(last)(1.0), rtol=1e-13)


def test_latch_thresholds_to_the_printed_digits():
    # u* = w s - artanh(s), s = sqrt((w - 1) / w).
    found = theory.latch_threshold([1.1, 1.25, 1.5, 2.0, 3.0, 5.0])
    printed(found, ".020481 .077805 .207546 .532840 1.303274 3.028500")
    assert_allclose(theory.latch_threshold(1 + 1e-4), 2 / 3 * 1e-6, rtol=1e-3)


@pytest.mark.parametrize("w", [1.1, 2.0, 5.0])
def test_a_state_is_lost_just_above_the_threshold(w):
    threshold = theory.latch_threshold(w)
    a = np.full(2, 2 * w)
    for _ in range(4000):
        a = w * np.tanh(a) - threshold * np.array([0.999, 1.001])
    assert a[0] > 0 > a[1]


def test_saddle_nodes_to_the_printed_digits():
    # Of x = w σ(x) + b; w = 5 is Pascanu's figure 3.
    found = theory.saddle_nodes([5.0, 6.0, 8.0])
    printed(found.lower, "-2.65561034 -3.415093 -5.065680")
    printed(found.upper, "-2.34438966 -2.584907 -2.934320")


def test_between_the_saddle_nodes_there_are_three_solutions():
    x = np.linspace(-20, 20, 400_001)
    for w in (4.5, 6.0):
        lower, upper = theory.saddle_nodes(w)
        for b, solutions in (
            (lower - 1e-3, 1),
            (lower + 1e-3, 3),
            (upper - 1e-3, 3),
            (upper + 1e-3, 1),
        ):
            signs = np.sign(w / (1 + np.exp(-x)) + b - x)
            assert np.sum(signs[1:] != signs[:-1]) == solutions


def test_the_cliff_to_the_printed_digits():
    # At b* = ½ - w σ(½) the start, ½, is a fixed point of slope w σ'(½).
    w = np.array([5.0, 6.0])
    bias = theory.cliff_bias(w)
    printed(bias, "-2.612296656 -3.234755987")
    printed(theory.cliff_multiplier(5), "1.17501856")
    printed(theory.cliff_multiplier([5, 6, 8]) ** 50, "3178.60 2.8927e7 5.108e13")
    found = theory.logistic_map_gradient(w, bias)
    printed(found.b, "-661.683 -2.5711e6")
    printed(found.w[0], "-411.871")
    printed(theory.logistic_map_error(5, -2.5), ".0240889")
    beside = theory.logistic_map_gradient(5, -2.5)
    printed([beside.w, beside.b], ".0863117 .100925")


def rnn_error(w, b):
    """Pascanu's error through the library: with y = σ(x), y_t = σ(w y_{t-1} + b)."""
    params = lj.RNNParams(w_ih=jnp.zeros((1, 1)), w_hh=w.reshape(1, 1), b=b.reshape(1))
    carry = lj.RNNCarry(h=jax.nn.sigmoid(jnp.full((1,), 0.5)))
    _, ys = lj.unroll(lj.rnn("logistic"), params, jnp.zeros((50, 1)), carry)
    return (ys[-1, 0] - 0.7) ** 2


@in_float64
def test_the_cliff_is_that_of_an_unrolled_rnn():
    w = np.array([5.0, 5.0, 4.0, 6.0, -3.0])
    b = np.array([theory.cliff_bias(5), -2.5, 1.0, -3.3, 0.5])
    errors, gradients = jax.vmap(jax.value_and_grad(rnn_error, (0, 1)))(
        jnp.asarray(w), jnp.asarray(b)
    )
    # The wall multiplies a rounding error by 3000.
    assert_allclose(theory.logistic_map_error(w, b), errors, rtol=1e-11)
    found = theory.logistic_map_gradient(w, b)
    assert_allclose(found.w, gradients[0], rtol=1e-10)
    assert_allclose(found.b, gradients[1], rtol=1e-10)


def test_an_error_surface_broadcasts():
    w, b = np.linspace(3, 7, 3)[:, None], np.linspace(-4, 0, 5)
    assert theory.logistic_map_error(w, b).shape == (3, 5)
    assert theory.logistic_map_gradient(w, b).b.shape == (3, 5)
    assert theory.logistic_map_error(
        2.0, 0.0, num_steps=0, target=0.0
    ) == pytest.approx(1 / (1 + math.exp(-0.5)) ** 2)
