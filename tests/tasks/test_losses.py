"""Losses, accuracies and criteria: who answers right is right."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import slow_where
from tasks.batches import (
    LENGTH,
    MANY,
    TASKS,
    every_task,
    jitted_scores,
    legal_outputs,
    many,
)

import lstm_jax as lj
from lstm_jax.tasks import (
    answer_units,
    losses,
)
from lstm_jax.tasks.temporal_order import temporal_order

LN2 = np.log(2)


def perfect(name, sureness=50.0):
    """Logits that give every asked class nearly all, or the numbers themselves."""
    task, batch = TASKS[name], many(name)
    wanted = np.asarray(batch.targets)
    if jnp.issubdtype(wanted.dtype, jnp.floating):
        return (wanted if wanted.ndim == 1 else wanted[:, 1])[:, None]
    one_hot = np.eye(task.output_size, dtype=np.float32)[wanted]
    return np.float32(sureness) * (2 * one_hot - 1)


@pytest.mark.slow
@every_task
def test_who_answers_right_is_right_and_who_does_not_is_not(name):
    task, outputs = TASKS[name], perfect(name)
    if task.name == "embedded_reber" or "reber" in name or name.startswith("anb"):
        outputs = legal_outputs(name)
    _, accuracy, correct = jitted_scores(name)(outputs, many(name))
    assert accuracy == 1 and np.all(correct)
    opposite = -outputs if name == "latch" else -outputs - 1
    wrong = jitted_scores(name)(opposite, many(name))
    assert not np.any(wrong.correct)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("adding", 0.2), ("adding_1997", 0.04), ("two_sequence_3c", 0.1),
     *slow_where(bool, [("multiplication", 0.04), ("two_sequence_3a", 0.2),
                        ("two_sequence_3b", 0.2)])],
)  # fmt: skip
def test_numbers_are_right_within_the_papers_tolerance(name, tolerance):
    for sign in (-1, 1):
        inside = perfect(name) + np.float32(sign * (tolerance - 1e-4))
        outside = perfect(name) + np.float32(sign * (tolerance + 1e-4))
        assert np.all(jitted_scores(name)(inside, many(name)).correct)
        assert not np.any(jitted_scores(name)(outside, many(name)).correct)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("temporal_order", 0.3), ("long_time_lag_2c", 0.2),
     *slow_where(bool, [("long_time_lag_2a", 0.25), ("long_time_lag_2b", 0.25)])],
)  # fmt: skip
def test_classes_are_right_within_the_papers_tolerance(name, tolerance):
    batch, size = many(name), TASKS[name].output_size
    asked = np.eye(size, dtype=np.float32)[np.asarray(batch.targets)]
    for error, wanted in ((tolerance - 0.01, True), (tolerance + 0.01, False)):
        # One other class gets all that the right one lacks.
        shares = (1 - error) * asked + error * np.roll(asked, 1, axis=-1)
        outputs = np.log(shares + 1e-9).astype(np.float32)
        assert_array_equal(jitted_scores(name)(outputs, batch).correct, wanted)


def test_one_wrong_prediction_spoils_a_sequence_only_where_the_paper_says_so():
    for name, spoilt in (("long_time_lag_2a", True), ("long_time_lag_2b", False)):
        outputs = perfect(name)
        outputs[4] *= -1
        _, accuracy, correct = jitted_scores(name)(outputs, many(name))
        assert accuracy == 1 and np.all(correct) == (not spoilt)
        last = perfect(name)
        last[LENGTH - 1] *= -1
        _, accuracy, correct = jitted_scores(name)(last, many(name))
        assert accuracy == 0 and not np.any(correct)


def batch_of(targets):
    """Three steps of two sequences: of six answers three are asked for."""
    weights = np.array([[1.0, 0.5], [0.0, 2.0], [0.0, 0.0]], np.float32)
    inputs, lengths = np.zeros((3, 2, 1), np.float32), np.array([3, 2], np.int32)
    given = inputs, np.asarray(targets, np.int32), weights, lengths
    return lj.Batch(*map(jax.device_put, given))


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_losses_count_what_is_asked_by_its_weight():
    batch, outputs = batch_of([[0, 3], [1, 1], [2, 0]]), normal(3, 2, 4)
    named = ("cross_entropy", "logistic_squared_error", "argmax_right", "accuracy")
    of_all = lambda *given: {
        name: getattr(losses, name)(*given) for name in (*named, "all_right")
    }
    found = jax.jit(of_all)(outputs, batch)
    targets, weights = np.asarray(batch.targets), np.asarray(batch.weights)
    z = np.asarray(outputs, np.float64)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    each = -np.take_along_axis(log_p, targets[..., None], -1)[..., 0]
    wanted = (each * weights).sum() / np.sum(weights)
    assert_allclose(found["cross_entropy"], wanted, rtol=1e-6)
    each = (1 / (1 + np.exp(-z)) - np.eye(4)[targets]) ** 2
    wanted = (each.sum(-1) * weights).sum() / np.sum(weights)
    assert_allclose(found["logistic_squared_error"], wanted, rtol=1e-6)
    right, asked = z.argmax(-1) == targets, weights > 0
    assert_array_equal(found["argmax_right"][asked], right[asked])
    assert_allclose(found["accuracy"], right[asked].mean())
    assert_array_equal(found["all_right"], np.all(right | ~asked, axis=0))


@pytest.mark.parametrize(
    "loss", [losses.cross_entropy, losses.logistic_squared_error, losses.squared_error]
)
def test_an_answer_that_is_not_asked_for_has_no_gradient(loss):
    outputs = normal(3, 2, 1 if loss is losses.squared_error else 4)
    batch = batch_of(np.zeros((3, 2)))
    weights = np.asarray(batch.weights)
    gradient = jax.jit(jax.grad(lambda outputs: loss(outputs, batch)))
    garbage = np.where(weights[..., None] == 0, np.float32(np.inf), outputs)
    assert_array_equal(gradient(garbage), gradient(outputs))
    touched = np.any(np.asarray(gradient(garbage)) != 0, axis=-1)
    # A softmax or a square over the answers that count.
    assert_array_equal(touched, weights > 0)


def test_the_loss_of_logistic_units_has_floors_of_its_own():
    batch = many("temporal_order")
    task = temporal_order(units="logistic")
    guess = np.full((MANY, 4), np.log(1 / 3), np.float32)  # sigmoid: 1/4
    assert_allclose(jax.jit(task.loss)(guess, batch), task.floor(LENGTH), rtol=1e-5)
    assert_allclose(task.floor(LENGTH), 3 / 4)
    assert_allclose(list(task.plateaus(LENGTH).values()), [1 / 2])
    assert answer_units.entropy([0.5, 0.5, 0]) == pytest.approx(LN2)


def test_logistic_outputs_are_scored_where_their_units_are():
    plain, batch = TASKS["adding_1997"], many("adding_1997")
    task = lj.tasks.logistic_outputs(plain)
    outputs = normal(MANY, 1)

    @jax.jit
    def scores(outputs):
        assert task.correct is not None and plain.correct is not None
        shown = jax.nn.sigmoid(outputs)
        ours = task.loss(outputs, batch), task.correct(outputs, batch)
        of_shown = plain.loss(shown, batch), plain.correct(shown, batch)
        return task.accuracy(outputs, batch), ours, of_shown

    _, ours, of_shown = scores(outputs)
    jax.tree.map(assert_array_equal, ours, of_shown)
    targets = np.asarray(batch.targets, np.float64)[:, None]
    accuracy, (loss, _), _ = scores(np.log(targets / (1 - targets)).astype(np.float32))
    assert accuracy == 1 and loss < 1e-12
    assert task.floor is plain.floor and task.sample_test is plain.sample_test
    assert lj.tasks.logistic_outputs(plain) is task
    assert pickle.loads(pickle.dumps(task)) == task
