"""Gradients of carries that a user might write: counters, keys, complex leaves."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import (
    TIME,
    Counting,
    every_measure,
    lags,
    last_along,
    log_gradient_norms,
    silence,
    sum_of_last,
)
from numpy.testing import assert_allclose
from problems import draw, in_float64, make_cell, make_params

import lstm_jax as lj


class Noisy(NamedTuple):
    h: Any
    key: Any


def counting_step(params, carry, x):
    h = carry.h / (1 + carry.count).astype(x.dtype)[..., None] + x
    return Counting(h, carry.count + 1), h


def noisy_step(params, carry, x):
    key_now, key_next = jnp.moveaxis(jax.vmap(jax.random.split)(carry.key), 1, 0)
    kept = jax.vmap(partial(jax.random.uniform, dtype=x.dtype))(key_now)
    h = kept[..., None] * carry.h + x
    return Noisy(h, key_next), h


COUNTING = make_cell(
    lambda params, batch=(): Counting(
        jnp.zeros((*batch, 1), params.dtype), jnp.zeros(batch, jnp.int32)
    ),
    counting_step,
)
NOISY = make_cell(
    lambda params, batch=(): Noisy(
        jnp.zeros((*batch, 1), params.dtype),
        jax.random.split(jax.random.key(7), batch),
    ),
    noisy_step,
)


def factors_of_counting():
    """What step t multiplies h by, (time, batch)."""
    return np.repeat(1 / np.arange(1, TIME + 1), 2).reshape(TIME, 2)


def factors_of_noise():
    keys = jax.random.split(jax.random.key(7), (2,))
    factors = []
    for _ in range(TIME):
        key_now, keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        factors.append([jax.random.uniform(k, dtype=jnp.float64) for k in key_now])
    return np.array(factors)


@in_float64
@pytest.mark.parametrize(
    "cell, factors",
    [(COUNTING, factors_of_counting), (NOISY, factors_of_noise)],
    ids=["integer counter", "typed key"],
)
def test_leaves_without_a_gradient_are_carried_along_and_left_out(cell, factors):
    args = (cell, jnp.ones(()), silence(TIME, (2,)), sum_of_last)
    wanted = np.cumprod(factors()[::-1], axis=0)[::-1]
    gradients, norms, log_norms = every_measure(*args)
    assert gradients[1] is log_norms[1] is norms[1] is None
    assert (
        type(gradients)
        is type(log_norms)
        is type(norms)
        is type(cell.init_carry(jnp.ones(()), (2,)))
    )
    assert_allclose(np.asarray(gradients.h)[..., 0], wanted, rtol=1e-12)
    assert_allclose(norms.h, wanted, rtol=1e-12)
    assert_allclose(log_norms.h, np.log(wanted), rtol=0, atol=1e-12)


@in_float64
def test_leaves_without_a_gradient_live_with_masks_and_resets():
    args = (COUNTING, jnp.ones(()), silence(TIME, (1,)), sum_of_last)
    t = np.arange(TIME)[:, None]
    # Counts 0 1 2 0 - 1: the step that does not count does not count.
    log_norms = log_gradient_norms(*args, resets=t == 3, mask=t != 4).h
    wanted = [-np.inf] * 4 + [np.log(1 / 2)] * 2
    assert_allclose(np.asarray(log_norms)[:, 0], wanted, atol=1e-12)


class Shaped(NamedTuple):
    number: Any
    matrix: Any


@in_float64
@pytest.mark.slow
def test_leaves_of_any_shape_have_one_norm_per_sequence():
    # A number and a matrix per sequence, each multiplied by its own factor.
    cell = make_cell(
        lambda params, batch=(): Shaped(jnp.zeros(batch), jnp.zeros((*batch, 2, 3))),
        lambda params, c, x: (
            Shaped(0.5 * c.number, 0.8 * c.matrix),
            jnp.stack([0.5 * c.number, 0.8 * jnp.sum(c.matrix, (-2, -1))], -1) + x,
        ),
    )
    args = (cell, (), silence(TIME, (2,)), sum_of_last)
    gradients, norms, logs = every_measure(*args)
    assert gradients.matrix.shape == (TIME, 2, 2, 3)
    for leaf, first, rate in (("number", 1, 0.5), ("matrix", np.sqrt(6), 0.8)):
        wanted = np.stack([first * rate ** lags(TIME)] * 2, axis=1)
        assert_allclose(getattr(norms, leaf), wanted, rtol=1e-12)
        assert_allclose(getattr(logs, leaf), np.log(wanted), rtol=0, atol=1e-12)


@in_float64
def test_a_complex_leaf_counts_as_two_reals():
    # z' = λ z turns and shrinks the adjoint of (Re z, Im z) by |λ| per step.
    eigenvalues = np.array([0.9 * np.exp(2.0j), 0.5 * np.exp(-0.3j)])
    cell = make_cell(
        lambda params, batch=(): jnp.zeros((*batch, 2), params.dtype),
        lambda params, z, x: (params * z, jnp.real(params * z) + x),
    )
    direction = np.array([3.0, -4.0])
    args = (cell, eigenvalues, silence(TIME), last_along(direction))
    sizes = np.abs(eigenvalues) ** lags(TIME)[:, None] * np.abs(direction)
    wanted = np.linalg.norm(sizes, axis=-1)
    gradients, norms, log_norms = every_measure(*args)
    assert_allclose(np.abs(gradients), sizes, rtol=1e-12)
    assert_allclose(norms, wanted, rtol=1e-12)
    assert_allclose(log_norms, np.log(wanted), atol=1e-12)


@in_float64
def test_outputs_may_be_a_pytree():
    params, xs = make_params(lj.LSTM), draw(5, 3, seed=100)

    def step(params, carry, x):
        carry, y = lj.LSTM.step(params, carry, x)
        return carry, {"h": y, "c": carry.c}

    cell = lj.from_function(step, lj.LSTM.init_carry)

    def loss(ys):
        return jnp.sum(ys["h"][-1] + ys["c"][2])

    logs, plain = jax.jit(
        lambda p, xs: (
            lj.log_gradient_norms(cell, p, xs, loss),
            lj.gradient_norms(cell, p, xs, loss),
        )
    )(params, xs)
    assert_allclose(np.exp(logs.c), plain.c, rtol=1e-12)
