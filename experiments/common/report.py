"""Table rows and verdict lines about a curve of the gradient."""

import math

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

import lstm_jax as lj
from experiments.common import decay, statistics, wording
from experiments.common.gradient_shares import Measured
from experiments.common.variants import Variant

INITIAL, TRAINED = "initial", "trained"
HORIZON_FRACTION = 1e-6
DTYPES = ("bfloat16", "float32", "float64")


def row(variant: Variant, when: str, found: Measured) -> dict[str, str]:
    """Returns a row of the table: medians over the seeds and sequences.

    Half-life, "1e-6 left at" and the dtypes are lags in steps; a dtype's is the lag
    from which a share is too small to change a sum (`lj.gradients.rounding_lag`).
    """
    in_time_order = np.moveaxis(found.log_norms, -2, 0)
    of_curves = decay.decay_of(in_time_order, HORIZON_FRACTION, DTYPES)
    low, middle, high = statistics.quartiles(of_curves.rate)
    beyond = f"> {len(in_time_order) - 1}"
    spread = (
        f" [{wording.rate(low)}, {wording.rate(high)}]" if np.isfinite(middle) else ""
    )
    lags = {"1e-6 left at": of_curves.horizon, **of_curves.heard}
    return {
        "cell": variant.label,
        "when": when,
        "nats per step": wording.rate(middle) + spread,
        "half-life": wording.half_life(middle),
        **{name: wording.steps(np.median(lag), beyond) for name, lag in lags.items()},
        "accuracy": "-" if found.accuracy is None else _spread(found.accuracy),
    }


def without_columns_that_say_nothing(
    rows: list[dict[str, str]],
) -> list[dict[str, str]]:
    """Returns rows without the lags that are beyond the sequence in every row."""
    silent = {name for name in rows[0] if all(row[name][:2] == "> " for row in rows)}
    return [{k: row[k] for k in row if k not in silent} for row in rows]


def verdict_line(
    variant: Variant,
    stages: dict[str, Measured],
    signal: np.ndarray | None,
    lag: int,
    right: str = "right",
) -> str:
    """Returns what to expect at that lag, judging by the untrained networks.

    `stages` are measurements by INITIAL and, after training, TRAINED; `signal` is
    (seed, 2): first-step signal over noise, and the smallest that can be told from
    zero; None without a task. `right` says of what the accuracy is the share.
    """
    log_norms = stages[INITIAL].log_norms
    parts = [_left(log_norms, lag)]
    if signal is not None:
        parts.append(_signal(*np.median(signal, axis=0)))
    if decay.overflow(log_norms) is None:
        parts.append(_bottoms(log_norms))
    saturated = stages[INITIAL].saturation
    if saturated is not None and np.isfinite(saturated.given).all():
        parts.append(f"{np.median(saturated.given):.0%} saturated")
    if variant.forget_bias is not None:
        needed = (
            f"b_f >= ln(lag - 1) = {math.log(lag - 1):.2f}" if lag > 1 else "no b_f"
        )
        parts.append(f"a carousel needs {needed}")
    if TRAINED in stages:
        parts.append(f"trained: {_spread(stages[TRAINED].accuracy)} {right}")
    return f"  {variant.label + ':':<20} {'; '.join(parts)}"


def _left(log_norms: np.ndarray, lag: int) -> str:
    overflow = decay.overflow(log_norms)
    if overflow is not None:
        return f"{wording.OVERFLOW} {overflow}: no share is known"
    share = f"share at lag {lag}: "
    share += wording.power(np.median(decay.shares(log_norms)[..., lag]))
    lost = np.median(log_norms[..., -2, :]) == -np.inf
    return f"{share}, {wording.LOST}" if lost else share


def _signal(ratio: float, resolution: float) -> str:
    """Returns the signal, or a bound on it if it can't be told from zero."""
    if math.isnan(ratio):
        return "signal/noise unknown"
    if ratio > resolution:
        return f"signal/noise {ratio:.1g}"
    return f"signal/noise < {resolution:.1g}" if resolution > 0 else "no signal"


def _spread(accuracy: np.ndarray) -> str:
    return f"{accuracy.mean():.2f} [{accuracy.min():.2f}, {accuracy.max():.2f}]"


def _bottoms(log_norms: np.ndarray) -> str:
    """Returns the lags from which shares round away, and from which they underflow."""
    in_time = np.moveaxis(log_norms, -2, 0)
    heard = decay.decay_of(in_time, HORIZON_FRACTION, ("bfloat16", "float32")).heard
    longest = len(in_time) - 1
    coarse = [f"{dtype} {_from_lag(lags, longest)}" for dtype, lags in heard.items()]
    small = lj.gradients.underflow_lag(jnp.asarray(in_time), jnp.float32)
    underflow = f", both underflow {_from_lag(small, longest)}"
    seen = np.isfinite(np.median(small))
    return f"bottoms out: {', '.join(coarse)}{underflow if seen else ''}"


def _from_lag(lags: ArrayLike, longest: int) -> str:
    lag = float(np.median(np.asarray(lags)))
    return f"from lag {lag:.0f}" if math.isfinite(lag) else f"beyond lag {longest}"
