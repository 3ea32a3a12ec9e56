"""From a curve of log-norms to the few numbers that people quote.

All of them read log-norms in time order, as `log_gradient_norms` returns them, and look
backwards from the last step. Rates are in nats per step of lag, negative = vanishing.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lstm_jax.types import LogNorms, Scalar


def decay_rate(log_norms: LogNorms) -> Float[Array, "*batch"]:
    """Returns the slope of the log-norm against the lag, in nats per step.

    Negative where the gradient vanishes and positive where it explodes: a gradient that
    is multiplied by ρ at every step backwards has rate ln ρ. Least squares along the
    time axis with -inf left out; NaN where fewer than two entries remain.
    """
    kept = log_norms != -jnp.inf
    count = jnp.sum(kept, axis=0).astype(log_norms.dtype)
    time = jnp.arange(log_norms.shape[0], dtype=log_norms.dtype)
    time = time.reshape(-1, *(1 for _ in log_norms.shape[1:]))

    def centred(values):
        mean = jnp.sum(jnp.where(kept, values, 0), axis=0) / count
        return jnp.where(kept, values - mean, 0)

    t, y = centred(time), centred(jnp.where(kept, log_norms, 0))

    def slope(y):
        return jnp.sum(t * y, axis=0) / jnp.sum(t**2, axis=0)

    # The second fit, to the residuals of the first, takes the rounding of long float32
    # sums out of the result.
    first = slope(y)
    return -(first + slope(y - first * t))


def half_life(rate: ArrayLike) -> Float[Array, "*batch"]:
    """Returns the steps in which half of the gradient is lost: ln 2 / -rate.

    inf where the rate is not negative, NaN where it is NaN.
    """
    rate = jnp.asarray(rate)
    lasting = rate >= 0
    return jnp.where(lasting, jnp.inf, jnp.log(2.0) / jnp.where(lasting, 1, -rate))


def log_shares(log_norms: LogNorms) -> LogNorms:
    """Returns ln(norm at t / norm entering the last step), 0 at the last step."""
    return log_norms - log_norms[-1]


def horizon(log_norms: LogNorms, fraction: Scalar) -> Float[Array, "*batch"]:
    """Returns the lag at which only `fraction` of the gradient is left.

    Counted in steps back from the last step, whose norm is the whole; between two steps
    the log-norm is taken as a straight line; inf where that little is never left, NaN
    where the curve holds a NaN.

    Args:
      log_norms: (time, *batch).
      fraction: in (0, 1).
    """
    left = log_shares(log_norms)[::-1]
    wanted = jnp.log(jnp.asarray(fraction, log_norms.dtype))
    below = left <= wanted
    after = jnp.argmax(below, axis=0)
    before = jnp.maximum(after - 1, 0)
    y0 = jnp.take_along_axis(left, before[None], axis=0)[0]
    y1 = jnp.take_along_axis(left, after[None], axis=0)[0]
    crossing = jnp.where(jnp.isfinite(y1), (y0 - wanted) / (y0 - y1), 1)
    lag = before.astype(left.dtype) + crossing
    reached = jnp.where(jnp.any(below, axis=0), lag, jnp.inf)
    return jnp.where(jnp.any(jnp.isnan(left), axis=0), jnp.nan, reached)
