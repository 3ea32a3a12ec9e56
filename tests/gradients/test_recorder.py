"""The recorder of gradient curves during training, and the Omega regularizer."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax.gradients.recorder import recorder
from lstm_jax.gradients.regularizer import omega

TIME, BATCH, INPUT, HIDDEN = 6, 2, 3, 4


@pytest.fixture
def sequence(key, x64):
    key_params, key_xs = jax.random.split(key)
    xs = jax.random.normal(key_xs, (TIME, BATCH, INPUT), jnp.float64)
    params = lj.RNN.init(key_params, INPUT, HIDDEN, gain=0.8, dtype=jnp.float64)
    return params, xs


def last(ys):
    return jnp.sum(ys[-1] ** 2)


@jax.jit
def descend(params, xs):
    return jax.tree.map(
        lambda w, g: w - 0.1 * g,
        params,
        jax.grad(lambda p: last(lj.unroll(lj.RNN, p, xs)[1]))(params),
    )


def test_the_recording_holds_the_curve_of_every_nth_update(sequence):
    params, xs = sequence
    watch = recorder(lj.RNN, xs, last, every=3, capacity=4)

    def body(state, step):
        params, recording = state
        recording = watch.update(recording, step, params)
        return (descend(params, xs), recording), None

    start = (params, watch.init(params))
    (_, found), _ = jax.jit(lambda s: jax.lax.scan(body, s, jnp.arange(8)))(start)
    assert_array_equal(found.steps, [0, 3, 6, -1])
    assert found.seen == 3
    curve_of = jax.jit(lambda p: lj.log_gradient_norms(lj.RNN, p, xs, last).h)
    for step in range(7):
        if step % 3 == 0:
            curve = curve_of(params)
            assert_allclose(found.log_norms[step // 3], curve, rtol=1e-12)
        params = descend(params, xs)
    assert np.isnan(found.log_norms[3]).all()


def test_records_beyond_the_capacity_are_counted_and_dropped(sequence):
    params, xs = sequence
    watch = recorder(lj.RNN, xs, last, every=1, capacity=2)
    recording = watch.init(params)
    update = jax.jit(watch.update)
    for step in range(3):
        recording = update(recording, step, params)
    assert_array_equal(recording.steps, [0, 1])
    assert recording.seen == 3


def test_between_records_nothing_is_measured(sequence):
    """The measurement stands in one branch of a conditional, not beside it."""
    params, xs = sequence
    watch = recorder(lj.RNN, xs, last, every=2, capacity=2)
    program = jax.make_jaxpr(watch.update)(watch.init(params), 1, params).jaxpr
    names = [equation.primitive.name for equation in program.eqns]
    assert names.count("cond") == 1
    assert not {"scan", "while", "dot_general"} & set(names)


@pytest.mark.parametrize("name", ["every", "capacity"])
def test_a_recorder_of_nothing_is_refused(sequence, name):
    _, xs = sequence
    sizes: Any = {"every": 1, "capacity": 1, name: 0}
    with pytest.raises(ValueError, match=f"{name}: got 0; it must be at least 1"):
        recorder(lj.RNN, xs, last, **sizes)


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
