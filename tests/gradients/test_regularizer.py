"""The regularizer Omega, against its formula and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose
from problems import LINEAR

import lstm_jax as lj
from lstm_jax.gradients.regularizer import omega


def scaling_net(factor):
    return lj.RNNParams(jnp.eye(2), factor * jnp.eye(2), jnp.zeros(2))


OMEGA_AND_GRADIENT = jax.jit(
    jax.value_and_grad(
        lambda p, xs: lj.gradients.omega(LINEAR, p, xs, lambda ys: jnp.sum(ys[-1]))
    )
)


@pytest.mark.parametrize("factor", [2.0, 0.5, 0.1])
def test_omega_of_a_net_beyond_float32(factor):
    """Ω = (T - 1)(s - 1)² also where the adjoints are s^200."""
    xs = jnp.zeros((200, 2))
    value, gradient = OMEGA_AND_GRADIENT(scaling_net(factor), xs)
    assert_allclose(value, 199 * (factor - 1) ** 2, rtol=1e-4)
    # dΩ/dW = 2 (T - 1)(s - 1) u uᵀ, u the direction of the adjoint.
    assert_allclose(jnp.trace(gradient.w_hh), 398 * (factor - 1), rtol=1e-4)


TIME, BATCH, INPUT, HIDDEN = 6, 2, 3, 4


@pytest.fixture
def sequence(key, x64):
    key_params, key_xs = jax.random.split(key)
    xs = jax.random.normal(key_xs, (TIME, BATCH, INPUT), jnp.float64)
    params = lj.RNN.init(key_params, INPUT, HIDDEN, gain=0.8, dtype=jnp.float64)
    return params, xs


def last(ys):
    return jnp.sum(ys[-1] ** 2)


def test_omega_is_its_formula_over_the_explicit_jacobians(sequence):
    params, xs = sequence
    hs = np.asarray(lj.unroll(lj.RNN, params, xs)[1])
    adjoints = np.asarray(lj.carry_gradients(lj.RNN, params, xs, last).h)
    w_hh, wanted = np.asarray(params.w_hh), 0.0
    for b in range(BATCH):
        for t in range(TIME - 1):
            jacobian = (1 - hs[t, b] ** 2)[:, None] * w_hh.T
            sent = adjoints[t + 1, b]
            ratio = np.linalg.norm(jacobian.T @ sent) / np.linalg.norm(sent)
            wanted += (ratio - 1) ** 2 / BATCH
    assert_allclose(omega(lj.RNN, params, xs, last), wanted, rtol=1e-12)


def test_omega_is_zero_for_an_orthogonal_linear_network(key, x64):
    cell = lj.rnn("linear")
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = jnp.ones((TIME, BATCH, INPUT))
    assert omega(cell, params, xs, last) < 1e-28
    halved = params._replace(w_hh=params.w_hh / 2)
    assert_allclose(omega(cell, halved, xs, last), (TIME - 1) / 4, rtol=1e-12)


def test_omega_in_reverse_is_that_of_the_mirrored_sequence(sequence):
    params, xs = sequence
    mirrored = omega(lj.RNN, params, xs[::-1], last)
    found = omega(lj.RNN, params, xs, lambda ys: last(ys[::-1]), reverse=True)
    assert_allclose(found, mirrored, rtol=1e-12)


def test_descending_omega_brings_the_error_back_at_full_size(sequence):
    params, xs = sequence
    penalty = jax.jit(jax.value_and_grad(lambda p: omega(lj.RNN, p, xs, last)))
    before, _ = penalty(params)
    optimizer = optax.sgd(0.05)
    state = optimizer.init(params)
    for _ in range(100):
        _, gradients = penalty(params)
        updates, state = optimizer.update(gradients, state)
        params = optax.apply_updates(params, updates)
    after, _ = penalty(params)
    assert after < 0.2 * before


def test_omega_of_a_silent_loss_is_zero_and_so_is_its_gradient(sequence):
    params, xs = sequence
    value, gradient = jax.jit(
        jax.value_and_grad(lambda p: omega(lj.RNN, p, xs, lambda ys: 0.0 * jnp.sum(ys)))
    )(params)
    assert value == 0
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(gradient))
