"""Summaries of many numbers: quartiles, intervals, areas under ROC curves."""

from typing import Any, NamedTuple

import numpy as np
import scipy.stats
from jax.typing import ArrayLike
from numpy.typing import NDArray

QUARTILES = (25, 50, 75)
BOOTSTRAPS = 2000


def quartiles(values: ArrayLike, axis: Any = None) -> NDArray[Any]:
    """Returns lower quartile, median and upper quartile along a new first axis.

    Interpolated, unless a value is infinite.
    """
    numbers = np.asarray(values)
    method = "linear" if np.isfinite(numbers).all() else "nearest"
    return np.percentile(numbers, QUARTILES, axis=axis, method=method)


def median_index(values: np.ndarray) -> int:
    """Returns the index of the median value, of the lower one if there are two."""
    return int(np.argsort(values, kind="stable")[(len(values) - 1) // 2])


def mean_interval(values: np.ndarray) -> np.ndarray:
    """Returns the 95 % Student-t interval of the mean over the first axis, in [0, 1].

    (2, ...) from (seed, ...). Rough if seeds either solve the task or don't; the table
    therefore counts those that do.
    """
    count = len(values)
    half = scipy.stats.t.ppf(0.975, count - 1) * values.std(0, ddof=1) / count**0.5
    return np.clip([values.mean(0) - half, values.mean(0) + half], 0, 1)


class Area(NamedTuple):
    """The area under a ROC curve with the ends of its 95 % interval."""

    area: float
    low: float
    high: float

    def __str__(self) -> str:
        """The area and its interval; "-" if all networks solve the task, or none."""
        if np.isnan(self.area):
            return "-"
        return f"{self.area:.2f} [{self.low:.2f}, {self.high:.2f}]"


def area_under_roc(scores: np.ndarray, solved: np.ndarray, seed: int = 0) -> Area:
    """Returns how well scores separate networks that solve the task, (network,) each.

    The probability that a network that solves it scores higher than one that doesn't;
    NaN if all do or none does. Networks with a NaN score are left out. The interval is
    the percentile bootstrap over networks.

    References:
      Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13
    """
    from sklearn.metrics import roc_auc_score  # a second to import: only where needed

    known = ~np.isnan(scores)
    scores, solved = scores[known], solved[known]
    if solved.all() or not solved.any():
        return Area(np.nan, np.nan, np.nan)
    # Only the order matters, and scikit-learn refuses infinite scores.
    ranks = scipy.stats.rankdata(scores)
    low, high = np.percentile(_bootstrapped(ranks, solved, seed), (2.5, 97.5))
    return Area(float(roc_auc_score(solved, ranks)), float(low), float(high))


def _bootstrapped(scores: np.ndarray, solved: np.ndarray, seed: int) -> np.ndarray:
    """Returns the areas of the resamples in which some networks solve, but not all."""
    shape = (BOOTSTRAPS, len(scores))
    drawn = np.random.default_rng(seed).integers(len(scores), size=shape)
    times = np.stack([np.bincount(row, minlength=len(scores)) for row in drawn])
    here, there = scores[solved][:, None], scores[~solved]
    won = (here > there) + 0.5 * (here == there)
    num_pairs = times[:, solved].sum(-1) * times[:, ~solved].sum(-1)
    num_won = (times[:, solved] @ won * times[:, ~solved]).sum(-1)
    return num_won[num_pairs > 0] / num_pairs[num_pairs > 0]
