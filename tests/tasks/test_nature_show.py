"""The nature show: nothing but the memory of the first scene can tell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tasks.shows import (
    GOLDFISH,
    LENGTH,
    MANY,
    assert_binomial,
    both_renderings,
    both_splits,
    images_of,
    jitted_sampler,
    many,
    role_of_image,
    roles_in,
    sampler,
)

import lstm_jax as lj
from lstm_jax.tasks.nature_show import (
    ANSWERS,
    DIGIT_OF_ROLE,
    DISTRACTORS,
    FOREST,
    HOME,
    ROLES,
    show_of,
)


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


@pytest.mark.slow
def test_jit_draws_what_eager_draws():
    eager = sampler("digits")(jax.random.key(0), MANY, LENGTH)
    jax.tree.map(assert_array_equal, many("digits"), eager)


@pytest.mark.slow
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
