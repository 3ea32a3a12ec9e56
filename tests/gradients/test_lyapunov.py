"""Lyapunov exponents against maps, matrices and theory whose exponents are known."""

import inspect
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import LINEAR, draw, in_float64, recurrence, rotation, silence
from scipy.special import digamma, polygamma

import lstm_jax as lj
from lstm_jax import initializers, theory
from lstm_jax.gradients.jacobians import step_jacobians
from lstm_jax.gradients.lyapunov import (
    entropy_rate,
    kaplan_yorke_dimension,
    lyapunov_exponents,
    lyapunov_spectrum,
    mean_over_time,
)

# They hold what NumPy made.
RNNCarry: Any = lj.RNNCarry
OPTIONS = ("num_exponents", "burn_in", "qr_every")


@partial(jax.jit, static_argnames=OPTIONS)
def exponents_of(cell, params, xs, num_exponents=None, **options):
    return lyapunov_exponents(cell, params, xs, num_exponents, **options)


@partial(jax.jit, static_argnames=OPTIONS)
def spectrum_of(cell, params, xs, num_exponents=None, **options):
    return lyapunov_spectrum(cell, params, xs, num_exponents, **options)


def map_cell(start, step) -> Any:
    """A cell without params that repeats a map; a float for 0 inputs."""
    return lj.Cell(
        name="map",
        init=lambda *_: (),
        init_carry=lambda *_: jnp.asarray(start, jnp.float64),
        step=lambda params, carry, x: (step(carry), carry),
    )


# ---------------------------------------------------------------------------
# Known systems
# ---------------------------------------------------------------------------


@in_float64
def test_a_linear_net_has_the_logarithms_of_its_eigenvalues():
    """ln|eigenvalues|, which are real, so that their directions are told apart."""
    basis = np.asarray(draw(4, 4))
    eigenvalues = np.array([0.3, -1.1, 0.9, 0.5])
    params = recurrence(basis @ np.diag(eigenvalues) @ np.linalg.inv(basis))
    expected = np.sort(np.log(np.abs(eigenvalues)))[::-1]
    found = exponents_of(LINEAR, params, silence(400), burn_in=200)
    assert_allclose(found, expected, atol=1e-12)
    top = exponents_of(LINEAR, params, silence(400), 2, burn_in=200, qr_every=4)
    assert_allclose(top, expected[:2], atol=1e-12)


@in_float64
def test_an_orthogonal_net_has_none_but_zeros():
    found = spectrum_of(LINEAR, recurrence(rotation(5)), silence(50))
    assert_allclose(found.exponents, 0, atol=1e-14)
    assert_allclose(found.stderr, 0, atol=1e-14)
    assert_allclose(found.mean_log_det, 0, atol=1e-14)


def test_a_diagonal_net_is_sorted_though_its_axes_are_invariant():
    """A frame that started along the axes would find 0.1 and 0.2 and never the rest."""
    params = recurrence(np.diag([0.1, 0.2, 0.4, 0.8]).astype(np.float32))
    found = exponents_of(LINEAR, params, silence(400, jnp.float32), 2, burn_in=200)
    assert_allclose(found, np.log([0.8, 0.4]), atol=1e-5)


@in_float64
def test_the_logistic_map_has_ln_2():
    cell = map_cell([0.1234], lambda x: 4 * x * (1 - x))
    (found,) = exponents_of(cell, (), silence(20_000))
    assert_allclose(found, np.log(2), atol=1e-3)


@pytest.mark.slow
@in_float64
def test_the_henon_map():
    """λ = .4192, -1.6232, and their sum is ln .3 exactly."""
    cell = map_cell(
        [0.1, 0.1], lambda s: jnp.stack([1 - 1.4 * s[0] ** 2 + s[1], 0.3 * s[0]])
    )
    found = spectrum_of(cell, (), silence(20_000), burn_in=500, qr_every=5)
    assert_allclose(found.exponents, [0.4192, -1.6232], atol=4e-3)
    assert_allclose(found.exponents.sum(), np.log(0.3), atol=1e-12)
    assert_allclose(found.mean_log_det, np.log(0.3), atol=1e-12)
    dimension = kaplan_yorke_dimension(found.exponents)
    assert_allclose(dimension, 1 + 0.4192 / 1.6232, atol=5e-3)  # 1.258
    assert_allclose(entropy_rate(found.exponents), 0.4192, atol=4e-3)


@pytest.mark.slow
@in_float64
def test_the_lorenz_flow_contracts_at_its_divergence():
    """Σ λ = -(σ + 1 + β) = -13.6667 per unit of time, λ_1 about .906."""
    step_size = 0.005

    def flow(s):
        x, y, z = s
        return jnp.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    def runge_kutta(s):
        k1 = flow(s)
        k2 = flow(s + step_size / 2 * k1)
        k3 = flow(s + step_size / 2 * k2)
        k4 = flow(s + step_size * k3)
        return s + step_size / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    cell = map_cell([1.0, 1.0, 20.0], runge_kutta)
    found = spectrum_of(cell, (), silence(12_000), burn_in=2000, qr_every=10)
    rates = found.exponents / step_size
    assert_allclose(rates.sum(), -41 / 3, atol=1e-4)
    assert_allclose(rates, [0.906, 0, -14.57], atol=0.12)


# ---------------------------------------------------------------------------
# Exact on any run
# ---------------------------------------------------------------------------


def lstm_run(time=40, batch=(2,)):
    hidden = 3
    params = lj.LSTM.init(jax.random.key(0), 2, hidden, gain=2.0, dtype=jnp.float64)
    return params, 2 * draw(time, *batch, 2, seed=5)


@pytest.mark.slow
@in_float64
def test_the_exponents_add_up_to_the_determinants():
    """Σ λ = <ln|det J|>, on an LSTM; the right side from NumPy."""
    params, xs = lstm_run()
    found = spectrum_of(lj.LSTM, params, xs, burn_in=8, qr_every=4)
    jacobians = np.asarray(step_jacobians(lj.LSTM, params, xs))[8:]
    expected = np.linalg.slogdet(jacobians)[1].mean(0)
    assert found.mean_log_det is not None
    assert_allclose(found.exponents.sum(-1), expected, atol=1e-10)
    assert_allclose(found.mean_log_det, expected, atol=1e-10)
    assert (np.diff(found.exponents) <= 0).all()
    alone = exponents_of(lj.LSTM, params, xs, burn_in=8, qr_every=1)
    assert_allclose(alone.sum(-1), expected, atol=1e-10)
    assert_allclose(alone[:, 0], found.exponents[:, 0], atol=0.02)


@pytest.mark.parametrize("gain", [5.0, 10.0])
@in_float64
def test_saturated_units_keep_their_exponents(gain):
    # Slopes of e^-40 beside slopes of 1, in one step; by QR in the given order of the
    # rows the sum is nats off.
    w, start = gain * np.asarray(draw(16, 16, seed=3)) / 4, np.asarray(draw(16))
    params, carry = recurrence(w), RNNCarry(h=start)
    states = np.asarray(jax.jit(lj.unroll)(lj.RNN, params, silence(40), carry)[1])
    sizes = np.abs(np.concatenate([start[None], states[:-1]]) @ w.T)
    assert sizes.max() > 10
    log_slopes = 2 * (np.log(2) - sizes - np.log1p(np.exp(-2 * sizes)))
    expected = np.linalg.slogdet(w)[1] + log_slopes.sum(-1).mean()
    found = np.asarray(exponents_of(lj.RNN, params, silence(40), carry=carry))
    assert_allclose(found.sum(), expected, rtol=1e-12)


@in_float64
def test_a_stable_tanh_net_decays_at_its_spectral_radius():
    """λ_1 = ln ρ(W): the smart tanh start of Pascanu et al. decays at ln .95."""
    init = jax.jit(initializers.sparse(0.95), static_argnums=(1, 2))
    w = np.asarray(init(jax.random.key(1), (20, 20), jnp.float64))
    start = RNNCarry(h=0.1 * draw(20, seed=3))
    found = exponents_of(
        lj.RNN, recurrence(w), silence(2000), burn_in=1000, carry=start
    )
    expected = np.log(np.abs(np.linalg.eigvals(np.asarray(w))))
    found = np.asarray(found)
    assert_allclose(found[0], expected.max(), atol=2e-3)
    assert_allclose(found[0], np.log(0.95), atol=2e-3)
    assert_allclose(found.sum(), expected.sum(), atol=1e-9)


# ---------------------------------------------------------------------------
# Theory at any size, and at large ones
# ---------------------------------------------------------------------------


def fresh_matrix_cell(size):
    """h <- W_t h, with W_t in the input of step t."""
    return lj.Cell(
        name="fresh_matrix",
        init=lambda *_: (),
        init_carry=lambda params, batch_shape=(): jnp.ones((*batch_shape, size)),
        step=lambda params, h, x: (
            (after := jnp.einsum("...ij,...j", x.reshape(*h.shape, size), h)),
            after,
        ),
    )


@pytest.mark.slow
@in_float64
def test_fresh_gaussian_matrices_have_the_exponents_of_newman():
    """Every exponent and its standard error, N = 8, T = 4000."""
    size, time = 8, 4000
    found = spectrum_of(fresh_matrix_cell(size), (), draw(time, 2, size**2) / size**0.5)
    freedom = size - np.arange(size)
    expected = 0.5 * (np.log(2 / size) + digamma(freedom / 2))
    assert_allclose(theory.gaussian_product_exponents(size), expected, rtol=1e-12)
    stderr = 0.5 * np.sqrt(polygamma(1, freedom / 2) / time)
    z = (found.exponents - expected) / stderr
    assert np.abs(z).max() < 4
    assert 0.5 < np.sqrt((z**2).mean()) < 1.6
    assert_allclose(found.stderr.mean(0) / stderr, 1, atol=0.5)
    assert_allclose((found.stderr / stderr).mean(), 1, atol=0.2)


@partial(jax.jit, static_argnums=0)
def of_two_nets(measure, gain):
    """A measure of two nets of 96 units over 400 steps, and their weights."""

    def one(key):
        key_params, key_state = jax.random.split(key)
        init = {"gain": gain, "recurrent_init": initializers.gaussian}
        params = lj.RNN.init(key_params, 1, 96, **init)
        start = RNNCarry(h=jax.random.normal(key_state, (96,)))
        return measure(params, silence(400, jnp.float32), start), params.w_hh

    return jax.vmap(one)(jax.random.split(jax.random.key(4), 2))


def largest_exponent(params, xs, start):
    options: Any = {"burn_in": 100, "qr_every": 2, "carry": start}
    return lyapunov_exponents(lj.RNN, params, xs, 2, **options)[0]


def slope(params, xs, start):
    loss = lambda ys: jnp.sum(ys[-1])
    return lj.decay_rate(lj.log_gradient_norms(lj.RNN, params, xs, loss, start).h[100:])


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_the_gradient_decays_at_the_largest_exponent(gain):
    """The decay curve's slope per lag is λ_1, and at gain 0.5 that is ln ρ(W)."""
    exponents, w_hh = of_two_nets(largest_exponent, gain)
    assert_allclose(of_two_nets(slope, gain)[0], exponents, atol=0.025)
    if gain < 1:
        radius = np.abs(np.linalg.eigvals(np.asarray(w_hh, np.float64))).max(-1)
        assert_allclose(exponents, np.log(radius), atol=0.02)


def test_chaos_grows_as_mean_field_theory_says():
    """λ_1 = ½ ln(g² E[sech⁴]) at N = 96, two nets: .310 at gain 3, less a few / N."""
    exponents, _ = of_two_nets(largest_exponent, 3.0)
    assert_allclose(np.mean(exponents), theory.mean_field_exponent(3), atol=0.03)


# ---------------------------------------------------------------------------
# Numbers that follow
# ---------------------------------------------------------------------------


def test_dimension_and_entropy():
    """D = k + (λ_1 + ... + λ_k) / |λ_{k+1}|, h = Σ of the positive ones."""
    cases = [
        ([0.5, 0.0, -2.0, -3.0], 2.25, 0.5),
        ([-0.1, -0.2, -0.3, -0.4], 0.0, 0.0),
        ([0.3, 0.1, 0.0, -0.1], 4.0, 0.4),
        ([0.2, -0.1, -0.1, -5.0], 3.0, 0.2),
        ([1.0, -np.inf, -np.inf, -np.inf], 1.0, 1.0),
    ]
    exponents, dimensions, entropies = zip(*cases, strict=True)
    given = jnp.array(exponents, jnp.float32)
    assert_allclose(kaplan_yorke_dimension(given), dimensions, rtol=1e-5)
    assert_allclose(entropy_rate(given), entropies, rtol=1e-6)


def test_a_singular_map_loses_a_direction_for_ever():
    """A step that forgets everything has -inf; beside it the other batch element."""
    cell = lj.Cell(
        name="scaled",
        init=lambda *_: (),
        init_carry=lambda params, batch_shape=(): jnp.ones((*batch_shape, 1)),
        step=lambda params, carry, x: (carry * x, carry),
    )
    xs = jnp.full((4, 2, 1), 0.5).at[2, 1].set(0)
    found = spectrum_of(cell, (), xs)
    assert_allclose(found.exponents, [[np.log(0.5)], [-np.inf]], rtol=1e-6)
    assert_allclose(found.mean_log_det, [np.log(0.5), -np.inf], rtol=1e-6)


def test_few_exponents_have_no_determinant_and_one_block_no_error():
    params = recurrence(np.eye(3, dtype=np.float32) / 2)
    found = spectrum_of(LINEAR, params, silence(4, jnp.float32), 2, qr_every=4)
    assert found.mean_log_det is None
    assert np.isnan(found.stderr).all()
    assert_allclose(found.exponents, -np.log(2) * np.ones(2), rtol=1e-6)


def test_float32_means_are_right_over_10000_steps():
    """3e-8 nats per step; `jnp.mean` alone is off by 1.1e-7."""
    values = (
        np.random.default_rng(0).normal(-0.7, 0.3, (10_000, 256)).astype(np.float32)
    )
    exact = values.astype(np.float64).mean(0)
    assert_allclose(mean_over_time(jnp.asarray(values)), exact, atol=6e-8)


# ---------------------------------------------------------------------------
# Derivatives
# ---------------------------------------------------------------------------


@pytest.mark.slow  # test_flossing.py has it of the squares
@in_float64
def test_exponents_have_gradients():
    """What gradient flossing descends; against central differences."""
    params = lj.RNN.init(jax.random.key(0), 2, 4, gain=1.5, dtype=jnp.float64)
    xs = draw(12, 2)

    @jax.jit
    @jax.value_and_grad
    def floss(w_hh):
        moved = params._replace(w_hh=w_hh)
        return jnp.sum(lyapunov_exponents(lj.RNN, moved, xs, 3, qr_every=2) ** 2)

    direction, size = draw(4, 4, seed=2), 1e-5
    ahead, _ = floss(params.w_hh + size * direction)
    behind, _ = floss(params.w_hh - size * direction)
    _, gradient = floss(params.w_hh)
    assert_allclose(
        jnp.vdot(gradient, direction), (ahead - behind) / 2 / size, rtol=1e-6
    )


# ---------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [lyapunov_exponents, lyapunov_spectrum])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_exponents": 3}, r"num_exponents: got 3; .* \[1, 2\]"),
        ({"num_exponents": 0}, r"num_exponents: got 0; .* \[1, 2\]"),
        ({"num_exponents": 2.0}, r"num_exponents: got 2.0; .* whole .* \[1, 2\]"),
        ({"burn_in": 6}, r"burn_in: got 6; .* \[0, 5\]"),
        ({"burn_in": -1}, r"burn_in: got -1; .* \[0, 5\]"),
        ({"burn_in": 3.0}, r"burn_in: got 3.0; .* whole number"),
        ({"qr_every": 0}, r"qr_every: got 0; it must be in \[1, 6\]"),
        ({"qr_every": 2.0}, "qr_every: got 2.0; it must be a whole number"),
        ({"qr_every": 4}, "qr_every: got 4; .* divide burn_in = 0 and time = 6"),
        ({"qr_every": 3, "burn_in": 2}, "qr_every: got 3; .* burn_in = 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(measure, options, message):
    params = recurrence(np.eye(2, dtype=np.float32))
    # As outside the tests, where no type checker stands before the function.
    unchecked = inspect.unwrap(measure)
    error = TypeError if "whole" in message else ValueError
    with pytest.raises(error, match=message):
        unchecked(LINEAR, params, silence(6, jnp.float32), **options)


def test_a_run_without_steps_is_refused():
    params = recurrence(np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match="xs: shape is"):
        lyapunov_exponents(LINEAR, params, silence(0, jnp.float32))


@pytest.mark.slow
def test_by_default_every_step_has_a_qr():
    """Fewer give the same numbers in other roundings."""
    params = lj.LSTM.init(jax.random.key(0), 2, 3)
    xs = jnp.asarray(draw(40, 2), jnp.float32)
    for measure in (lj.lyapunov_exponents, lj.gradients.lyapunov_spectrum):
        found, wanted, other = (
            jax.tree.leaves(measure(lj.LSTM, params, xs, **options))[0]
            for options in ({}, {"qr_every": 1}, {"qr_every": 2})
        )
        np.testing.assert_array_equal(found, wanted)
        assert (found != other).any()
