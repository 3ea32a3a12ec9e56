"""Intervals of means and of areas under the ROC curve."""

import math

import numpy as np
from sklearn.metrics import roc_auc_score

from experiments.common import statistics
from experiments.common.statistics import area_under_roc, mean_interval

INF, NAN = math.inf, math.nan


def test_the_area_is_the_chance_that_the_solved_score_higher():
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    solved = np.array([False, True, False, True])
    # Of the four pairs one is a tie, and three are in order.
    area = area_under_roc(scores, solved)
    assert area.area == 3.5 / 4
    assert area.low <= area.area <= area.high
    assert area_under_roc(-scores, solved).area == 0.5 / 4
    assert area.high == 1
    alike = area_under_roc(scores, np.ones(4, bool))
    assert np.isnan(alike.area) and str(alike) == "-"


def test_the_interval_is_of_resampled_networks(monkeypatch):
    monkeypatch.setattr(statistics, "BOOTSTRAPS", 30)
    scores = np.array([0.3, 0.1, 0.4, 0.4, 0.8, 0.2])
    solved = np.array([True, False, True, False, True, False])
    drawn = np.random.default_rng(5).integers(6, size=(30, 6))
    wanted = [
        roc_auc_score(solved[row], scores[row])
        for row in drawn
        if 0 < solved[row].sum() < 6
    ]
    area = area_under_roc(scores, solved, 5)
    np.testing.assert_allclose(area[1:], np.percentile(wanted, (2.5, 97.5)))


def test_a_measure_without_a_number_foretells_nothing():
    solved = np.array([True, False, True, False, True])
    plain = area_under_roc(np.array([3.0, 1, 4, 2, 5]), solved)
    assert plain.area == 1
    odd = area_under_roc(np.array([3, -INF, INF, 2, NAN]), solved)
    assert odd.area == 1
    lost = area_under_roc(np.array([3, -INF, -INF, 2, NAN]), solved)
    assert lost.area == 0.625  # of four pairs, one is tied and one is lost


def test_mean_interval_is_students():
    low, high = mean_interval(np.array([[0.4], [0.5], [0.6]]))
    # t(0.975, 2 degrees of freedom) = 4.3027, standard error 0.1 / sqrt(3)
    np.testing.assert_allclose(
        [low[0], high[0]], 0.5 + np.array([-1, 1]) * 0.24841, 1e-4
    )
