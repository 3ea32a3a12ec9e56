"""Temporal order, small: what counts as learnt, and as a plateau."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from experiments import temporal_order
from experiments.common import msgd, online, two_blocks
from experiments.common.cli import ConfigError
from experiments.common.records import Quantity, take
from experiments.criteria.temporal_order import checks, dwells, pauses, table
from experiments.figures.temporal_order import finding
from experiments.temporal_order import (
    Config,
    setting_of_1997,
    when_averaged,
    when_tested,
)


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


def with_losses(record, losses):
    """The record with so many runs of one method, each a list of means over 100."""
    axes = {"seed": [*range(len(losses))], "mean": [100, 200, 300, 400, 500, 600]}
    of = Quantity(
        np.array(losses)[None, None, None], record.arrays["loss"].axes, "nats"
    )
    arrays = record.arrays | {"loss": of}
    return record._replace(arrays=arrays, axes=record.axes | axes)


NEVER = [1.38] * 6
DIPS = [1.38, 0.7, 0.7, 1.38, 1.38, 1.38]
STAYS = [1.1, 1.04, 0.7, 0.68, 0.5, 0.1]
LEARNS = [0.7, *[np.nan] * 5]  # with the last of the seeds
LINGERS_ABOVE = [1.1, 1.05, 1.03, 0.7, 0.68, 0.66]
LINGERS_BELOW = [1.1, 0.7, 0.68, 0.53, 0.51, 0.1]
FALLS = [1.38, 1.1, 0.8, 0.6, 0.4, 0.1]


def test_a_loss_pauses_at_ln_2_or_passes_it(smoke):
    losses = [NEVER, DIPS, STAYS, LEARNS, LINGERS_ABOVE, LINGERS_BELOW, FALLS]
    updates = dwells(with_losses(smoke("temporal_order"), losses))
    beside = [[100, 200, 100], [0, 100, 0], [200, 300, 0], [0, 200, 200]]
    assert updates.tolist() == [*beside, [0, 0, 0]]
    assert pauses(updates).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("losses", "holds"), [([STAYS, FALLS, NEVER], True), ([STAYS, FALLS, FALLS], False)]
)
def test_half_of_the_losses_that_leave_ln_4_pause(smoke, losses, holds):
    record = with_losses(smoke("temporal_order"), losses)
    plateau = next(of for of in checks(record) if "leave ln 4" in of.what)
    assert plateau.holds == holds
    assert plateau.ours.startswith("1 of 2" if holds else "1 of 3")


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


def test_means_end_where_tests_are():
    assert when_averaged(Config(num_steps=1200, log_interval=500))[-2:] == [950, 1000]
    with pytest.raises(
        ConfigError, match=r"^mean_interval: got 50; it must divide 499"
    ):
        Config(log_interval=499)
    with pytest.raises(ConfigError, match="must divide 20,"):
        Config(num_steps=20)


def test_no_update_is_drawn_below_one_mean(smoke):
    beside = temporal_order.plot(with_losses(smoke("temporal_order"), [FALLS])).axes[1]
    np.testing.assert_array_equal(beside.lines[0].get_xydata(), [[50, 50]])
    shown = [label.get_text() for label in beside.get_xticklabels()]
    assert shown == ["0", "100", "1000"]


def test_the_net_of_6a_is_the_papers():
    setting = setting_of_1997(Config())
    assert setting[1:] == ((-2.0, -4.0), 100, 0.5, 2000, 200_000)
    keys = jax.random.split(jax.random.key(0), 2)
    nets = two_blocks.nets(keys, setting.task, setting.input_biases)
    assert online.num_weights(nets) == 156
    biases = [[-2.0, -4.0, *[0.0] * 6]] * 2
    np.testing.assert_array_equal(nets.cell.b, biases)
    np.testing.assert_array_equal(nets.readout.b, np.zeros((2, 4)))
    assert setting.task is lj.tasks.temporal_order(2, units="logistic")


def with_nets(record, solved_at, error):
    """The record with nets of 1997 that were done then, with this last error."""
    trained = two_blocks.Trained(
        np.array(solved_at),
        np.arange(float(len(solved_at))),
        np.column_stack([np.full(len(error), 0.75), error]),
        156,
    )
    axes = {"net": [*range(len(error))], "sequence": [1000, 2000]}
    arrays = record.arrays | two_blocks.quantities([trained])
    return record._replace(arrays=arrays, axes=record.axes | axes)


@pytest.mark.parametrize(
    ("solved_at", "error", "count"),
    [
        ([1500.0] * 4 + [np.inf], [0.01] * 5, "4 of 5"),
        ([1500.0] * 3 + [np.inf] * 2, [0.01] * 5, "3 of 5"),
        ([1500.0] * 5, [0.01] * 3 + [0.11, 0.2], "3 of 5"),
    ],
)
def test_a_net_of_6a_is_done_with_a_small_error(smoke, solved_at, error, count):
    record = with_nets(smoke("temporal_order"), solved_at, error)
    done, weights = checks(record)[:2]
    assert done.holds == (count == "4 of 5") and done.ours.startswith(count)
    assert "median 1,500 sequences" in done.ours and weights.holds
    *others, of_1997 = table(record)
    assert of_1997["6a, 100 to 110 steps"].startswith(count.replace(" of ", "/"))
    assert all(row["6a, 100 to 110 steps"] == "-" for row in others)
