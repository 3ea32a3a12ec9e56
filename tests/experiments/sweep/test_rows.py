"""What a sweep found, counted and drawn."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from small_sweeps import changed, ended

from experiments import sweep
from experiments.common import records
from experiments.common.records import take
from experiments.sweep import Config, experiment
from experiments.sweep.parts import Outcome
from experiments.sweep.rows import ranking, rows_of, successes

NAN, INF = float("nan"), float("inf")


OUTCOME = ended(
    [
        [0.5, 0.1, 0.2, 0.3, 0.4],
        [0.1, 0.1, 0.1, 0.1, NAN],
        [0.1, 0.1, 0.1, 0.1, 0.1],
        [0.9, INF, 1e13, 0.1, 0.1],
        [0.2, 0.2, 0.2, 0.2, 0.9],
    ],
    accuracy=np.full((5, 5), 0.5),
    diverged_at=[[-1] * 5, [-1] * 5, [-1] * 5, [3, -1, -1, 4, 5], [-1] * 5],
)


OF_FIVE = Config(sweep="seed=0,1,2,3,4", success_loss=0.2, num_seeds=5)


def test_statistics_are_those_of_the_runs_that_did_not_diverge():
    rows = rows_of(OF_FIVE, OUTCOME)
    assert [row["successes"] for row in rows] == [2, 4, 5, 0, 4]
    assert [row["diverged"] for row in rows] == [0, 1, 0, 5, 0]
    quartiles = [rows[0][f"loss_{name}"] for name in ("q25", "median", "q75")]
    assert_allclose(quartiles, [0.2, 0.3, 0.4])
    assert rows[1]["loss_q75"] == 0.1 and np.isnan(rows[3]["loss_median"])
    assert rows[0]["accuracy_median"] == 0.5
    # Wilson's interval, for 5 of 5: n / (n + z²).
    assert_allclose(rows[2]["success_low"], 5 / (5 + 1.959964**2), rtol=1e-6)
    assert rows[2]["success_rate"] == rows[2]["success_high"] == 1
    # By successes, then fewest diverged, then the loss.
    assert ranking(rows).tolist() == [2, 4, 1, 0, 3]


def test_without_a_loss_the_accuracy_decides():
    config = dataclasses.replace(OF_FIVE, success_loss=None, success_accuracy=0.5)
    assert successes(config, OUTCOME).sum(1).tolist() == [5, 4, 5, 0, 5]
    config = dataclasses.replace(config, success_accuracy=0.51)
    assert not successes(config, OUTCOME).any()


def test_table_and_verdict_name_the_best_and_what_diverged():
    record = experiment.record_of(OF_FIVE, OUTCOME, ["A note."], 1.0)
    assert [row["seed"] for row in record.rows] == ["2", "4", "1", "0", "3"]
    assert record.rows[0]["succeed"] == "5/5 [0.57, 1.00]"
    assert record.rows[-1]["test loss"] == "-"
    assert record.verdict == [
        "A note.",
        "In 3 of 5 settings most seeds succeed: a test loss of at most 0.2.",
        "Best: seed=2: 5/5 [0.57, 1.00] succeed, median test loss 0.1.",
        "6 of 25 runs diverged: seed=1; seed=3.",
    ]


def figure_of(text, loss, **values):
    config = changed(sweep=text, num_seeds=len(loss[0]), success_loss=0.25, **values)
    return experiment.plot(experiment.record_of(config, ended(loss), [], 1.0))


def markers_of(axes):
    """The line of what `errorbar` drew first."""
    (bars, *_) = axes.containers
    return bars.lines[0]


def test_one_field_is_a_curve_of_median_quartiles_and_share(tmp_path):
    figure = figure_of("learning_rate=1e-1,1e-3", [[0.2, 0.3, 0.1], [0.9, NAN, NAN]])
    upper, lower = figure.axes
    assert upper.get_yscale() == lower.get_xscale() == "log"
    median = markers_of(upper)
    assert_allclose(median.get_xydata(), [[1e-3, 0.9], [1e-1, 0.2]])
    share = markers_of(lower)
    assert_allclose(share.get_ydata(), [0, 2 / 3])
    crosses = [text for text in upper.texts if text.get_text() == "×"]
    places = [getattr(cross, "xy", None) for cross in crosses]
    assert places == [(1e-3, 1)]
    figure.savefig(tmp_path / "figure.png")


def test_two_fields_are_maps(tmp_path):
    losses = [[0.1, 0.2], [0.3, 0.4], [0.1, 0.3], [0.5, 0.6], [NAN, 0.7], [NAN, NAN]]
    figure = figure_of("cell=rnn,gru;hidden_size=2,4,8", losses)
    shares, medians = (np.ma.array(axes.images[0].get_array()) for axes in figure.axes)
    assert_allclose(shares, [[1, 0, 0.5], [0, 0, 0]])
    assert_allclose(medians.filled(9), [[0.15, 0.35, 0.2], [0.55, 0.7, 9]])
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["rnn", "gru"]
    assert [text.get_text() for text in right.texts][4:6] == ["0.7 ×1", "×2"]
    figure.savefig(tmp_path / "figure.png")


@pytest.mark.parametrize("count", [5, 60])
def test_more_fields_are_strips_the_best_first(count, tmp_path):
    losses = [[(7 * n % count + 1) / 100] for n in range(count)]
    figure = figure_of(
        "learning_rate=log:1e-3:1;cell=rnn,gru;clip=uniform:1:2", losses, random=count
    )
    upper, _, strips = figure.axes
    drawn = markers_of(upper).get_ydata()
    assert_array_equal(drawn, np.sort(np.ravel(losses)))
    assert len(strips.images) == 3
    assert len(strips.texts) == (15 if count == 5 else 0)
    figure.savefig(tmp_path / "figure.png")


def test_a_record_is_drawn_from_its_files(tmp_path):
    record = experiment.record_of(OF_FIVE, OUTCOME, [], 1.0)
    records.save(record, experiment.plot(record), tmp_path)
    loaded = records.load(tmp_path)
    assert_array_equal(take(loaded, "test_loss"), OUTCOME.loss)
    assert len(experiment.plot(loaded).axes) == 2


def test_settings_that_agree_in_four_digits_are_told_apart():
    config = sweep.Config(sweep="learning_rate=0.0010001,0.0010002;clip=1,none")
    ones = np.ones((4, 3))
    counts = np.full((4, 3), -1)
    outcome = Outcome(ones, ones, counts, counts, counts)
    record = experiment.record_of(config, outcome, [], 1.0)
    names = [(row["learning_rate"], row["clip"]) for row in record.rows]
    assert names == [(r, c) for r in ("0.0010001", "0.0010002") for c in ("1", "none")]
    assert "Best: learning_rate=0.0010001, clip=1:" in record.verdict[1]
    left, *_ = sweep.plot(record).axes
    ticks = [
        [t.get_text() for t in of.get_ticklabels()] for of in (left.xaxis, left.yaxis)
    ]
    assert ticks == [["1", "none"], ["0.0010001", "0.0010002"]]
