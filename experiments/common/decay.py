"""The numbers that sum up a gradient's curve, degenerate curves included.

A gradient that is zero one step back has no slope to fit: it is lost at once, at -inf
nats per step. One that overflowed has no numbers at all: they are NaN, and `wording`
writes "overflow".
"""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

import lstm_jax as lj
from experiments.common import compiling


class Decay(NamedTuple):
    """The numbers of every curve, leaves (*batch,).

    Attributes:
      rate: nats per step, -inf where the gradient is lost at once.
      horizon: the lag at which a given fraction is left; inf if more always is.
      heard: by dtype, the lag from which a share is too small to change a sum.
    """

    rate: NDArray[Any]
    horizon: NDArray[Any]
    heard: dict[str, NDArray[Any]]


def decay_of(
    log_norms: ArrayLike, fraction: float, dtypes: tuple[str, ...] = ()
) -> Decay:
    """Returns the numbers of curves whose sequences all end at the last step.

    `log_norms` are (time, *batch) in time order, `fraction` is that of the horizon, and
    `dtypes` are those of `heard`.
    """
    logs = np.asarray(jnp.asarray(log_norms))
    overflows = ~(logs < np.inf).all(0)
    left = (logs > -np.inf).sum(0)

    def told(found: ArrayLike, where: NDArray[Any], value: int | float) -> NDArray[Any]:
        return np.where(overflows, np.nan, np.where(where, value, np.asarray(found)))

    rate, horizon, heard = _program(fraction, dtypes)(logs)
    return Decay(
        rate=told(rate, left < 2, -np.inf),
        horizon=told(horizon, left == 0, 0),
        heard={dtype: told(lag, left == 0, 0) for dtype, lag in heard.items()},
    )


@cache
def _program(fraction: float, dtypes: tuple[str, ...]) -> Any:
    """Returns the library's numbers of curves as one program, not one an operation."""

    def numbers(logs):
        heard = {dtype: lj.gradients.rounding_lag(logs, dtype) for dtype in dtypes}
        return lj.decay_rate(logs), lj.horizon(logs, fraction), heard

    return jax.jit(numbers, compiler_options=compiling.soon())


def by_lag(in_time_order: ArrayLike) -> NDArray[Any]:
    """Turns (..., time, example) into (..., example, lag); lag 0 is the last step."""
    return np.swapaxes(np.asarray(in_time_order)[..., ::-1, :], -1, -2)


def shares(log_norms: ArrayLike, of: ArrayLike | None = None) -> NDArray[Any]:
    """Returns ln(norm / norm entering the last step), (..., example, lag).

    -inf at every lag if that last norm is zero. Log-norms are (..., time, example), in
    time order; with `of`, the last norm is taken from those.
    """
    logs = by_lag(log_norms)
    whole = logs[..., :1] if of is None else by_lag(of)[..., :1]
    nothing = np.full_like(logs, -np.inf)
    return np.subtract(logs, whole, out=nothing, where=whole != -np.inf)


def overflow(log_norms: ArrayLike) -> str | None:
    """Returns, in words, the lag from which curves overflow, and how many do.

    None if none does. `log_norms` are (..., time, examples), in time order.
    """
    lost = ~(by_lag(log_norms) < np.inf)
    lost = lost.reshape(-1, lost.shape[-1])
    if not lost.any():
        return None
    first = int(lost.any(0).argmax())
    return f"from lag {first} on, in {lost.any(1).sum()} of {len(lost)} curves"
