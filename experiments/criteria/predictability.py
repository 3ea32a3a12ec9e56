"""When `experiments.predictability` shows that the exponent decides."""

import numpy as np
import scipy.stats

from experiments.common.records import Record, take
from experiments.common.rows import Check

CLEAR = 0.05  # nats per step from 0: the side of a net is told
FEW, RATIO, RANKED = 30, 5, 0.9  # calibrated: decision 014-calibration-predictability
FIGURE = "a threshold at λ_1 = 0 (figure 2)"


def checks(record: Record) -> list[Check]:
    """Returns the criteria of the first cell, the source's, then those of all."""
    return [
        _ranked(record),
        _few_below(record),
        _many_above(record),
        _growth(record),
        _others(record),
        _forecast(record),
    ]


def few(exponents: np.ndarray, iterations: np.ndarray) -> str:
    """Returns the median where the exponent is clearly below 0, as text."""
    return _median(iterations[exponents < -CLEAR])


def many(exponents: np.ndarray, iterations: np.ndarray) -> str:
    """Returns the median where the exponent is clearly above 0, as text."""
    return _median(iterations[exponents > CLEAR])


def _median(values: np.ndarray) -> str:
    if not values.size:
        return "no net"
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return f"{middle:.3g} [{low:.3g} .. {high:.3g}]"


def longest(record: Record, cell: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the exponents and the iterations at the largest T, (gain, seed)."""
    length = max(record.axes["length"])
    iterations = take(record, "iterations", cell=cell, length=length)
    return take(record, "exponent", cell=cell), iterations


def _ranked(record: Record) -> Check:
    exponents, iterations = longest(record, record.axes["cell"][0])
    ranks = [scipy.stats.rankdata(of) for of in (exponents, iterations)]
    rank = float(np.corrcoef(*ranks)[0, 1])
    return Check(
        f"Spearman's rank correlation of λ_1 and iterations, at least {RANKED}",
        FIGURE,
        f"{rank:.3f}, {exponents.size} nets",
        bool(rank >= RANKED),
    )


def _few_below(record: Record) -> Check:
    exponents, iterations = longest(record, record.axes["cell"][0])
    below = iterations[exponents < -CLEAR]
    return Check(
        f"where λ_1 < -{CLEAR}, the median of the iterations is at most {FEW}",
        "few, and flat in T (figure 2)",
        few(exponents, iterations),
        bool(below.size and np.median(below) <= FEW),
    )


def _many_above(record: Record) -> Check:
    exponents, iterations = longest(record, record.axes["cell"][0])
    below, above = iterations[exponents < -CLEAR], iterations[exponents > CLEAR]
    enough = below.size and above.size
    ratio = np.median(above) / np.median(below) if enough else np.nan
    length = max(record.axes["length"])
    return Check(
        f"where λ_1 > {CLEAR}, they are at least {RATIO} times as many",
        "about T (figure 2)",
        f"{many(exponents, iterations)} of T = {length}, {ratio:.3g} times",
        bool(ratio >= RATIO),
    )


def _growth(record: Record) -> Check:
    """Four times as many steps: the same number of iterations, or four times it."""
    lengths = record.axes["length"]
    long, short = max(lengths), max(n for n in lengths if 4 * n <= max(lengths))
    exponents = take(record, "exponent", cell=record.axes["cell"][0])
    grown = take(record, "iterations", cell=record.axes["cell"][0], length=long) / take(
        record, "iterations", cell=record.axes["cell"][0], length=short
    )
    below, above = grown[exponents < -CLEAR], grown[exponents > CLEAR]
    told = f"{_median(below)} below, {_median(above)} above"
    return Check(
        f"from T = {short} to {long} they grow by less than 1.5 below and 2 above",
        "flat below 0, in proportion to T above (figure 2)",
        told,
        bool(
            below.size and above.size and np.median(below) < 1.5 < 2 < np.median(above)
        ),
    )


def _others(record: Record) -> Check:
    """The gated cells, in one: where they are clearly on one side."""
    told, holds = [], True
    for cell in record.axes["cell"]:
        exponents, iterations = longest(record, cell)
        below = iterations[exponents < -CLEAR]
        told.append(f"{cell} {few(exponents, iterations)}")
        holds &= bool(not below.size or np.median(below) <= FEW)
    return Check(
        f"every cell: at most {FEW} where λ_1 < -{CLEAR}, by the median",
        "",
        "; ".join(told),
        holds,
    )


def _forecast(record: Record) -> Check:
    exponents, forecast = take(record, "exponent"), take(record, "forecast")
    clear = np.abs(exponents) > CLEAR
    right = np.mean((exponents > 0)[clear] == (forecast > 0)[clear])
    return Check(
        "the first 64 steps tell the side of at least 9 in 10 nets",
        "",
        f"{right:.1%} of {clear.sum()}",
        bool(right >= 0.9),
    )
