"""The recorder of gradient curves during training."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax.gradients.recorder import recorder

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
