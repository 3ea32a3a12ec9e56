"""A task's first batch is looked at once, wherever its training is called from."""

import gc
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from bad_calls import KEY, batch_of, drawing, task_of
from problems import slow_where

import lstm_jax as lj
from lstm_jax.training import loop

SIZES: dict[str, Any] = {"batch_size": 4, "length": 5}


def train_once(task, key=KEY):
    return lj.train(
        key, lj.RNN, task, optax.sgd(0.1), hidden_size=3, num_steps=1, **SIZES
    )


def counted_task():
    """A task, and what its sampler was called with."""
    calls = []

    def sample(key, batch_size, max_length, length=None):
        calls.append(key)
        return batch_of(max_length, batch_size)

    return task_of(sample=sample), calls


@pytest.mark.slow
def test_it_is_looked_at_once_for_a_task_and_its_sizes():
    task, calls = counted_task()
    train_once(task)
    first = len(calls)
    train_once(task)
    assert 1 < first and len(calls) == 2 * first - 1
    calls.clear()
    lj.evaluate(KEY, lj.RNN, task, train_once(task)[0].params, **SIZES)
    assert len(calls) == first - 1 + first


def test_it_leaves_nothing_in_the_program_of_an_update():
    task, calls = counted_task()
    step = loop.step_function(lj.RNN, task, optax.sgd(0.1), **SIZES)
    calls.clear()
    state = loop.init_train_state(KEY, lj.RNN, task, optax.sgd(0.1), hidden_size=3)
    jax.make_jaxpr(step)(state)
    assert len(calls) == 1


def test_numbers_of_a_task_may_be_traced():
    """Its values are then known to nobody, and its shapes are still checked."""

    @jax.jit
    @jax.vmap
    def losses(scale):
        task = drawing(inputs=lambda time, batch: scale * jnp.ones((time, batch, 2)))
        return train_once(task)[1].loss

    @jax.jit
    def wrong(scale):
        return train_once(drawing(inputs=lambda *shape: scale * jnp.ones(shape)))[1]

    assert np.isfinite(losses(jnp.arange(3.0))).all()
    with pytest.raises(ValueError, match=r"inputs: shape is \(5, 4\); it must be"):
        wrong(1.0)


def test_a_length_may_be_traced():
    def sample(key, batch_size, max_length, length):
        lengths = jnp.full((batch_size,), length, jnp.int32)
        return batch_of(max_length, batch_size)._replace(lengths=lengths)

    @jax.jit
    def loss(length):
        task = task_of(sample=sample)
        sizes = {"batch_size": 4, "length": length, "max_length": 5}
        return lj.train(
            KEY, lj.RNN, task, optax.sgd(0.1), hidden_size=3, num_steps=1, **sizes
        )[1].loss

    assert np.isfinite(loss(3)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "accuracy", slow_where(lambda value: value == 1, [0.25, np.float64(0.25), 1, True])
)
def test_an_accuracy_may_be_a_number_of_python(accuracy):
    task = task_of(accuracy=lambda outputs, batch: accuracy)
    state, history = train_once(task)
    assert history.accuracy == float(accuracy)
    found = lj.evaluate(KEY, lj.RNN, task, state.params, **SIZES)
    assert found.accuracy == float(accuracy)


def test_weights_and_one_hot_inputs_may_be_booleans_or_integers():
    task = drawing(
        inputs=lambda time, batch: jnp.ones((time, batch, 2), jnp.int32),
        weights=lambda time, batch: jnp.ones((batch,), jnp.bool_),
    )
    assert np.isfinite(train_once(task)[1].loss).all()


@pytest.mark.slow
def test_a_task_is_not_kept_alive():
    task, _ = counted_task()
    train_once(task)
    gone = weakref.ref(task)
    del task
    jax.clear_caches()
    gc.collect()
    assert gone() is None
