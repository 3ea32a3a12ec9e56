"""What can be answered at the end of a nature show, and what an answer costs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import slow_but
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tasks.shows import (
    DOG,
    GOLDFISH,
    LENGTH,
    WOLF,
    assert_binomial,
    both_renderings,
    few_renderings,
    many,
)

import lstm_jax as lj
from lstm_jax.tasks.nature_show import margins


def last_image(batch):
    return batch.inputs[-1]


def scene_and_last_image(batch):
    return np.concatenate([batch.inputs[0], batch.inputs[-1]], axis=-1)


def fitted(model, rendering, features):
    """Fits on the train split; returns the test targets and what is predicted."""
    train, test = (many(rendering, split) for split in ("train", "test"))
    model.fit(features(train), train.targets)
    return test.targets, model.predict(features(test))


MODELS: dict[str, Any] = {
    "linear": lambda: LogisticRegression(max_iter=2_000),
    "forest": lambda: RandomForestClassifier(n_estimators=30, random_state=0),
}


@few_renderings
@pytest.mark.parametrize("model", slow_but(["forest"], MODELS))
def test_who_sees_only_the_last_image_guesses(rendering, model):
    targets, predicted = fitted(MODELS[model](), rendering, last_image)
    ambiguous = targets != GOLDFISH
    right = predicted == targets
    assert_binomial(np.sum(right[ambiguous]), np.sum(ambiguous), 1 / 2)
    assert np.mean(right[~ambiguous]) > 0.95
    assert np.mean(predicted[ambiguous] != GOLDFISH) > 0.99


@few_renderings
def test_who_sees_the_scene_as_well_can_tell(rendering):
    model = LogisticRegression(max_iter=2_000)
    targets, predicted = fitted(model, rendering, scene_and_last_image)
    assert np.mean((predicted == targets)[targets != GOLDFISH]) > 0.9


def answered(targets):
    """A batch of which only the answers matter."""
    count = len(targets)
    given: Any = {
        "inputs": np.zeros((3, count, 10), np.float32),
        "targets": np.array(targets, np.int32),
        "weights": np.ones(count, np.float32),
        "lengths": np.full(count, 3, np.int32),
    }
    return lj.Batch(**given)


FIVE = answered([DOG, WOLF, DOG, WOLF, GOLDFISH])
loss = jax.jit(lj.TASKS["nature_show"].loss)
accuracy = jax.jit(lj.TASKS["nature_show"].accuracy)


def test_the_best_guess_without_memory_loses_exactly_the_floor():
    undecided, certain = [0.0, 0.0, -1e9], [-1e9, -1e9, 0.0]
    outputs = np.array([undecided] * 4 + [certain], np.float32)
    for length in (3, 100):
        floor = lj.TASKS["nature_show"].floor(length)
        assert_allclose(loss(outputs, FIVE), floor, rtol=1e-6)
    leaning = outputs.copy()
    leaning[:4, WOLF] += 0.1
    assert loss(leaning, FIVE) > floor


@both_renderings
def test_the_floor_is_what_guessing_costs_on_drawn_batches(rendering):
    task, batch = lj.tasks.nature_show(rendering), many(rendering)
    is_goldfish = (batch.targets == GOLDFISH)[:, None]
    outputs = np.where(is_goldfish, [-1e9, -1e9, 0.0], [0.0, 0.0, -1e9])
    found = jax.jit(task.loss)(outputs.astype(np.float32), batch)
    assert_allclose(found, task.floor(LENGTH), rtol=0.04)


def test_loss_is_the_mean_cross_entropy_of_what_counts():
    outputs = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    log_p = outputs - np.log(np.exp(outputs).sum(-1, keepdims=True))
    each = -log_p[np.arange(5), FIVE.targets]
    assert_allclose(loss(outputs, FIVE), each.mean(), rtol=1e-6)
    first_two = FIVE._replace(weights=np.array([1, 1, 0, 0, 0], np.float32))
    assert_allclose(loss(outputs, first_two), each[:2].mean(), rtol=1e-6)


def test_accuracy_counts_the_ambiguous_shows_only():
    for answers, wanted in {
        (DOG, WOLF, DOG, WOLF, GOLDFISH): 1,
        (DOG, WOLF, DOG, WOLF, DOG): 1,
        (WOLF, DOG, WOLF, DOG, GOLDFISH): 0,
        (DOG, WOLF, WOLF, DOG, GOLDFISH): 1 / 2,
        (DOG, GOLDFISH, GOLDFISH, GOLDFISH, GOLDFISH): 1 / 4,
    }.items():
        outputs = np.eye(3, dtype=np.float32)[[*answers]]
        assert accuracy(outputs, FIVE) == wanted
    no_question = answered([GOLDFISH])
    assert np.isnan(accuracy(np.zeros((1, 3), np.float32), no_question))


def test_margins_are_positive_where_the_right_animal_wins():
    outputs = jnp.array([[2.0, 0.5, 9.0], [2.0, 0.5, 9.0], [0.0, 3.0, -9.0]])
    found = margins(outputs, jnp.array([DOG, WOLF, WOLF]))
    assert_array_equal(found, [1.5, -1.5, 3.0])
