"""The nature show: nothing but the memory of the first scene can tell."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import lstm_jax as lj
from lstm_jax.tasks.nature_show import (
    ANSWERS,
    DIGIT_OF_ROLE,
    DISTRACTORS,
    FOREST,
    HOME,
    RENDERINGS,
    ROLES,
    margins,
    show_of,
)

LENGTH, MANY = 5, 4_000
DOG, WOLF, GOLDFISH = range(3)

both_renderings = pytest.mark.parametrize("rendering", RENDERINGS)
both_splits = pytest.mark.parametrize("split", ["train", "test"])


def sampler(rendering, split="train"):
    task = lj.tasks.nature_show(rendering)
    return task.sample if split == "train" else task.sample_test


@cache
def jitted_sampler(rendering, split="train"):
    """The length is traced, so that all of them share a compilation."""
    return jax.jit(sampler(rendering, split), static_argnums=(1, 2))


@cache
def many(rendering, split="train"):
    """A large batch as NumPy arrays; the made-up vectors need another key per split."""
    key = jax.random.key(["train", "test"].index(split))
    batch = jitted_sampler(rendering, split)(key, MANY, LENGTH, LENGTH)
    return jax.tree.map(np.asarray, batch)


@cache
def images_of(role, split):
    """Images of a role as the docstring tells it: every fifth is for the test."""
    pixels, digits = load_digits(return_X_y=True)
    rarest = min(np.bincount(digits))
    images = pixels[digits == DIGIT_OF_ROLE[role]][:rarest].astype(np.float32) / 16
    is_test = np.arange(rarest) % 5 == 4
    return images[is_test if split == "test" else ~is_test]


@cache
def role_of_image(split):
    """The role of every image of a split, by the bytes of the image."""
    return {image.tobytes(): role for role in ROLES for image in images_of(role, split)}


def roles_in(frames, rendering, split="train"):
    """The names of what frames (..., input) show; KeyError for an unknown image."""
    if rendering == "vectors":
        return np.array(ROLES)[np.argmax(frames, axis=-1)]
    by_image = role_of_image(split)
    names = [by_image[frame.tobytes()] for frame in frames.reshape(-1, 64)]
    return np.reshape(names, frames.shape[:-1])


def assert_binomial(count, trials, probability):
    """Within five standard errors: a right program fails once in a million."""
    error = np.sqrt(probability * (1 - probability) / trials)
    assert abs(count / trials - probability) < 5 * error


# ---------------------------------------------------------------------------
# What is drawn
# ---------------------------------------------------------------------------


@both_renderings
@both_splits
def test_a_batch_has_the_shapes_and_types_of_the_contract(rendering, split):
    task, batch = lj.tasks.nature_show(rendering), many(rendering, split)
    assert isinstance(batch, lj.Batch)
    assert task.input_size == {"digits": 64, "vectors": 10}[rendering]
    assert batch.inputs.shape == (LENGTH, MANY, task.input_size)
    assert batch.inputs.dtype == batch.weights.dtype == jnp.float32
    assert batch.targets.shape == (MANY,) and batch.targets.dtype == jnp.int32
    assert_array_equal(batch.weights, np.ones(MANY))
    assert_array_equal(batch.lengths, np.full(MANY, LENGTH))
    assert task.output_size == len(ANSWERS) == 3
    assert task.answers == "last_step"


def test_the_task_is_registered_with_its_defaults():
    task = lj.TASKS["nature_show"]
    assert task.name == "nature_show"
    assert task.input_size == 64
    assert_allclose(task.floor(LENGTH), 0.8 * np.log(2))


@both_renderings
@both_splits
def test_the_same_key_draws_the_same_bits_and_another_key_others(key, rendering, split):
    one, again, other = (
        jitted_sampler(rendering, split)(k, MANY, LENGTH, LENGTH)
        for k in (key, key, jax.random.fold_in(key, 1))
    )
    jax.tree.map(assert_array_equal, one, again)
    for ours, others in zip(one[:2], other[:2], strict=True):
        assert np.mean(np.asarray(ours) != np.asarray(others)) > 0.1


def test_jit_draws_what_eager_draws():
    eager = sampler("digits")(jax.random.key(0), MANY, LENGTH)
    jax.tree.map(assert_array_equal, many("digits"), eager)


@both_renderings
def test_a_shorter_show_is_the_same_show_with_fewer_distractors(rendering):
    key, whole = jax.random.key(0), many(rendering)
    for length in (3, 4, LENGTH):
        batch = jitted_sampler(rendering)(key, MANY, LENGTH, length)
        assert_array_equal(batch.lengths, np.full(MANY, length))
        assert_array_equal(batch.inputs[length:], 0)
        early, question = batch.inputs[: length - 1], batch.inputs[length - 1]
        assert_allclose(early, whole.inputs[: length - 1], atol=1e-6)
        assert_allclose(question, whole.inputs[-1], atol=1e-6)
        assert_array_equal(batch.targets, whole.targets)


def test_a_traced_length_draws_what_a_static_one_draws():
    key, traced = jax.random.key(0), jitted_sampler("digits")
    static = jax.jit(lambda: sampler("digits")(key, MANY, LENGTH, 4))
    jax.tree.map(assert_array_equal, traced(key, MANY, LENGTH, 4), static())


# ---------------------------------------------------------------------------
# What is told
# ---------------------------------------------------------------------------


def test_every_role_has_a_digit_of_its_own():
    assert sorted(DIGIT_OF_ROLE.values()) == list(range(10))
    told = (*FOREST, *HOME, *DISTRACTORS, *ANSWERS)
    assert sorted(told) == sorted(ROLES)


@both_renderings
@both_splits
def test_the_scene_decides_between_dog_and_wolf(rendering, split):
    batch = many(rendering, split)
    scenes = roles_in(batch.inputs[0], rendering, split)
    ambiguous = batch.targets != GOLDFISH
    answers = np.array(ANSWERS)[batch.targets]
    forest = np.isin(scenes, ("bear", "fox"))
    home = np.isin(scenes, ("cat", "armchair"))
    assert np.all(forest | home)
    assert set(answers[ambiguous & forest]) == {"wolf"}
    assert set(answers[ambiguous & home]) == {"dog"}
    for scene in ("bear", "fox", "cat", "armchair"):
        assert_binomial(np.sum(scenes == scene), MANY, 1 / 4)


@both_renderings
@both_splits
def test_in_between_there_are_distractors_and_nothing_else(rendering, split):
    between = roles_in(many(rendering, split).inputs[1:-1], rendering, split)
    assert set(between.ravel()) == {"oak", "pine", "squirrel"}
    for step in between:
        assert_binomial(np.sum(step == "oak"), MANY, 1 / 3)


@both_renderings
def test_one_show_in_five_ends_in_a_clear_goldfish(rendering):
    batch = many(rendering)
    goldfish = batch.targets == GOLDFISH
    assert_binomial(np.sum(goldfish), MANY, 1 / 5)
    last = roles_in(batch.inputs[-1, goldfish], rendering)
    assert set(last) == {"goldfish"}


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_the_goldfish_rate_can_be_chosen(key, rate):
    task = lj.tasks.nature_show("vectors", goldfish_rate=rate)
    targets = jax.jit(lambda key: task.sample(key, 100, 3).targets)(key)
    assert np.mean(np.asarray(targets) == GOLDFISH) == rate
    assert_allclose(task.floor(3), (1 - rate) * np.log(2))


@both_splits
def test_the_ambiguous_image_is_one_dog_and_one_wolf_half_and_half(split):
    batch = many("digits", split)
    dogs, wolves = images_of("dog", split), images_of("wolf", split)
    blends = {
        blend.tobytes() for blend in ((dogs[:, None] + wolves) / 2).reshape(-1, 64)
    }
    ambiguous = batch.inputs[-1, batch.targets != GOLDFISH]
    assert {frame.tobytes() for frame in ambiguous} <= blends


def test_the_ambiguous_vector_is_half_a_dog_and_half_a_wolf():
    batch = many("vectors")
    ambiguous = batch.inputs[-1, batch.targets != GOLDFISH]
    wanted = [{"dog": 0.5, "wolf": 0.5}.get(role, 0.0) for role in ROLES]
    # Two noises of sd 0.1 averaged; means over 3200 frames.
    assert_allclose(ambiguous.mean(0), wanted, atol=0.01)
    assert_allclose(ambiguous.std(0), 0.1 / np.sqrt(2), atol=0.005)


def test_train_and_test_share_no_image():
    train, test = (set(role_of_image(split)) for split in ("train", "test"))
    assert not train & test
    for split, images in (("train", train), ("test", test)):
        batch = many("digits", split)
        clear = batch.inputs[-1, batch.targets == GOLDFISH]
        frames = [*batch.inputs[:-1].reshape(-1, 64), *clear]
        shown = {frame.tobytes() for frame in frames}
        assert shown <= images
        # Nearly every image of the eight clear roles turns up in 16 000 frames.
        assert len(shown) > 0.95 * len(images) * 8 / 10


@both_renderings
def test_show_of_tells_what_the_sample_shows(rendering):
    told = jax.jit(show_of, static_argnums=(1, 2))(jax.random.key(0), MANY, LENGTH)
    batch, names = many(rendering), np.array(ROLES)
    assert_array_equal(names[told.scene], roles_in(batch.inputs[0], rendering))
    between = roles_in(batch.inputs[1:-1], rendering)
    assert_array_equal(names[told.distractors], between)
    assert_array_equal(told.answer, batch.targets)


# ---------------------------------------------------------------------------
# What the last image alone can tell
# ---------------------------------------------------------------------------


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


@both_renderings
@pytest.mark.parametrize("model", MODELS)
def test_who_sees_only_the_last_image_guesses(rendering, model):
    targets, predicted = fitted(MODELS[model](), rendering, last_image)
    ambiguous = targets != GOLDFISH
    right = predicted == targets
    assert_binomial(np.sum(right[ambiguous]), np.sum(ambiguous), 1 / 2)
    assert np.mean(right[~ambiguous]) > 0.95
    assert np.mean(predicted[ambiguous] != GOLDFISH) > 0.99


@both_renderings
def test_who_sees_the_scene_as_well_can_tell(rendering):
    model = LogisticRegression(max_iter=2_000)
    targets, predicted = fitted(model, rendering, scene_and_last_image)
    assert np.mean((predicted == targets)[targets != GOLDFISH]) > 0.9


# ---------------------------------------------------------------------------
# Loss, accuracy, margins
# ---------------------------------------------------------------------------


def answered(targets):
    """A batch of which only the answers matter."""
    count = len(targets)
    return lj.Batch(
        inputs=jnp.zeros((3, count, 10)),
        targets=jnp.array(targets),
        weights=jnp.ones((count,)),
        lengths=jnp.full((count,), 3),
    )


FIVE = answered([DOG, WOLF, DOG, WOLF, GOLDFISH])


def test_the_best_guess_without_memory_loses_exactly_the_floor():
    undecided, certain = [0.0, 0.0, -1e9], [-1e9, -1e9, 0.0]
    outputs = jnp.array([undecided] * 4 + [certain])
    for length in (3, 100):
        floor = lj.TASKS["nature_show"].floor(length)
        assert_allclose(lj.TASKS["nature_show"].loss(outputs, FIVE), floor, rtol=1e-6)
    leaning = outputs.at[:4, WOLF].add(0.1)
    assert lj.TASKS["nature_show"].loss(leaning, FIVE) > floor


@both_renderings
def test_the_floor_is_what_guessing_costs_on_drawn_batches(rendering):
    task, batch = lj.tasks.nature_show(rendering), many(rendering)
    is_goldfish = (batch.targets == GOLDFISH)[:, None]
    outputs = jnp.where(is_goldfish, jnp.array([-1e9, -1e9, 0.0]), jnp.zeros((3,)))
    outputs = jnp.where(is_goldfish, outputs, outputs.at[:, GOLDFISH].set(-1e9))
    loss = task.loss(outputs, jax.tree.map(jnp.asarray, batch))
    assert_allclose(loss, task.floor(LENGTH), rtol=0.04)


def test_loss_is_the_mean_cross_entropy_of_what_counts(key):
    outputs = jax.random.normal(key, (5, 3))
    log_p = np.asarray(outputs) - np.log(np.exp(outputs).sum(-1, keepdims=True))
    each = -log_p[np.arange(5), FIVE.targets]
    loss = lj.TASKS["nature_show"].loss
    assert_allclose(loss(outputs, FIVE), each.mean(), rtol=1e-6)
    first_two = FIVE._replace(weights=jnp.array([1.0, 1, 0, 0, 0]))
    assert_allclose(loss(outputs, first_two), each[:2].mean(), rtol=1e-6)


def test_accuracy_counts_the_ambiguous_shows_only():
    accuracy = lj.TASKS["nature_show"].accuracy
    for answers, wanted in {
        (DOG, WOLF, DOG, WOLF, GOLDFISH): 1,
        (DOG, WOLF, DOG, WOLF, DOG): 1,
        (WOLF, DOG, WOLF, DOG, GOLDFISH): 0,
        (DOG, WOLF, WOLF, DOG, GOLDFISH): 1 / 2,
        (DOG, GOLDFISH, GOLDFISH, GOLDFISH, GOLDFISH): 1 / 4,
    }.items():
        outputs = jax.nn.one_hot(jnp.array(answers), 3)
        assert accuracy(outputs, FIVE) == wanted
    no_question = answered([GOLDFISH])
    assert np.isnan(accuracy(jnp.zeros((1, 3)), no_question))


def test_margins_are_positive_where_the_right_animal_wins():
    outputs = jnp.array([[2.0, 0.5, 9.0], [2.0, 0.5, 9.0], [0.0, 3.0, -9.0]])
    found = margins(outputs, jnp.array([DOG, WOLF, WOLF]))
    assert_array_equal(found, [1.5, -1.5, 3.0])


# ---------------------------------------------------------------------------
# What is refused, and what is not imported
# ---------------------------------------------------------------------------


def test_an_unknown_rendering_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"rendering: got 'oil'.*digits, vectors"):
        lj.tasks.nature_show("oil")


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_goldfish_rate_outside_of_0_1_is_refused(rate):
    with pytest.raises(ValueError, match=r"goldfish_rate: .*\[0, 1\]"):
        lj.tasks.nature_show("vectors", goldfish_rate=rate)


@both_renderings
@both_splits
def test_a_show_of_fewer_than_three_steps_is_refused(key, rendering, split):
    with pytest.raises(ValueError, match=r"max_length: got 2; .* at least 3"):
        sampler(rendering, split)(key, 4, 2)


@pytest.mark.parametrize("length", [-1, 0, 2, 6])
def test_a_length_that_does_not_fit_is_refused(key, length):
    with pytest.raises(ValueError, match=rf"length: got {length}; .*\[3, 5\]"):
        sampler("vectors")(key, 4, 5, length)


def test_importing_the_library_imports_no_scikit_learn_and_no_matplotlib():
    program = (
        "import sys, lstm_jax as lj; lj.tasks.nature_show('vectors');"
        "print([m for m in ('sklearn', 'matplotlib') if m in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "[]"
