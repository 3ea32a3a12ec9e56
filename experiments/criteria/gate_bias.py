"""The criteria of `experiments.gate_bias`, row 10."""

from collections.abc import Mapping

import numpy as np

from experiments.common.records import Record, take
from experiments.common.rows import Check
from lstm_jax import theory

JUDGED_CELL = "lstm"
EXACT = 1e-12
SLOW, FAST = 1.0, 5.0
RATIO = (1.3, 8.0)
LAG = 100
LONGEST = 1000


def checks(record: Record) -> list[Check]:
    """Returns the criteria; that of an LSTM where it began from both biases."""
    both = {SLOW, FAST} <= {float(b) for b in record.axes["forget_bias"]}
    trained = both and JUDGED_CELL in record.axes["cell"]
    return [*([_ratio(record)] if trained else []), *_exact(record)]


def medians(record: Record, cell: str) -> tuple[float, float]:
    """Returns the median updates of a cell from b_f = 1, and from b_f = 5."""
    updates = take(record, "updates", cell=cell)
    order = [record.axes["forget_bias"].index(b) for b in (SLOW, FAST)]
    slow, fast = np.median(updates, axis=-1)[order]
    return float(slow), float(fast)


def _ratio(record: Record) -> Check:
    slow, fast = medians(record, JUDGED_CELL)
    ratio = slow / fast if np.isfinite(fast) else np.nan
    seeds = take(record, "updates").shape[-1]
    low, high = RATIO if _whole(record) else (1.0, np.inf)
    return Check(
        "temporal order, three symbols: median updates from b_f = 1 over those from "
        "b_f = 5, in [1.3, 8]",
        "about 3",
        f"{ratio:.2f}: {slow:g} over {fast:g}, {seeds} seeds",
        bool(low <= ratio <= high),
    )


def _whole(record: Record) -> bool:
    """Returns whether lags and seeds are those that the criterion is made for."""
    return record.config["length"] >= 100 and record.config["num_seeds"] >= 5


def laws(record: Record) -> Mapping[str, np.ndarray]:
    """Returns what theory says of each exact quantity, by its name."""
    biases, spans, lags = (np.array(record.axes[a]) for a in ("bias", "span", "lag"))
    return {
        "share": theory.carousel_share(biases, LAG),
        "horizon": theory.carousel_horizon(biases),
        "chrono_share": theory.chrono_share(spans),
        "population_share": theory.chrono_population_share(lags, LONGEST),
    }


def _exact(record: Record) -> list[Check]:
    whats = {
        "share": "dc_T/dc_0 without weights is σ(b)^T",
        "horizon": "1 / (1 - f) is 1 + e^b",
        "chrono_share": "from ln(T - 1), (1 - 1/T)^T is left over T steps",
        "population_share": "the mean share of a chrono layer is E[f^k]",
    }
    apart = {
        name: np.abs(take(record, name) / law - 1).max()
        for name, law in laws(record).items()
    }
    return [
        Check(
            f"{whats[name]}, to a relative 1e-12",
            "",
            f"{worst:.1e} at most, {take(record, name).size} values",
            bool(worst <= EXACT),
        )
        for name, worst in apart.items()
    ]
