"""What every task promises: shapes, dtypes, padding, keys and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import slow_but
from tasks.batches import (
    MANY,
    TASKS,
    every_task,
    is_last,
    jitted_sampler,
    jitted_scores,
    lengths_of,
    many,
)


def asked_shape(name, batch):
    return batch.lengths.shape if is_last(name) else batch.inputs.shape[:2]


@every_task
def test_a_batch_has_the_shapes_and_types_of_the_contract(name):
    task, batch, (max_length, length) = TASKS[name], many(name), lengths_of(name)
    asked = asked_shape(name, batch)
    assert batch.inputs.shape == (max_length, MANY, task.input_size)
    assert batch.weights.shape == asked
    assert batch.targets.shape[: len(asked)] == asked
    assert batch.lengths.shape == (MANY,)
    assert batch.inputs.dtype == batch.weights.dtype == jnp.float32
    assert batch.targets.dtype in (jnp.float32, jnp.int32)
    assert batch.lengths.dtype == jnp.int32
    assert np.all((batch.lengths >= 1) & (batch.lengths <= length))
    assert np.all(np.sum(np.asarray(batch.weights) > 0) >= MANY)


@every_task
def test_double_precision_elsewhere_changes_no_dtype_and_is_understood(name, x64):
    task, (max_length, _) = TASKS[name], lengths_of(name)
    assert task.correct is not None
    batch = jax.eval_shape(lambda: task.sample(jax.random.key(0), 4, max_length))
    assert batch.inputs.dtype == jnp.float32
    assert batch.lengths.dtype == jnp.int32
    shape = (*asked_shape(name, batch), task.output_size)
    outputs = jax.ShapeDtypeStruct(shape, jnp.float64)
    assert jax.eval_shape(task.loss, outputs, batch).dtype == jnp.float64
    jax.eval_shape(task.accuracy, outputs, batch)
    jax.eval_shape(task.correct, outputs, batch)


@pytest.mark.parametrize("name", slow_but(("adding", "anbn"), TASKS))
def test_eager_with_a_number_for_a_length_draws_what_jit_draws_with_a_traced_one(name):
    max_length, length = lengths_of(name)
    eager = TASKS[name].sample(jax.random.key(0), MANY, max_length, length)
    for ours, theirs in zip(many(name), eager, strict=True):
        # Rounding only: jit fuses what eager computes step by step.
        assert_allclose(ours, theirs, atol=1e-6)


@every_task
def test_one_key_one_batch_and_another_key_another(name):
    max_length, length = lengths_of(name)
    again = jitted_sampler(name)(jax.random.key(0), MANY, max_length, length)
    jax.tree.map(assert_array_equal, many(name), again)
    other = jitted_sampler(name)(jax.random.key(1), MANY, max_length, length)
    assert np.any(np.asarray(other.inputs) != np.asarray(again.inputs))
    assert np.any(np.asarray(other.targets) != np.asarray(again.targets))


@every_task
def test_a_traced_length_is_clipped_to_what_is_allowed(name):
    max_length, _ = lengths_of(name)
    whole = jitted_sampler(name)(jax.random.key(0), MANY, max_length, max_length)
    beyond = jitted_sampler(name)(jax.random.key(0), MANY, max_length, 10**6)
    jax.tree.map(assert_array_equal, whole, beyond)
    below = jitted_sampler(name)(jax.random.key(0), MANY, max_length, -5)
    assert np.all((below.lengths >= 1) & (below.lengths <= max_length))


@every_task
def test_the_padding_is_zero_and_is_never_asked_for(name):
    batch = jax.tree.map(np.asarray, many(name))
    padding = np.arange(len(batch.inputs))[:, None] >= batch.lengths
    assert not batch.inputs[padding].any()
    if not is_last(name):
        assert not batch.weights[padding].any()
        assert not batch.targets[padding].any()


@every_task
def test_what_stands_in_the_padding_does_not_matter(name):
    task, batch = TASKS[name], jax.tree.map(np.asarray, many(name))
    shape = (*asked_shape(name, batch), task.output_size)
    outputs = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    padding = np.arange(len(batch.inputs))[:, None] >= batch.lengths
    garbage = np.where(padding[..., None], np.float32(np.nan), batch.inputs)
    not_asked = batch.weights[..., None] == 0
    wrong = np.where(not_asked, np.float32(np.nan), outputs)
    scores = jitted_scores(name)
    wanted = scores(outputs, batch)
    found = scores(wrong, batch._replace(inputs=garbage))
    jax.tree.map(assert_array_equal, wanted, found)
    assert np.isfinite(wanted.loss) and 0 <= wanted.accuracy <= 1
    assert wanted.correct.shape == (MANY,) and wanted.correct.dtype == jnp.bool_


@every_task
def test_a_task_can_be_static_and_has_numbers_to_compare_with(name):
    task, (_, length) = TASKS[name], lengths_of(name)
    assert hash(task) == hash(task) and jax.tree.leaves(task) == []
    levels = [task.floor(length), *task.plateaus(length).values()]
    assert all(type(level) is float or np.isscalar(level) for level in levels)
    assert np.all(np.isfinite(levels)) and min(levels) >= 0
    # Who knows more loses less; the frequencies of a text know less than the floor.
    if name != "character_language":
        assert levels == sorted(levels, reverse=True)


@every_task
@pytest.mark.parametrize("split", ["sample", "sample_test"])
def test_what_cannot_be_drawn_is_refused_in_one_line(name, split, key):
    sample, (max_length, _) = getattr(TASKS[name], split), lengths_of(name)
    for arguments, message in {
        (0, max_length): r"batch_size: got 0; it must be at least 1",
        (4, 0): r"max_length: got 0; it must be (at least|in|64)",
        (4, max_length, 0): r"length: got 0; it must be (in \[\d+, \d+\]|64)",
        (4, max_length, 10**6): r"length: got 1000000; it must be (in \[\d+, |64)",
    }.items():
        with pytest.raises(ValueError, match=f"^{message}[^\n]*$"):
            sample(key, *arguments)
