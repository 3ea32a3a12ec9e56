"""Chunks, curricula and criteria: how a run is cut, grows and ends."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from training.signs import SIGNS, draw_signs, momentum, numbers_of, small_start

import lstm_jax as lj
from lstm_jax.training import criteria, loop
from lstm_jax.training.curricula import growing_length
from lstm_jax.training.loop import predict, train_steps


def small_step(task=SIGNS, optimizer=None, **options):
    arguments: dict[str, Any] = {"batch_size": 3, "length": 4} | options
    return loop.step_function(lj.RNN, task, optimizer or momentum(), **arguments)


def test_how_a_run_is_cut_into_chunks_changes_not_one_bit(key):
    optimizer, traced = momentum(), []
    step = small_step(optimizer=optimizer)

    @jax.jit
    def chunk(state, count):
        traced.append(count)
        return loop.train_chunk(state, count, step, most_steps=10)

    start = small_start(key, optimizer)
    whole, history = chunk(start, 10)
    for cuts in ([1, 2, 3, 4], [9, 1], [0, 7, 3]):
        state, losses = start, []
        for count in cuts:
            state, part = chunk(state, count)
            assert np.all(np.isnan(np.asarray(part.loss)[count:]))
            losses.append(np.asarray(part.loss)[:count])
        jax.tree.map(assert_array_equal, numbers_of(state), numbers_of(whole))
        assert_array_equal(np.concatenate(losses), history.loss)
    assert len(traced) == 1
    by_scan, same = jax.jit(lambda state: train_steps(state, 10, step))(start)
    close = partial(assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, (numbers_of(by_scan), same), (numbers_of(whole), history))


def mean_length(outputs, batch):
    """An "accuracy" that tells which lengths were drawn."""
    del outputs
    return jnp.mean(batch.lengths.astype(jnp.float32))


@pytest.mark.slow
def test_a_curriculum_draws_its_lengths_and_traces_once(key):
    traced = []

    def sample(key, batch_size, max_length, length=None):
        traced.append(max_length)
        return draw_signs(key, batch_size, max_length, length)

    task = dataclasses.replace(SIGNS, sample=sample, accuracy=mean_length)
    grown = growing_length(2, 7, 5)
    step = small_step(task, momentum(), batch_size=1, length=grown, max_length=9)
    chunk = jax.jit(partial(loop.train_chunk, step=step, most_steps=8))
    start = small_start(key, momentum())
    state, history = chunk(start, 4)
    _, rest = chunk(state, 4)
    drawn = np.concatenate([history.accuracy[:4], rest.accuracy[:4]])
    assert_array_equal(drawn, [2, 3, 4, 5, 6, 7, 7, 7])
    assert set(traced) == {9} and len(traced) <= 2
    fixed = small_step(task, momentum(), batch_size=1, length=5, max_length=9)
    _, history = jax.jit(fixed)(start)
    assert history.accuracy == 5


@pytest.mark.parametrize(("first", "last"), [(3, 100), (100, 3), (5, 5)])
def test_a_growing_length_is_linear_and_then_stays(first, last):
    length = growing_length(first, last, 40)
    found = [int(length(jnp.int32(step))) for step in (0, 1, 13, 39, 40, 41, 2**31 - 1)]
    wanted = [first + (last - first) * step // 40 for step in (0, 1, 13, 39)]
    assert found == [*wanted, last, last, last]


def test_a_run_that_diverges_is_marked_and_frozen_before_its_update(key):
    # The first update goes 1e30 away; the second one finds the loss gone.
    optimizer = optax.adam(1e30)
    step = jax.jit(small_step(optimizer=optimizer))
    first, one = step(small_start(key, optimizer))
    second, two = step(first)
    third, three = step(second)
    assert np.isfinite(one.loss) and one.gradient_norm > 0 and first.diverged_at == -1
    assert not two.loss <= criteria.EXPLODED
    assert second.step == 1 and second.diverged_at == 2
    frozen = numbers_of(second._replace(diverged_at=first.diverged_at))
    jax.tree.map(assert_array_equal, frozen, numbers_of(first))
    jax.tree.map(assert_array_equal, numbers_of(third), numbers_of(second))
    assert np.all(np.isnan(three))


@pytest.mark.parametrize(
    ("loss", "norm", "diverged"),
    [
        (1.0, 1.0, False),
        (-5.0, 1e20, False),
        (0.0, 0.0, False),
        (1.0, np.inf, True),
        (1.0, np.nan, True),
        (np.nan, 1.0, True),
        (-np.inf, 1.0, True),
        (1e13, 1.0, True),
    ],
)
def test_what_counts_as_diverged(loss, norm, diverged):
    assert criteria.has_diverged(jnp.float32(loss), jnp.float32(norm)) == diverged


def test_the_gradient_norm_is_over_all_leaves_and_in_float32():
    tree = {"a": jnp.full((300, 3), 0.1, jnp.bfloat16), "b": jnp.array([2.0, -1.0])}
    wanted = np.sqrt(
        sum(np.sum(np.asarray(leaf, float) ** 2) for leaf in tree.values())
    )
    with jax.numpy_dtype_promotion("standard"):
        assert_allclose(criteria.global_norm(tree), wanted, rtol=1e-6)
    half = criteria.global_norm({"a": tree["a"]})
    assert half.dtype == jnp.float32
    assert_allclose(half, np.sqrt(900) * float(tree["a"][0, 0]), rtol=1e-6)


def test_right_answers_in_a_row_are_counted_across_batches():
    random = np.random.default_rng(0)
    right, count, before = random.random((40, 4)) < 0.7, 0, jnp.int32(0)
    for batch in right:
        wanted = []
        for one in batch:
            count = count + 1 if one else 0
            wanted.append(count)
        found = criteria.right_in_a_row(before, jnp.asarray(batch))
        assert_array_equal(found, wanted)
        before = found[-1]
    assert max(right.sum(1)) == 4  # some batch was right from end to end


def judged_by_first_input(outputs, batch):
    """Right where the first number is below 1: five times in six, and learned by no
    one."""
    del outputs
    return batch.inputs[0, :, 0] < 1


def test_training_ends_once_enough_sequences_in_a_row_were_right(key):
    task = dataclasses.replace(SIGNS, correct=judged_by_first_input)
    step = jax.jit(small_step(task, momentum(), stop_after=8))
    state, count, solved = small_start(key, momentum()), 0, False
    right_of = jax.jit(
        lambda key: judged_by_first_input(
            None, SIGNS.sample(jax.random.split(key)[1], 3, 4)
        )
    )
    for number in range(1, 60):
        for right in np.asarray(right_of(state.key)):
            count = count + 1 if right else 0
            solved = solved or count >= 8
        state, _ = step(state)
        assert state.right_in_a_row == count and state.step == number
        assert state.solved_at == (number if solved else -1)
        if solved:
            break
    assert solved and state.step > 3
    frozen, history = step(state)
    jax.tree.map(assert_array_equal, numbers_of(frozen), numbers_of(state))
    assert np.isnan(history.loss)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"stop_after": 5}, "stop_after: got 5; it must be None, for the task 'signs'"),
        ({"stop_after": 0}, "stop_after: got 0; it must be at least 1"),
        ({"length": growing_length(1, 2, 3)}, "max_length: got None; it must be"),
    ],
)
def test_what_can_not_be_trained_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        small_step(optimizer=momentum(), **options)


@pytest.mark.parametrize("values", [(0, 3, 5), (3, 0, 5), (3, 4, 0), (1, 2**20, 2**20)])
def test_a_length_that_can_not_grow_is_refused(values):
    with pytest.raises(ValueError, match=r"^(first|last|num_steps): got \d+; it must"):
        growing_length(*values)


def test_a_task_that_asks_at_every_step_is_answered_there(key):
    every = dataclasses.replace(SIGNS, answers="every_step")
    params = small_start(key, momentum()).params

    @jax.jit
    def answered(params):
        batch = SIGNS.sample(key, 5, 4)
        answers, last = (predict(lj.RNN, t, params, batch) for t in (every, SIGNS))
        _, ys = lj.unroll(lj.RNN, params.cell, batch.inputs)
        return answers, last, ys @ params.readout.w + params.readout.b

    answers, last, wanted = answered(params)
    assert answers.shape == (4, 5, 2)
    assert_allclose(answers, wanted, rtol=1e-5)
    assert_allclose(answers[-1], last, rtol=1e-5)
