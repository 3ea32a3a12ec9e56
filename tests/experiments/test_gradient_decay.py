"""experiments.gradient_decay, small: what it measures, says and refuses."""

import math

import numpy as np
import pytest

from experiments import gradient_decay
from experiments.common.records import take

INF = math.inf


@pytest.fixture(scope="module")
def lost():
    """Without recurrent weights, an RNN with one unit."""
    config = gradient_decay.Config(
        cells=("rnn",),
        gain=0.0,
        lag=2,
        hidden_size=2,
        num_seeds=1,
        num_steps=0,
        num_examples=2,
    )
    return gradient_decay.run(config)


def test_an_experiment_without_recurrent_weights_says_so(lost):
    (row,) = lost.rows
    assert row["half-life"] == "lost at once"
    assert "share at lag 2: nothing, lost at once" in lost.verdict[-1]
    assert (take(lost, "log_share") == -INF).all()
    assert take(lost, "undriven_ln_spectral_radius") == -INF
    figure = gradient_decay.plot(lost)
    assert figure.legends[0].get_texts()[0].get_text() == "RNN: lost at once"
    assert "without input: lost at once" in figure.axes[1].get_title(loc="left")


def test_two_biases_that_agree_in_three_digits_are_two_curves():
    config = gradient_decay.Config(
        cells=("janet",),
        forget_bias=(4.001, 4.002),
        lag=1,
        hidden_size=2,
        num_seeds=1,
        num_steps=0,
        num_examples=2,
    )
    record = gradient_decay.run(config)
    labels = ["janet b_f=4.001", "janet b_f=4.002"]
    assert [row["cell"] for row in record.rows] == labels
    assert [variant["label"] for variant in record.axes["variant"]] == labels
    first, second = take(record, "log_share")
    assert not np.array_equal(first, second)
    texts = gradient_decay.plot(record).legends[0].get_texts()
    assert [text.get_text() for text in texts] == [
        "janet, $b_f$ = 4.001",
        "janet, $b_f$ = 4.002",
    ]
