"""What curves of the gradient come down to, where they are degenerate too.

A gradient of which nothing is left one step back has no slope that could be fitted: it
is lost at once, at -inf nats per step. One that overflowed has no number at all: all
that is said of it is NaN, and `words` writes it as an overflow.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

import lstm_jax as lj


class Decay(NamedTuple):
    """Of every curve, the leaves (*batch,).

    Attributes:
      rate: nats per step, -inf where the gradient is lost at once.
      horizon: the lag at which the asked fraction is left; inf: it is never so little.
      heard: by dtype, the lag from which a share is too small to change a sum.
    """

    rate: NDArray[Any]
    horizon: NDArray[Any]
    heard: dict[str, NDArray[Any]]


def decay_of(
    log_norms: ArrayLike, fraction: float, dtypes: tuple[str, ...] = ()
) -> Decay:
    """Returns the numbers of curves whose sequences all end at the last step.

    Args:
      log_norms: (time, *batch), in time order.
      fraction: of the horizon.
      dtypes: of which it is asked what they can hear.
    """
    logs = jnp.asarray(log_norms)
    overflows = ~np.asarray(logs < jnp.inf).all(0)
    left = np.asarray(logs > -jnp.inf).sum(0)

    def told(found: ArrayLike, where: NDArray[Any], value: int | float) -> NDArray[Any]:
        return np.where(overflows, np.nan, np.where(where, value, np.asarray(found)))

    return Decay(
        rate=told(lj.decay_rate(logs), left < 2, -np.inf),
        horizon=told(lj.horizon(logs, fraction), left == 0, 0),
        heard={
            d: told(lj.gradients.rounding_lag(logs, d), left == 0, 0) for d in dtypes
        },
    )


def by_lag(in_time_order: ArrayLike) -> NDArray[Any]:
    """Returns (..., example, lag) from (..., time, example); lag 0 is the last step."""
    return np.swapaxes(np.asarray(in_time_order)[..., ::-1, :], -1, -2)


def shares(log_norms: ArrayLike, of: ArrayLike | None = None) -> NDArray[Any]:
    """Returns ln(norm / norm entering the last step), (..., example, lag).

    -inf at every lag where that norm is zero: no step is left anything.

    Args:
      log_norms: (..., time, example), in time order.
      of: those whose norm entering the last step is the whole; the same by default.
    """
    logs = by_lag(log_norms)
    whole = logs[..., :1] if of is None else by_lag(of)[..., :1]
    nothing = np.full_like(logs, -np.inf)
    return np.subtract(logs, whole, out=nothing, where=whole != -np.inf)


def overflow(log_norms: ArrayLike) -> str | None:
    """Returns from which lag on, and in how many curves, no number is left.

    Args:
      log_norms: (..., time, examples), in time order.
    """
    lost = ~(by_lag(log_norms) < np.inf)
    lost = lost.reshape(-1, lost.shape[-1])
    if not lost.any():
        return None
    first = int(lost.any(0).argmax())
    return f"from lag {first} on, in {lost.any(1).sum()} of {len(lost)} curves"
