"""The sentence above a figure is true of its record, and of one that differs."""

from pathlib import Path

import numpy as np
import pytest

from experiments import explain
from experiments.common import records
from experiments.explain import experiment as explain_experiment
from experiments.figures import (
    cliff,
    gradient_paths,
    jacobian_laws,
    latch,
    lyapunov,
    nature_show,
    trainability,
)

REFERENCE = Path(__file__).parents[2] / "experiments" / "reference"


def changed(record, name, change):
    """The record, with one of its arrays changed."""
    quantity = record.arrays[name]
    values = change(quantity.values)
    return record._replace(
        arrays=record.arrays | {name: quantity._replace(values=values)}
    )


@pytest.mark.parametrize(
    ("figure", "found", "name", "change", "neutral"),
    [
        (cliff, "times smaller", "walk_error", lambda e: e[::-1], "clipped at 0.09"),
        (latch, "the less gradient", "rate", lambda r: r[::-1], "and gradient that"),
        (
            *(gradient_paths, "Training puts", "log_share"),
            *(lambda s: s[:, ::-1], "Carousel over whole gradient at lag 40"),
        ),
        (
            *(jacobian_laws, "vanish at 8 of 8 gains", "gain_rate"),
            *(lambda rates: -rates, "vanish at 0 of 8 gains"),
        ),
        (
            *(lyapunov, "is the largest Lyapunov exponent", "gradient_rate"),
            *(lambda rates: rates + 1, "on average 1 nats per step apart"),
        ),
        (
            *(trainability, "foretells who learns better than", "roc_area"),
            *(lambda areas: areas[..., ::-1], "How well the gradient"),
        ),
    ],
)
def test_the_sentence_claims_no_more_than_the_record_shows(
    figure, found, name, change, neutral
):
    record = records.load(REFERENCE / figure.__name__.rpartition(".")[2])
    assert found in figure.finding(record)
    otherwise = figure.finding(changed(record, name, change))
    assert found not in otherwise
    assert neutral in otherwise


def test_a_show_without_an_rnn_is_drawn_without_its_memory():
    record = records.load(REFERENCE / "nature_show")
    arrays = {n: of for n, of in record.arrays.items() if n != "story_rnn"}
    figure = nature_show.plot(record._replace(arrays=arrays))
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert "LSTM: input gate $i$" in labels
    assert "RNN: memory $h$" not in labels


def test_a_unit_that_forgets_nothing_never_halves():
    record = records.load(REFERENCE / "explain")
    assert "halves in 184 steps" in explain_experiment.finding(record)
    lasting = changed(record, "half_life", lambda h: np.full_like(h, np.inf))
    assert "never halves" in explain.plot(lasting).get_suptitle()
