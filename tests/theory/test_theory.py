"""Closed forms against printed numbers, sums, simulations and derivatives of loops.

Numbers beside "SCIENCE" are items of the project's list of exact predictions.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from lstm_jax import theory
from lstm_jax.cells.rnn import ACTIVATIONS
from lstm_jax.initializers import chrono_biases

in_float64 = pytest.mark.usefixtures("x64")


def printed(found, wanted):
    """The last printed digit of each number may be off by one."""
    for value, text in zip(np.ravel(found), wanted.split(), strict=True):
        last_digit = 10.0 ** -len(text.partition(".")[2].partition("e")[0])
        scale = 10.0 ** float(text.partition("e")[2] or 0)
        assert abs(value - float(text)) <= 1.01 * last_digit * scale, (value, text)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# ---------------------------------------------------------------------------
# Products of Jacobians (SCIENCE 2, 3, 4, 15)
# ---------------------------------------------------------------------------


def test_the_bound_is_a_power_and_an_orthogonal_product_attains_it():
    # SCIENCE 1: 0.9^100.
    printed(theory.jacobian_bound(0.9, 100), "2.6561e-5")
    rotation = 0.9 * np.linalg.qr(normal(4, 4))[0]
    left = np.linalg.matrix_power(rotation, 20) @ normal(4, seed=1)
    bound = theory.jacobian_bound(np.linalg.norm(rotation, 2), 20)
    assert_allclose(np.linalg.norm(left) / np.linalg.norm(normal(4, seed=1)), bound)


def test_steepest_slopes_are_those_of_the_squashes():
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
    # SCIENCE 2.
    corners = [theory.jordan_block_power(0.9, 5, lag)[0, 1] for lag in range(30)]
    assert np.argmax(np.round(corners, 9)) == 9
    assert_allclose(corners[9], corners[10], rtol=1e-12)


def test_the_spectral_radius_is_what_remains_of_a_product():
    # SCIENCE 15; symmetric, so that nothing is transient.
    w = normal(2, 5, 5)
    w = w + w.transpose(0, 2, 1)
    power = np.linalg.matrix_power(w / 10, 201) / np.linalg.matrix_power(w / 10, 199)
    found = theory.spectral_radius_rate(w / 10)
    assert_allclose(found, 0.5 * np.log(power.mean((1, 2))), rtol=1e-9)
    assert theory.spectral_radius_rate(np.zeros((2, 2))) == -np.inf


def test_initial_slopes_are_those_of_pascanus_weights():
    # SCIENCE 4: basic tanh .707 per step, sigmoid .0177.
    printed(np.exp(theory.initial_slope(0.1, 50)), "0.707")
    printed(np.exp(theory.initial_slope(0.01, 50, 0.25)), "0.0177")
    found = theory.initial_slope(0.5, 100)
    measured = theory.spectral_radius_rate(0.5 * normal(100, 100))
    assert abs(found - measured) < 0.1


# ---------------------------------------------------------------------------
# One unit (SCIENCE 7-11)
# ---------------------------------------------------------------------------

LATCHED = [1.2, 1.5, 2.0, 3.0, 5.0]


def test_tanh_rates_to_the_printed_digits():
    # SCIENCE 7.
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
    # SCIENCE 8.
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
    # SCIENCE 9.
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
    # SCIENCE 10, Pascanu's figure 3.
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
    # SCIENCE 11.
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


# ---------------------------------------------------------------------------
# Lyapunov exponents (SCIENCE 14, 16, 18)
# ---------------------------------------------------------------------------


def test_gaussian_exponents_to_the_printed_digits():
    # SCIENCE 14.
    printed(theory.gaussian_product_exponents(2), "-0.288608 -0.981755")
    printed(theory.gaussian_product_exponents(3), "-.184488 -.491340 -1.184488")
    large = theory.gaussian_product_exponents(64)
    printed(large[[0, 1, -1]], "-.007853 -.015853 -2.714623")
    printed(large.sum(), "-33.107973")
    shifted = theory.gaussian_product_exponents(64, gain=3.0)
    assert_allclose(shifted - large, np.log(3), rtol=1e-12)


def test_gaussian_exponents_and_errors_are_those_of_a_simulation():
    size, time, repeats, gain = 3, 400, 60, 1.7
    rng = np.random.default_rng(1)
    q = np.broadcast_to(np.eye(size), (repeats, size, size))
    sums = np.zeros((repeats, size))
    for _ in range(time):
        w = gain / math.sqrt(size) * rng.standard_normal((repeats, size, size))
        q, r = np.linalg.qr(w @ q)
        sums += np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
    stderr = theory.gaussian_product_stderr(size, time)
    z = (sums / time - theory.gaussian_product_exponents(size, gain)) / stderr
    # 60 normal numbers each: the mean lies within 0.5 and the spread within 0.3 of 1.
    assert np.all(np.abs(z.mean(0)) < 0.5)
    assert np.all(np.abs(z.std(0) - 1) < 0.3)


def test_mean_field_exponents_to_the_printed_digits():
    # SCIENCE 16.
    gain = [1.1, 1.2, 1.5, 2.0, 3.0, 5.0]
    printed(
        theory.mean_field_exponent(gain), ".00507 .01648 .06522 .15472 .31025 .53243"
    )
    printed(theory.mean_field_variance(gain)[2:], ".79335 2.12147 6.30539 20.6994")
    gain, variance = [1, 1.5, 1.5, 2, 2], [0.1, 0.1, 0.5, 0.5, 1]
    found = theory.mean_field_exponent(gain, np.sqrt(variance))
    printed(found, "-.18637 .02620 -.06904 .09199 .04598")


def test_without_chaos_the_mean_field_is_the_circular_law():
    gain = np.array([0.5, 1.0])
    assert np.all(theory.mean_field_variance(gain) == 0)
    assert_allclose(theory.mean_field_exponent(gain), np.log(gain), atol=1e-15)
    for measure in (
        theory.mean_field_dimension,
        theory.mean_field_entropy,
        theory.mean_field_positive_share,
    ):
        assert np.all(measure(gain) == 0)


def test_the_mean_field_is_that_of_a_large_network():
    size, gain, noise = 1000, 2.0, 0.5
    rng = np.random.default_rng(0)
    w = gain / math.sqrt(size) * rng.standard_normal((size, size))
    x = rng.standard_normal((size, 4))
    squares, slopes = [], []
    for t in range(120):
        x = w @ np.tanh(x) + noise * rng.standard_normal((size, 4))
        if t >= 20:
            squares.append(np.mean(x**2))
            slopes.append(np.mean((1 - np.tanh(x) ** 2) ** 2))
    assert_allclose(
        np.mean(squares), theory.mean_field_variance(gain, noise), rtol=0.02
    )
    exponent = 0.5 * np.log(gain**2 * np.mean(slopes))
    assert abs(exponent - theory.mean_field_exponent(gain, noise)) < 0.01


def test_mean_field_dimensions_and_entropies_to_the_printed_digits():
    # SCIENCE 18, whose dimensions came from a coarser grid than the entropies.
    gain = [1.5, 2.0, 3.0, 5.0]
    dimension = theory.mean_field_dimension([*gain, 8.0])
    assert_allclose(dimension, [0.166, 0.259, 0.289, 0.246, 0.191], atol=2e-3)
    assert dimension[2] > dimension[1] > dimension[0]
    assert dimension[2] > dimension[3] > dimension[4]
    printed(theory.mean_field_entropy(gain), ".0028 .0107 .0252 .0391")
    printed(theory.mean_field_positive_share(gain), ".085 .133 .153 .135")


@pytest.mark.parametrize("gain", [1.5, 3.0])
def test_dimension_and_entropy_are_sums_over_the_spectrum(gain):
    num = 2000
    spectrum = theory.mean_field_spectrum(gain, num)
    assert np.all(np.diff(spectrum) < 0)
    assert_allclose(spectrum[0], theory.mean_field_exponent(gain), atol=1e-3)
    positive = spectrum[spectrum > 0]
    assert_allclose(positive.sum() / num, theory.mean_field_entropy(gain), rtol=1e-4)
    share = theory.mean_field_positive_share(gain)
    assert abs(len(positive) / num - share) <= 1 / num
    sums = np.cumsum(spectrum)
    before = np.flatnonzero(sums >= 0)[-1]
    dimension = before + 1 + sums[before] / -spectrum[before + 1]
    assert_allclose(dimension / num, theory.mean_field_dimension(gain), rtol=1e-4)


def test_the_spectrum_is_that_of_fresh_matrices_between_fixed_slopes():
    # Free by construction: W is drawn anew at every step; N = 60 stands for infinity.
    size, time, gain = 60, 120, 2.0
    q = theory.mean_field_variance(gain)
    rng = np.random.default_rng(2)
    basis, sums = np.eye(size), np.zeros(size)
    for _ in range(time):
        slopes = 1 / np.cosh(np.sqrt(q) * rng.standard_normal((size, 1))) ** 2
        w = gain / math.sqrt(size) * rng.standard_normal((size, size))
        basis, r = np.linalg.qr(w @ (slopes * basis))
        sums += np.log(np.abs(np.diagonal(r)))
    # The lower edge has a tail at finite size.
    found, wanted = sums / time, theory.mean_field_spectrum(gain, size)
    assert_allclose(found[:45], wanted[:45], atol=0.12)


# ---------------------------------------------------------------------------
# Gates (SCIENCE 19, 20)
# ---------------------------------------------------------------------------


def test_carousels_to_the_printed_digits():
    # SCIENCE 19.
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
    # SCIENCE 19: b = 0.
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
    # SCIENCE 20.
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


# ---------------------------------------------------------------------------
# Sensitivity (SCIENCE 22, 23)
# ---------------------------------------------------------------------------


def test_the_curse_of_memory_to_the_printed_digits():
    # SCIENCE 22.
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
    # SCIENCE 23.
    modulus = np.array([0.0, 0.5, 0.99, 1 - 1e-12])
    variance = theory.lru_normaliser(modulus) ** 2 * theory.memory_variance(modulus)
    assert_allclose(variance, 1, rtol=1e-12)


# ---------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: theory.jacobian_bound(-1, 2), "sigma_max: got -1"),
        (lambda: theory.jacobian_bound(1, -2), "lag: got -2"),
        (lambda: theory.jacobian_bound(1, 2, 0), "gamma: got 0"),
        (lambda: theory.jordan_block_power(1, 2, -1), "lag: got -1"),
        (lambda: theory.initial_slope(0, 5), "std: got 0"),
        (lambda: theory.gaussian_product_exponents(0), "size: got 0"),
        (lambda: theory.gaussian_product_exponents(3, 0), "gain: got 0"),
        (lambda: theory.gaussian_product_stderr(3, 0), "time: got 0"),
        (lambda: theory.carousel_share(math.inf, 1), "forget_bias: got inf"),
        (lambda: theory.carousel_share(0.0, -1), "lag: got -1"),
        (lambda: theory.chrono_bias([5, 1]), "lag: got 1"),
        (lambda: theory.chrono_population_share(1, 2), "t_max: got 2"),
        (lambda: theory.tanh_rate(math.nan), "w: got nan"),
        (lambda: theory.tanh_fixed_point(-2), "w: got -2"),
        (lambda: theory.critical_tanh_product(1.5), "time: got 1.5"),
        (lambda: theory.latch_threshold(1), "w: got 1;"),
        (lambda: theory.saddle_nodes([5, 4]), "w: got 4"),
        (lambda: theory.logistic_map_error(1, 1, num_steps=-1), "num_steps: got -1"),
        (lambda: theory.mean_field_exponent(0), "gain: got 0"),
        (lambda: theory.mean_field_exponent(1, -1), "noise: got -1"),
        (lambda: theory.mean_field_spectrum(2, 0), "num: got 0"),
        (lambda: theory.memory_variance(1), "decay: got 1"),
        (lambda: theory.sensitivity_variance(0.5, -1), "input_correlation: got -1"),
        (lambda: theory.lru_normaliser(1), "modulus: got 1"),
    ],
)
def test_what_is_outside_the_range_is_refused_in_one_line(call, line):
    with pytest.raises(ValueError) as refusal:
        call()
    message = str(refusal.value)
    assert message.startswith(line)
    assert "it must be" in message
    assert "\n" not in message
