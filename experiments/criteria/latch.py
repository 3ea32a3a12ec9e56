"""When `experiments.latch` shows the trade-off, and the searches that guess."""

import numpy as np

from experiments.common import rows
from experiments.common.records import Record, take
from experiments.common.rows import Check
from lstm_jax import theory

FAR = 10_000  # steps from which P(2T)/P(T) is 2^-1.5 to three digits
PUBLISHED = {100.0: "718 trials on average (500 to 600 steps)"}


def checks(record: Record) -> list[Check]:
    """Returns the criteria: searches by weight range, the trade-off, the power law."""
    guesses = [_guessing(record, r) for r in record.axes["weight_range"]]
    published_first = sorted(guesses, key=lambda check: not check.published)
    return [*published_first, *_trade_off(record), _power_law(record)]


def _guessing(record: Record, weight_range: float) -> Check:
    trials = take(record, "trials", weight_range=weight_range)
    solved = trials[np.isfinite(trials)]
    mean = rows.mean(solved, ".0f") if solved.size else "-"
    text = f"{weight_range:g}"
    return Check(
        f"searches that random weights from U[-{text}, {text}] solve, at least 9 of 10",
        PUBLISHED.get(weight_range, ""),
        f"{rows.count(solved.size, trials.size)}; mean trials {mean}, median "
        f"{np.median(trials):g}; lag {record.config['lag']}",
        bool(solved.size >= 0.9 * trials.size),
    )


def _trade_off(record: Record) -> list[Check]:
    weights = np.array(record.axes["weight"])
    order = np.argsort(weights)
    margin, rate = take(record, "margin"), take(record, "rate")
    off_margin = np.abs(margin - theory.latch_threshold(weights)).max()
    off_rate = np.abs(rate - theory.tanh_rate(weights)).max()
    traded = np.diff(margin[order]) > 0, np.diff(rate[order]) < 0
    low, high = order[0], order[-1]
    return [
        Check(
            "the more noise a bit survives, the faster its gradient vanishes",
            "what latches robustly has vanishing gradients (theorem)",
            f"from w = {weights[low]:g} to {weights[high]:g} the margin goes from "
            f"{margin[low]:.3g} to {margin[high]:.3g}, the rate from {rate[low]:+.3g} "
            f"to {rate[high]:+.3g} nats per step",
            bool(np.all(traded)),
        ),
        Check(
            "largest push that a bit survives minus u*(w), at most 0.001",
            "",
            f"{off_margin:.1e} at most, {weights.size} weights",
            bool(off_margin <= 1e-3),
        ),
        Check(
            "rate of the gradient minus ln(w (1 - h*²)), at most 1e-6 nats per step",
            "",
            f"{off_rate:.1e} at most, {weights.size} weights",
            bool(off_rate <= 1e-6),
        ),
    ]


def _power_law(record: Record) -> Check:
    log_product = take(record, "critical_log_product")
    half = (len(log_product) - 1) // 2
    ratio = np.exp(log_product[2 * half] - log_product[half])
    # ln P(T) = const - 1.5 ln T + O(1/T): smoke sizes are further off.
    allowed = 1e-3 if half >= FAR else 10 / half
    return Check(
        "P(2T)/P(T) of the gradient at w = 1, near 2^-1.5 = 0.3536",
        "",
        f"{ratio:.6f} at T = {half}",
        bool(abs(ratio - 2**-1.5) <= allowed),
    )
