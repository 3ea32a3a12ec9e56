"""From a curve of log-norms to the few numbers that people quote.

All of them read log-norms in time order, as `log_gradient_norms` returns them, and look
back from the last step, or from the last entry that is not -inf if a sequence ends
earlier. Rates are in nats per step of lag, negative = vanishing. For a run in reverse
pass `log_norms[::-1]`: its last step is step 0.

NaN at the start of a curve, before its sequence began (`by_lag`), is left out; any
later NaN, or a curve of nothing but NaN, is unknown.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from lstm_jax.checks import as_array, check_floating, check_number
from lstm_jax.gradients.alignment import before_beginning, check_curve
from lstm_jax.types import LogNorms, Scalar


class DecayFit(NamedTuple):
    """A straight line through a curve of log-norms.

    Attributes:
      rate: its slope against the lag, in nats per step, negative = vanishing.
      stderr: the slope's standard error if residuals were independent, which within a
        curve they seldom are: a lower bound. NaN if fewer than three entries remain.
      window: (first, last) step of the entries used.
    """

    rate: Float[Array, "*batch"]
    stderr: Float[Array, "*batch"]
    window: tuple[Int[Array, "*batch"], Int[Array, "*batch"]]


def decay_rate(log_norms: LogNorms) -> Float[Array, "*batch"]:
    """Returns the slope of the log-norm against the lag, in nats per step.

    Negative if the gradient vanishes and positive if it explodes: a gradient multiplied
    by ρ at every step backwards has rate ln ρ. Least squares along the time axis with
    -inf left out; NaN if fewer than two entries remain.

    Example:
      >>> lj.decay_rate(jnp.array([-1.5, -1.0, -0.5, 0.0])).round(3)
      Array(-0.5, dtype=float32)
    """
    return fit_decay(log_norms).rate


def fit_decay(log_norms: LogNorms, window: tuple[int, int] | None = None) -> DecayFit:
    """Returns the least-squares line, its error, and the entries it was fitted to.

        rate = -Σ (t - t̄)(y - ȳ) / Σ (t - t̄)²
        stderr² = Σ residual² / (n - 2) / Σ (t - t̄)²

    over the n entries of the window that are not -inf and not before the beginning.

    Args:
      log_norms: (time, *batch).
      window: (start, stop), the steps start .. stop - 1; all of them by default.

    Raises:
      ValueError: the window is not at least two steps of the sequence.

    Example:
      >>> fit = lj.fit_decay(jnp.array([-1.5, -1.0, -0.5, 0.0]))
      >>> fit.rate.round(3), fit.window
      (Array(-0.5, dtype=float32), (Array(0, dtype=int32), Array(3, dtype=int32)))
    """
    check_curve("log_norms", log_norms)
    start, stop = (0, log_norms.shape[0]) if window is None else window
    whole = window is None
    if not whole and not (0 <= start and start + 2 <= stop <= log_norms.shape[0]):
        raise ValueError(
            f"window: got {(start, stop)}; it must be (start, stop) with two steps or "
            f"more of the {log_norms.shape[0]}"
        )
    return _fitted(log_norms, start, stop)


@partial(jax.jit, static_argnums=(1, 2))
def _fitted(log_norms: LogNorms, start: int, stop: int) -> DecayFit:
    values = log_norms[start:stop]
    kept = (values != -jnp.inf) & ~before_beginning(log_norms)[start:stop]
    count = jnp.sum(kept, axis=0).astype(values.dtype)
    steps = jnp.arange(start, stop).reshape(-1, *(1 for _ in values.shape[1:]))

    def centred(values):
        mean = jnp.sum(jnp.where(kept, values, 0), axis=0) / count
        return jnp.where(kept, values - mean[None], 0)

    t = centred(jnp.broadcast_to(steps, kept.shape).astype(values.dtype))
    y = centred(jnp.where(kept, values, 0))
    spread = jnp.sum(t**2, axis=0)

    def slope(y):
        return jnp.sum(t * y, axis=0) / spread

    # A second fit, to the residuals of the first, removes the rounding errors of long
    # float32 sums.
    first = slope(y)
    rate = first + slope(y - first[None] * t)
    squares = jnp.sum((y - rate[None] * t) ** 2, axis=0)
    used = jnp.where(kept, steps, start), jnp.where(kept, steps, stop - 1)
    return DecayFit(
        rate=-rate,
        stderr=jnp.sqrt(squares / (count - 2) / spread),
        window=(used[1].min(axis=0), used[0].max(axis=0)),
    )


def half_life(rate: ArrayLike) -> Float[Array, "*batch"]:
    """Returns the number of steps that lose half of the gradient: ln 2 / -rate.

    inf where the rate is not negative, NaN where it is NaN.

    Example:
      >>> round(float(lj.half_life(-0.25)), 3)
      2.773
    """
    rate = as_array("rate", rate, "a number, or an array of them")
    lasting = rate >= 0
    return jnp.where(lasting, jnp.inf, jnp.log(2.0) / jnp.where(lasting, 1, -rate))


def log_shares(log_norms: LogNorms) -> LogNorms:
    """Returns ln(norm at t / norm entering the last step), 0 at the last step.

    NaN where a sequence has only -inf.

    Example:
      >>> lj.log_shares(jnp.array([-3.0, -2.0, -1.0]))
      Array([-2., -1.,  0.], dtype=float32)
    """
    check_curve("log_norms", log_norms)
    return log_norms - _at_last(log_norms)


def horizon(log_norms: LogNorms, fraction: Scalar) -> Float[Array, "*batch"]:
    """Returns the lag at which only `fraction` of the gradient is left.

    Counted in steps back from the last step, whose norm is the whole; between steps the
    log-norm is interpolated linearly; inf if it never falls that low, NaN if the curve
    holds a NaN after its beginning.

    Args:
      log_norms: (time, *batch).
      fraction: in (0, 1).

    Raises:
      ValueError: the fraction is a number outside (0, 1).

    Example:
      >>> round(float(lj.horizon(jnp.array([-3.0, -2.0, -1.0, 0.0]), fraction=0.1)), 3)
      2.303
    """
    check_number("fraction", fraction, "(0, 1)")
    return _lag_at(log_shares(log_norms), jnp.log(jnp.asarray(fraction)))


def rounding_lag(log_norms: LogNorms, dtype: Any) -> Float[Array, "*batch"]:
    """Returns the lag from which a share is too small to change a sum of that dtype.

    There it is half a unit in the last place of 1 (3.9e-3 in bfloat16, 4.9e-4 in
    float16, 6.0e-8 in float32), so that it is rounded away when added to what the last
    step sends. inf if the curve never falls that low.

    Example:
      >>> curve = -0.5 * jnp.arange(100.0)[::-1]  # half a nat is lost at every step
      >>> lj.gradients.rounding_lag(curve, jnp.float32).round(1)
      Array(33.3, dtype=float32)
    """
    check_floating("dtype", dtype)
    return horizon(log_norms, float(jnp.finfo(dtype).eps) / 2)


def underflow_lag(log_norms: LogNorms, dtype: Any) -> Float[Array, "*batch"]:
    """Returns the lag from which the norm is below the dtype's smallest normal number.

    1.2e-38 in float32 and bfloat16, 6.1e-5 in float16. inf if it never is.

    Example:
      >>> curve = -0.5 * jnp.arange(300.0)[::-1]  # half a nat is lost at every step
      >>> lj.gradients.underflow_lag(curve, jnp.float32).round(1)
      Array(174.7, dtype=float32)
    """
    check_curve("log_norms", log_norms)
    check_floating("dtype", dtype)
    return _lag_at(log_norms, jnp.asarray(np.log(float(jnp.finfo(dtype).tiny))))


def _steps_after_last(logs: LogNorms) -> Int[Array, "*batch"]:
    """Returns how many entries, all of them -inf, follow each sequence's last step."""
    kept = (logs != -jnp.inf)[::-1]
    return jnp.where(jnp.any(kept, axis=0), jnp.argmax(kept, axis=0), 0)


@jax.jit
def _at_last(logs: LogNorms) -> Float[Array, "*batch"]:
    last = logs.shape[0] - 1 - _steps_after_last(logs)
    value = jnp.take_along_axis(logs, last[None], axis=0)[0]
    return jnp.where(value == -jnp.inf, jnp.nan, value)


@jax.jit
def _lag_at(logs: LogNorms, wanted: Array) -> Float[Array, "*batch"]:
    """Returns the lag at which the curve first falls to `wanted`."""
    left, wanted = logs[::-1], wanted.astype(logs.dtype)
    skipped = _steps_after_last(logs)
    steps_back = jnp.arange(left.shape[0]).reshape(-1, *(1 for _ in left.shape[1:]))
    below = (left <= wanted) & (steps_back >= skipped)
    after = jnp.argmax(below, axis=0)
    before = jnp.maximum(after - 1, skipped)
    y0 = jnp.take_along_axis(left, before[None], axis=0)[0]
    y1 = jnp.take_along_axis(left, after[None], axis=0)[0]
    falls = jnp.isfinite(y1) & (y0 > y1)
    crossing = jnp.where(falls, (y0 - wanted) / jnp.where(falls, y0 - y1, 1), 1)
    lag = (before - skipped).astype(left.dtype) + crossing
    lag = jnp.where(after == skipped, 0, lag)
    reached = jnp.where(jnp.any(below, axis=0), lag, jnp.inf)
    unknown = jnp.isnan(logs) & ~before_beginning(logs)
    return jnp.where(jnp.any(unknown, axis=0), jnp.nan, reached)
