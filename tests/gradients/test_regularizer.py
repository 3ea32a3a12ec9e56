"""The regularizer Omega, against its formula and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import LINEAR, compiled, draw, make_params, rotation

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
def sequence(x64):
    params = jax.tree.map(np.asarray, make_params(lj.RNN, INPUT, HIDDEN))
    return params, np.asarray(draw(TIME, BATCH, INPUT, seed=100))


def last(ys):
    return jnp.sum(ys[-1] ** 2)


@jax.jit
def omega_and_gradient(params, xs):
    return jax.value_and_grad(lambda p: omega(lj.RNN, p, xs, last))(params)


def test_omega_is_its_formula_over_the_explicit_jacobians(sequence):
    params, xs = sequence
    h, hs, wanted = np.zeros((BATCH, HIDDEN)), [], 0.0
    for x in xs:
        h = np.tanh(x @ params.w_ih + h @ params.w_hh + params.b)
        hs.append(h)
    for b in range(BATCH):
        sent = 2 * hs[-1][b]  # dL/dh_T
        for t in reversed(range(TIME)):
            jacobian = (1 - hs[t][b] ** 2)[:, None] * params.w_hh.T
            back = jacobian.T @ sent
            ratio = np.linalg.norm(back) / np.linalg.norm(sent)
            wanted += (ratio - 1) ** 2 / BATCH if t < TIME - 1 else 0
            sent = back
    assert_allclose(omega_and_gradient(params, xs)[0], wanted, rtol=1e-12)


def test_omega_is_zero_for_an_orthogonal_linear_network(x64):
    cell = lj.rnn("linear")
    params, xs = make_params(cell, INPUT, HIDDEN), np.ones((TIME, BATCH, INPUT))
    of = lambda w_hh: measure(params._replace(w_hh=w_hh), xs)
    measure, w_hh = compiled(omega, cell, loss_fn=last), rotation(HIDDEN)
    assert of(w_hh) < 1e-28
    assert_allclose(of(w_hh / 2), (TIME - 1) / 4, rtol=1e-12)


def test_omega_in_reverse_is_that_of_the_mirrored_sequence(sequence):
    params, xs = sequence
    mirrored, _ = omega_and_gradient(params, xs[::-1])
    loss = lambda ys: last(ys[::-1])
    found = compiled(omega, lj.RNN, loss_fn=loss, reverse=True)(params, xs)
    assert_allclose(found, mirrored, rtol=1e-12)


def test_descending_omega_brings_the_error_back_at_full_size(sequence):
    params, xs = sequence
    before, _ = omega_and_gradient(params, xs)
    for _ in range(100):
        _, slopes = omega_and_gradient(params, xs)
        params = jax.tree.map(lambda p, g: p - 0.05 * np.asarray(g), params, slopes)
    after, _ = omega_and_gradient(params, xs)
    assert after < 0.2 * before


def test_omega_of_a_silent_loss_is_zero_and_so_is_its_gradient(sequence):
    params, xs = sequence
    value, gradient = jax.jit(
        jax.value_and_grad(lambda p: omega(lj.RNN, p, xs, lambda ys: 0.0 * jnp.sum(ys)))
    )(params)
    assert value == 0
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(gradient))
