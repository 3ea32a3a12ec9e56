"""Looking on while a network trains, and a loop of one's own: the same bits."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import slow_but
from training.signs import SIGNS, STEPS, momentum

import lstm_jax as lj

OPTIMIZER = momentum()
NUM_STEPS, HIDDEN = 7, 4


def train(key, **options):
    sizes = {"hidden_size": HIDDEN, "num_steps": NUM_STEPS}
    parts: dict[str, Any] = sizes | STEPS | options
    return lj.train(key, lj.LSTM, SIGNS, OPTIMIZER, **parts)


@pytest.fixture(scope="module")
def undisturbed():
    return train(jax.random.key(1))


def numbers(tree):
    """Its leaves; a key has none that NumPy would compare."""
    leaves = jax.tree.leaves(tree)
    is_key = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    return [
        jax.random.key_data(leaf) if key else leaf
        for leaf, key in zip(leaves, is_key, strict=True)
    ]


def assert_same(found, wanted):
    for one, other in zip(numbers(found), numbers(wanted), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("chunk", slow_but([3], [1, 3, 100]))
def test_who_looks_on_changes_no_bit(undisturbed, chunk):
    seen = []
    look = lambda state, history: seen.append((int(state.step), len(history.loss)))
    assert_same(train(jax.random.key(1), on_chunk=look, chunk=chunk), undisturbed)
    ends = [*range(chunk, NUM_STEPS, chunk), NUM_STEPS]
    assert [step for step, _ in seen] == ends
    assert [size for _, size in seen] == np.diff([0, *ends]).tolist()


def test_true_ends_the_training_and_nothing_else_does(undisturbed):
    state, history = train(
        jax.random.key(1), on_chunk=lambda state, _: bool(state.step >= 4), chunk=2
    )
    assert int(state.step) == len(history.loss) == 4
    assert_array_equal(history.loss, undisturbed[1].loss[:4])


def test_a_loop_of_ones_own_does_the_same_updates(undisturbed):
    state = lj.training.init_train_state(
        jax.random.key(1), lj.LSTM, SIGNS, OPTIMIZER, hidden_size=HIDDEN
    )
    parts: Any = {"cell": lj.LSTM, "task": SIGNS, "optimizer": OPTIMIZER}
    step = jax.jit(partial(lj.training.train_step, **parts, **STEPS))
    losses = []
    for _ in range(NUM_STEPS):
        state, entry = step(state)
        losses.append(entry.loss)
    assert_array_equal(losses, undisturbed[1].loss)
    assert_same(state.params, undisturbed[0].params)


def test_no_updates_are_no_calls():
    called = []
    state, history = train(jax.random.key(1), num_steps=0, on_chunk=called.append)
    assert int(state.step) == len(history.loss) == len(called) == 0


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"on_chunk": 3}, TypeError, "on_chunk: got 3; it must be a function"),
        ({"on_chunk": print, "chunk": 0}, ValueError, "chunk: got 0; "),
    ],
)
def test_bad_arguments_end_in_one_line(options, kind, message):
    with pytest.raises(kind, match=message):
        train(jax.random.key(1), **options)


@pytest.mark.parametrize("transformed", [jax.jit, jax.vmap])
def test_under_jit_and_vmap_there_is_nothing_to_look_at(transformed):
    keys = jax.random.split(jax.random.key(1), 1)
    with pytest.raises(ValueError, match="on_chunk: got a function under jit or vmap;"):
        transformed(lambda key: train(key.reshape(()), on_chunk=print))(keys)
