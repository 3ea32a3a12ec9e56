"""experiments.nature_show, small: accuracies, a story and its figure."""

from functools import partial

import numpy as np
import pytest

from experiments import nature_show
from experiments.common.records import take


@pytest.fixture(scope="module")
def show_record(made_once):
    config = nature_show.Config(
        cells=("rnn", "lstm"), lags=(2,), hidden_size=5, num_seeds=2, num_steps=3
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nature_show, "TEST_SHOWS", 64)
        patch.setattr(nature_show, "LAST_IMAGES", 256)
        make = partial(nature_show.run, config)
        return made_once("small_show", make, nature_show.plot)


def test_nature_show_has_accuracies_and_a_story(show_record):
    labels = [variant["label"] for variant in show_record.axes["variant"]]
    assert labels == ["rnn", "lstm b_f=1", "lstm b_f=matched"]
    accuracy = take(show_record, "accuracy")
    assert accuracy.shape == (3, 2, 1)  # variant, seed, lag
    assert ((accuracy >= 0) & (accuracy <= 1)).all()
    assert "the last image alone: dog" in show_record.verdict[-3]
    assert show_record.axes["seen"] == ["last image", "rnn", "lstm"]
    assert take(show_record, "story_rnn").shape == (4, 5)
    roles = take(show_record, "story_role")
    assert nature_show.ROLES[int(roles[0])] == "bear"
    assert np.isnan(roles[-1])
    probabilities = take(show_record, "story_probability")
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    i, f, g, c = (take(show_record, "story_state", state=state) for state in "ifgc")
    np.testing.assert_allclose(c[1:], f[1:] * c[:-1] + i[1:] * g[1:], atol=1e-6)
    np.testing.assert_allclose(c[0], i[0] * g[0], atol=1e-6)


def test_nature_show_draws_the_images_and_the_inside(show_record):
    figure = nature_show.plot(show_record)  # of a record that was loaded from disk
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert sum("gate" in label for label in labels) == 3
    assert sum("-term" in label for label in labels) == 2
