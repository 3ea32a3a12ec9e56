"""Gradients of carries against closed forms and bounds."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import (
    LONG,
    carry_gradients,
    every_measure,
    gradient_norms,
    lags,
    last_along,
    log_gradient_norms,
    make_sequence,
    rnn_params,
    silence,
    sum_of_last,
    weighted_loss,
)
from numpy.testing import assert_allclose, assert_array_equal
from problems import LINEAR, assert_trees_close, draw, in_float64, slow_but

import lstm_jax as lj

decay_rate = jax.jit(lj.decay_rate)  # as a whole, not operation by operation

# ---------------------------------------------------------------------------
# What the tests share
# ---------------------------------------------------------------------------


def rotation(size, dtype: Any = np.float64):
    """A random orthogonal matrix."""
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))
    return jnp.asarray(q.astype(dtype))


# ---------------------------------------------------------------------------
# Closed forms: linear networks
# ---------------------------------------------------------------------------


@in_float64
def test_a_scaled_rotation_fades_by_its_scale_in_every_direction():
    # Of W = g Q, Q orthogonal, the norm at lag k is exactly g^k.
    direction = draw(5, 8)
    args = (
        LINEAR,
        rnn_params(0.9 * rotation(8)),
        silence(100, (5,)),
        last_along(direction),
    )
    whole = np.linalg.norm(direction, axis=-1)
    wanted = 0.9 ** lags(100)[:, None] * whole
    _, norms, log_norms = every_measure(*args)
    norms, log_norms = norms.h, np.asarray(log_norms.h)
    assert_allclose(norms, wanted, rtol=1e-12)
    assert_allclose(log_norms, np.log(wanted), rtol=1e-13, atol=1e-12)
    assert_allclose(np.exp(log_norms[0]) / whole, 2.6561e-5, rtol=2e-5)
    assert_allclose(decay_rate(log_norms), np.log(0.9), rtol=1e-12)


@in_float64
def test_a_jordan_block_grows_before_it_fades():
    # A Jordan block: [[l, a], [0, l]]^k = [[l^k, k a l^(k-1)], [0, l^k]].
    rate, push, time = 0.9, 5.0, 200
    block = np.array([[rate, push], [0, rate]])
    args = (LINEAR, rnn_params(block.T), silence(time), last_along(np.eye(2)[0]))
    k = lags(time)
    wanted = np.stack([rate**k, k * push * rate ** (k - 1)], axis=-1)
    gradients, _, log_norms = every_measure(*args)
    gradients = np.asarray(gradients.h)
    norms = np.linalg.norm(wanted, axis=-1)
    assert_allclose(gradients, wanted, rtol=1e-12)
    assert_allclose(log_norms.h, np.log(norms), atol=1e-12)
    by_lag = gradients[::-1, 1]
    assert np.argmax(by_lag) + 1 in (9, 10)
    assert_allclose(by_lag[9 - 1], by_lag[10 - 1], rtol=1e-12)
    assert norms[0] < 1 < norms[-1] < by_lag[9 - 1]


def test_ten_thousand_float32_steps_do_not_bend_the_slope():
    # At 0.5 the norm is 1e-3010 and at 2.0 it is 1e+3010.
    scales = np.array([0.5, 0.9, 1.1, 2.0], np.float32)
    direction = draw(8).astype(jnp.float32)
    xs = silence(LONG, dtype=jnp.float32)

    def log_norms_at(scale):
        params = rnn_params(scale * rotation(8, np.float32))
        return log_gradient_norms(LINEAR, params, xs, last_along(direction)).h

    log_norms = jax.jit(jax.vmap(log_norms_at, out_axes=1))(scales)
    rates = np.log(scales.astype(np.float64))
    assert_allclose(decay_rate(log_norms), rates, rtol=0, atol=1e-6)
    wanted = LONG * rates + np.log(np.linalg.norm(direction))
    assert_allclose(log_norms[0], wanted, rtol=2e-6)


@pytest.mark.slow
def test_naive_norms_underflow_where_log_norms_do_not():
    params = rnn_params(jnp.float32(0.5) * rotation(8, np.float32))
    xs = silence(LONG, dtype=jnp.float32)
    norms = gradient_norms(LINEAR, params, xs, sum_of_last).h
    assert norms[0] == 0
    # Not where the sum of squares would: 0.5^100 is 8e-31, its square is 0.
    assert_allclose(norms[-100] / norms[-1], 0.5**99, rtol=1e-5)
    log_norms = log_gradient_norms(LINEAR, params, xs, sum_of_last).h
    assert np.all(np.isfinite(log_norms))


def exact_rotation():
    """An orthogonal 8x8 matrix without a rounding error in it."""
    reflection = np.eye(4) - 0.5
    return jnp.asarray(np.roll(np.kron(np.eye(2), reflection), 1, axis=0))


@in_float64
def test_a_rotation_keeps_the_norm_for_ten_thousand_steps():
    # An orthogonal linear RNN: ||dL/dh_t|| is constant.
    params, direction = rnn_params(exact_rotation()), draw(8)
    log_norms = log_gradient_norms(
        LINEAR, params, silence(LONG), last_along(direction)
    ).h
    wanted = np.log(np.linalg.norm(direction))
    assert_allclose(log_norms, wanted, rtol=0, atol=1e-12)


@in_float64
@pytest.mark.parametrize("activation", slow_but(["tanh"], ["tanh", "relu"]))
def test_behind_an_activation_a_rotation_can_only_shrink(activation):
    # Its slope is at most 1, and Q keeps the norm.
    params = rnn_params(rotation(8))._replace(w_ih=draw(1, 8, seed=1))
    xs, direction = draw(50, 4, 1, seed=2), draw(4, 8, seed=3)
    log_norms = np.asarray(
        log_gradient_norms(lj.rnn(activation), params, xs, last_along(direction)).h
    )
    ended = np.log(np.linalg.norm(direction, axis=-1))
    later = np.concatenate([log_norms[1:], ended[None]])
    assert np.all(log_norms <= later + 1e-12)
    assert np.all(log_norms[0] < ended - 0.1)


@pytest.mark.slow
@in_float64
def test_an_irnn_without_input_keeps_the_gradient_of_its_active_units():
    # relu, W = I.
    carry = lj.RNNCarry(h=jnp.array([1.0, -1.0, 0.5, -0.1, 2.0]))
    direction = jnp.array([0.3, 0.7, -2.0, 1.0, 1.5])
    args = (
        lj.rnn("relu"),
        rnn_params(jnp.eye(5)),
        silence(300),
        last_along(direction),
        carry,
    )
    active = jnp.where(carry.h > 0, direction, 0)
    wanted = np.broadcast_to(active, (300, 5))
    assert_array_equal(carry_gradients(*args).h, wanted)
    log_norms = log_gradient_norms(*args).h
    assert_allclose(log_norms, np.log(np.linalg.norm(active)), rtol=0, atol=1e-14)


# ---------------------------------------------------------------------------
# Bounds and backpropagation by hand
# ---------------------------------------------------------------------------


STEEPEST = {"tanh": 1.0, "relu": 1.0, "logistic": 0.25, "linear": 1.0}


@pytest.mark.slow  # test_jacobians.py has it of more nets
@in_float64
@pytest.mark.parametrize("activation", STEEPEST)
def test_the_bound_of_pascanu_is_never_violated(activation):
    # ||dL/dh_{T-k}|| <= (γ s_max)^k ||dL/dh_T||.
    time, nets = 40, 20
    gains = np.repeat([0.1, 0.5, 1.0, 2.0, 4.0], nets // 5)
    params = lj.RNNParams(
        w_ih=draw(nets, 3, 8, seed=1),
        w_hh=gains[:, None, None] * draw(nets, 8, 8, seed=2) / np.sqrt(8),
        b=draw(nets, 8, seed=3),
    )
    xs, direction = draw(nets, time, 3, seed=4), draw(nets, 8, seed=5)
    log_norms = jax.jit(
        jax.vmap(
            lambda params, xs, direction: (
                log_gradient_norms(
                    lj.rnn(activation), params, xs, last_along(direction)
                ).h
            )
        )
    )(params, xs, direction)
    largest = np.linalg.norm(params.w_hh, 2, axis=(1, 2))
    per_step = np.log(STEEPEST[activation] * largest)[:, None]
    whole = np.log(np.linalg.norm(direction, axis=-1))[:, None]
    assert np.all(log_norms <= lags(time) * per_step + whole + 1e-12)


@in_float64
@pytest.mark.parametrize("reads", slow_but(["last step"], ["last step", "every step"]))
def test_carry_gradients_make_up_the_weight_gradients(reads):
    # BPTT: dL/dW = Σ_t h_{t-1}ᵀ (dL/dh_t * φ'(a_t)). Of dL/dh_t, entry t + 1 is
    # what comes back from later steps, and dL/dy_t what is read at once.
    params, xs, weights = make_sequence(lj.RNN, (3,))
    if reads == "last step":
        weights = weights.at[:-1].set(0)
    loss_fn = weighted_loss(weights)
    loss_of = lambda params: loss_fn(lj.unroll(lj.RNN, params, xs)[1])
    wanted = jax.jit(jax.grad(loss_of))(params)

    h = jax.jit(partial(lj.unroll_carries, lj.RNN))(params, xs)[0].h
    at_once = jax.jit(jax.grad(loss_fn))(h)
    back = carry_gradients(lj.RNN, params, xs, loss_fn).h
    h, back, nothing = np.asarray(h), np.asarray(back), np.zeros_like(h[:1])
    entering = np.concatenate([nothing, h[:-1]])
    later = np.concatenate([back[1:], nothing])
    delta = (later + at_once) * (1 - h**2)
    by_hand = lj.RNNParams(
        w_ih=np.einsum("tbi,tbh->ih", xs, delta),
        w_hh=np.einsum("tbi,tbh->ih", entering, delta),
        b=np.einsum("tbh->h", delta),
    )
    assert_trees_close(by_hand, wanted, rtol=1e-12, atol=1e-14)


# ---------------------------------------------------------------------------
# The LSTM's carousel alone
# ---------------------------------------------------------------------------


ZERO_WEIGHTS = {  # b_f: dc_T/dc_0 at T = 100, steps of half-life, 1 / (1 - f)
    0.0: (7.889e-31, 1.0, 2.0),
    1.0: (2.484e-14, 2.213, 3.7183),
    2.0: (3.073e-6, 5.461, 8.389),
    3.0: (7.760e-3, 14.27, 21.09),
    5.0: (0.5109, 103.2, 149.4),
}


@pytest.mark.slow
@in_float64
def test_an_lstm_without_weights_fades_by_its_forget_gate():
    # dc_T/dc_0 = σ(b_f)^T. With c = 0 the use gate passes on
    # dh/dc = σ(0) tanh'(0) = 1/2, and nothing at all reaches h.
    time, hidden = 100, 4
    biases, one = np.array([*ZERO_WEIGHTS]), jnp.eye(hidden)[0]

    def of_bias(measure, forget_bias):
        b = jnp.zeros((4 * hidden,)).at[hidden : 2 * hidden].set(forget_bias)
        params = lj.LSTMParams(
            w_ih=jnp.zeros((1, 4 * hidden)), w_hh=jnp.zeros((hidden, 4 * hidden)), b=b
        )
        return measure(lj.LSTM, params, silence(time), last_along(one))

    norms, log_norms = (
        jax.vmap(partial(of_bias, measure), out_axes=1)(biases)
        for measure in (gradient_norms, log_gradient_norms)
    )
    survive, half_lives, forget_after = np.transpose([*ZERO_WEIGHTS.values()])
    gates = 1 / (1 + np.exp(-biases))
    rates = decay_rate(log_norms.c)

    wanted = np.outer(lags(time), np.log(gates)) + np.log(0.5)
    assert_allclose(log_norms.c, wanted, rtol=1e-12)
    assert_allclose(2 * norms.c[0], survive, rtol=3e-4)
    assert_array_equal(log_norms.h, -np.inf)
    assert_allclose(rates, np.log(gates), rtol=1e-12)
    assert_allclose([lj.half_life(rate) for rate in rates], half_lives, rtol=3e-4)
    assert_allclose(1 / (1 - np.exp(rates)), forget_after, rtol=3e-4)
    # Half is never left within 100 steps at b_f = 5.
    horizons = lj.horizon(log_norms.c, 0.5)
    assert_allclose(horizons, [*half_lives[:-1], np.inf], rtol=3e-4)
