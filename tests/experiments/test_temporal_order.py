"""Temporal order, small: what counts as learnt, and as a plateau."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from experiments import temporal_order
from experiments.common import msgd
from experiments.common.records import Quantity, take
from experiments.criteria.temporal_order import checks, pauses
from experiments.figures.temporal_order import finding
from experiments.temporal_order import Config, when_tested


def with_runs(record, counts):
    """The record with 5 seeds at 3 lengths of each method, of which so many learnt."""
    learnt = np.full((1, 3, 15), np.inf)
    for row, count in zip(learnt[0], counts, strict=True):
        row[:count] = 1000
    networks = ("init", "method", "length", "seed")
    of = lambda values: Quantity(values.reshape(1, 3, 3, 5), networks, "1")
    arrays = {"learnt": of(learnt), "accuracy": of(np.full((1, 3, 15), 0.25))}
    axes = {"method": list(msgd.METHODS), "length": [20, 50, 100], "seed": [*range(5)]}
    return record._replace(arrays=record.arrays | arrays, axes=record.axes | axes)


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ((0, 3, 5), [True, True]),
        ((0, 3, 4), [True, False]),
        ((2, 1, 7), [False, True]),
        ((2, 8, 7), [False, True]),
    ],
)
def test_methods_are_ordered_by_the_runs_that_learn(smoke, counts, wanted):
    found = checks(with_runs(smoke("temporal_order"), counts))[-2:]
    assert [check.holds for check in found] == wanted
    assert f"MSGD-CR {counts[-1]} of 15" in found[0].ours


def test_a_loss_pauses_at_ln_2_or_passes_it():
    stays, passes, never = [1.38, 0.7, 0.68, 0.2], [1.1, 0.7, 0.1, 0.6], [1.38] * 4
    assert pauses(np.array([stays, passes, never])) == (1, 2)
    ended = [0.7, 0.69, np.nan, np.nan]
    assert pauses(np.array([ended])) == (1, 1)


def test_what_was_trained_is_in_the_record(smoke):
    record = smoke("temporal_order")
    assert take(record, "learnt").shape == (1, 1, 1, 1)
    assert_allclose(take(record, "loss"), np.log(4), atol=0.05)
    assert finding(record).endswith("0 of 1 (MSGD), 1 of 1 (LSTM, Adam)")
    assert (
        temporal_order.plot(record).axes[0].get_ylabel() == "runs that learn the task"
    )


def test_tests_are_between_the_updates():
    assert when_tested(Config(num_steps=1200, log_interval=500)) == [500, 1000]
    assert when_tested(Config(num_steps=50)) == [50]
