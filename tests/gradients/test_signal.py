"""The signal of the first step, against counts by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import HIDDEN, INPUT, TIME, one_cell
from numpy.testing import assert_allclose
from problems import LINEAR, draw, in_float64, make_params

import lstm_jax as lj

first_step_signal = jax.jit(lj.gradients.first_step_signal, static_argnums=(3, 5))


def squared_error(ys, target):
    return jnp.sum((ys[-1] - target) ** 2) + 0.1 * jnp.sum(ys**2)


def silenced(params, where):
    """The same params, through which no gradient flows where `where`."""
    return jax.tree.map(lambda p: jnp.where(where, jax.lax.stop_gradient(p), p), params)


@in_float64
@one_cell
def test_first_step_signal_equals_the_count_by_hand(cell):
    time, examples = 3, 9
    params = make_params(cell)
    xs = 1 + np.asarray(draw(time, examples, INPUT, seed=1, scale=0.5))
    targets = 2 + np.asarray(draw(examples, HIDDEN, seed=2, scale=0.5))

    def loss(params, x, target, only_first):
        carry, ys = cell.init_carry(params), []
        for t in range(time):
            read = params if t == 0 else silenced(params, only_first)
            carry, y = cell.step(read, carry, x[t])
            ys.append(y)
        return squared_error(jnp.stack(ys), target)

    gradient = jax.jit(jax.grad(loss))

    def per_example(only_first):
        rows = [
            gradient(params, xs[:, n], targets[n], only_first) for n in range(examples)
        ]
        return np.array([np.concatenate([np.ravel(w) for w in row]) for row in rows])

    through_first, whole = per_example(True), per_example(False)
    spread = through_first.var(0, ddof=1).sum() / examples
    squared_signal = (through_first.mean(0) ** 2).sum() - spread
    noise = np.sqrt(whole.var(0, ddof=1).sum() / 32)
    found = first_step_signal(cell, params, xs, squared_error, targets, 32)
    # Neither part of the estimate is negligible, so that both are tested.
    assert squared_signal > spread > 0.01 * squared_signal
    assert_allclose(found.signal, np.sqrt(squared_signal), rtol=1e-11)
    assert_allclose(found.resolution, np.sqrt(spread), rtol=1e-11)
    assert_allclose(found.noise, noise, rtol=1e-11)


@in_float64
def test_first_step_signal_is_unbiased_where_the_truth_is_known():
    # h_1 = w x_0 + b, h_2 = u h_1 + w x_1 + b, loss h_2: through step 0 the gradient
    # is (u x_0, 0, u) with respect to (w, u, b), and x_0 ~ N(m, 1).
    u, m, examples, repeats = 1.5, 0.5, 8, 4_000
    params = lj.RNNParams(
        w_ih=jnp.array([[0.7]]), w_hh=jnp.array([[u]]), b=jnp.zeros((1,))
    )
    last = lambda ys, _: ys[-1, 0]
    found = jax.vmap(
        lambda xs: first_step_signal(
            LINEAR, params, xs, last, jnp.zeros((examples,)), 1
        )
    )(m + draw(repeats, 2, examples, 1))
    squared_signals = np.asarray(found.signal) ** 2
    error = np.std(squared_signals) / np.sqrt(repeats)
    truth = u**2 * (m**2 + 1)
    assert abs(np.mean(squared_signals) - truth) < 4 * error
    # The estimate without the correction would be caught: it is too large by this.
    bias = u**2 / examples
    assert bias > 8 * error
    assert_allclose(np.mean(found.resolution**2), bias, rtol=0.1)


@in_float64
def test_a_signal_below_what_the_examples_show_is_zero_and_never_nan():
    params = make_params(lj.RNN)
    signs = jnp.where(jnp.arange(8) % 2 == 0, 1.0, -1.0)
    found = jax.vmap(
        lambda xs: first_step_signal(
            lj.RNN, params, xs, lambda ys, sign: sign * jnp.sum(ys[-1]), signs, 4
        )
    )(draw(50, TIME, 8, INPUT))
    assert np.all(found.signal >= 0) and np.any(found.signal == 0)
    assert np.all(found.resolution > 0) and np.all(found.noise > 0)


@jax.jit
def signal_of_one_unit(factor, xs):
    return lj.gradients.first_step_signal(
        LINEAR,
        lj.RNNParams(
            w_ih=jnp.eye(1, dtype=xs.dtype),
            w_hh=factor * jnp.eye(1, dtype=xs.dtype),
            b=jnp.zeros(1, xs.dtype),
        ),
        xs,
        lambda ys, target: ys[-1, 0] * (1 + 0 * target),
        jnp.ones(16, xs.dtype),
        4,
    )


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_first_step_signal_where_squares_leave_float32(factor):
    xs = np.random.default_rng(0).standard_normal((60, 16, 1)).astype(np.float32)
    single = signal_of_one_unit(np.float32(factor), xs)
    with jax.enable_x64(True):
        double = signal_of_one_unit(np.float64(factor), xs.astype(np.float64))
    assert_allclose(single, double, rtol=1e-3)
    assert single.resolution > 0


BAD_SIGNALS: dict[str, tuple[dict[str, Any], str]] = {
    "one example": ({"xs": jnp.ones((5, 1, 1)), "targets": jnp.ones(1)}, "xs: shape"),
    "one step": ({"xs": jnp.ones((1, 4, 1))}, "xs: shape"),
    "no batch": ({"batch_size": 0}, "batch_size: got 0"),
    "vector": ({"loss_fn": lambda ys, target: ys[-1]}, "loss_fn: it returned"),
    "nan": ({"loss_fn": lambda ys, target: jnp.nan * ys.sum()}, "loss_fn: it returned"),
}


@pytest.mark.parametrize(("wrong", "message"), BAD_SIGNALS.values(), ids=BAD_SIGNALS)
def test_first_step_signal_refuses(wrong, message):
    arguments = {
        "xs": jnp.ones((5, 4, 1)),
        "loss_fn": lambda ys, target: jnp.sum(ys),
        "targets": jnp.ones(4),
        "batch_size": 4,
        **wrong,
    }
    params = LINEAR.init(jax.random.key(0), 1, 2)
    with pytest.raises(ValueError, match=message):
        lj.gradients.first_step_signal(LINEAR, params, **arguments)
