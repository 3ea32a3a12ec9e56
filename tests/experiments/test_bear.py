"""The bear in the memory: what is exchanged, what is kept, what the figure says."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_decay import SMALL

import lstm_jax as lj
from experiments import gradient_decay
from experiments.common import first_scene
from experiments.common.records import take
from experiments.common.statistics import median_index
from experiments.figures import bear
from lstm_jax.tasks.nature_show import DISTRACTORS, ROLES
from lstm_jax.training import loop


@pytest.fixture(scope="module")
def record(made_once):
    """Three updates: nothing is learned."""
    small = SMALL | {"lag": 3, "forget_bias": None, "panels": "bear", "num_steps": 3}
    make = partial(gradient_decay.run, gradient_decay.Config(**small))
    return made_once("small_bear", make, gradient_decay.plot)


def test_the_two_shows_differ_in_the_first_scene_alone(key):
    shows = first_scene.two_shows(key, "vectors", 4)
    with_bear, with_armchair = np.moveaxis(np.asarray(shows.inputs), 1, 0)
    np.testing.assert_array_equal(with_bear[1:], with_armchair[1:])
    assert ROLES[with_bear[0].argmax()] == "bear"
    assert ROLES[with_armchair[0].argmax()] == "armchair"
    assert ROLES[shows.roles[0]] == "bear"
    assert {ROLES[role] for role in shows.roles[1:]} <= set(DISTRACTORS)
    dog, wolf = ROLES.index("dog"), ROLES.index("wolf")
    assert with_bear[-1, dog] > 0.2 and with_bear[-1, wolf] > 0.2  # a blend of both


@pytest.mark.slow
def test_what_is_kept_is_the_difference_of_two_runs(key, x64):
    shows = first_scene.two_shows(key, "vectors", 4)
    model = loop.init_model(key, lj.LSTM, len(ROLES), 3, hidden_size=4)
    found = first_scene.kept(
        lj.LSTM, jax.tree.map(lambda leaf: leaf[None], model), shows
    )
    carry, y = lj.LSTM.init_carry(model.cell, (2,)), jnp.zeros((2, 4))
    for t, x in enumerate(shows.inputs.astype(jnp.float32)):
        carry, y = lj.LSTM.step(model.cell, carry, x)
        expected = carry.c[0] - carry.c[1]
        np.testing.assert_allclose(found.difference[0, t], expected, atol=1e-6)
    logits = y @ model.readout.w + model.readout.b
    np.testing.assert_allclose(found.probability[0], jax.nn.softmax(logits), atol=1e-6)


def test_the_record_holds_every_seed_and_the_far_curves(record):
    labels = [variant["label"] for variant in record.axes["variant"]]
    assert labels == ["rnn", "lstm b_f=2.3"]
    assert take(record, "scene_difference").shape == (2, 2, 5, 5)
    assert take(record, "scene_answer").shape == (2, 2, 2, 3)
    far = [variant["label"] for variant in record.axes["far_variant"]]
    assert far == ["rnn", "lstm b_f=1", "lstm b_f=6.54"]
    shares = take(record, "far_log_share")
    assert shares.shape == (3, 2, 3, 202)
    rnn, usual, matched = np.median(shares[..., 200], axis=(1, 2))
    assert rnn < usual < matched


def test_the_title_says_only_what_the_record_shows(record):
    assert "An RNN forgets" not in bear.finding(record)
    accuracy = record.arrays["accuracy"]

    def with_trained(rnn, lstm):
        values = np.stack([accuracy.values[:, 0], [rnn, lstm]], axis=1)
        arrays = record.arrays | {"accuracy": accuracy._replace(values=values)}
        return bear.finding(record._replace(arrays=arrays))

    finding = "An RNN forgets the bear. An LSTM told to keep, keeps."
    assert with_trained([0.5, 0.6], [0.95, 1.0]) == finding
    assert with_trained([0.5, 0.7], [0.95, 1.0]) != finding
    assert with_trained([0.5, 0.6], [0.94, 1.0]) != finding


def test_the_figure_draws_the_median_network_of_every_cell(record):
    assert median_index(np.array([0.9, 0.1, 0.5])) == 2
    assert median_index(np.array([0.2, 0.1])) == 1
    figure = gradient_decay.plot(record)
    maps = [axes for axes in figure.axes if axes.get_ylabel() in ("RNN", "LSTM")]
    for axes, entry in zip(maps, record.axes["variant"], strict=True):
        right = take(record, "accuracy", variant=entry, stage="trained")
        seed = median_index(right)
        difference = take(record, "scene_difference", variant=entry, seed=seed)
        drawn = np.asarray(axes.images[0].get_array())
        expected = difference / np.abs(difference).max(axis=0)
        np.testing.assert_allclose(np.sort(drawn[:, -1]), np.sort(expected[-1]))
        assert np.abs(drawn).max() == 1


def test_all_panels_stay_where_they_are_asked_for(record):
    assert "undriven_log_share" not in record.arrays
    config = gradient_decay.Config(panels="all")
    assert not config.shows_the_bear and config.biases == (1.0, "matched")
    assert not gradient_decay.Config(num_steps=0).shows_the_bear


@pytest.mark.parametrize(
    ("lost", "said"), [(-np.inf, "RNN:\nlost at once"), (np.nan, "RNN:\noverflow")]
)
def test_a_gradient_that_cannot_be_drawn_is_named(record, lost, said):
    quantity = record.arrays["far_log_share"]
    values = quantity.values.copy()
    values[0, ..., 1:] = lost
    arrays = record.arrays | {"far_log_share": quantity._replace(values=values)}
    figure = gradient_decay.plot(record._replace(arrays=arrays))
    figure.canvas.draw()
    assert said in [text.get_text() for text in figure.axes[3].texts]
