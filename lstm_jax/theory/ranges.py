"""Arguments in float64, checked against the range where a formula holds."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from lstm_jax.checks import shown

Numbers: TypeAlias = ArrayLike | Sequence[int | float]
"""A number, numbers in a list, or an array, of NumPy or JAX."""

Float64s: TypeAlias = Float[Any, "..."]
"""float64, of the shape of the argument; a number gives a number."""


def within(
    name: str, value: Numbers, holds: Callable[[Float64s], Any], allowed: str
) -> Float64s:
    """Returns a value in float64.

    Raises:
      TypeError: it is neither a number nor an array of numbers.
      ValueError: some of it is not finite, or `holds` is False for it.
    """
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: got {shown(value)}; it must be {allowed}") from error
    refused = ~(np.isfinite(array) & holds(array))
    if refused.any():
        raise ValueError(f"{name}: got {array[refused][0]:g}; it must be {allowed}")
    return array


def finite(name: str, value: Numbers) -> Float64s:
    """Returns a finite value."""
    return within(name, value, np.isfinite, "finite")


def at_least(name: str, value: Numbers, least: int | float) -> Float64s:
    """Returns a value that is `least` or more."""
    return within(name, value, lambda v: v >= least, f"at least {least:g}")


def above(name: str, value: Numbers, limit: int | float) -> Float64s:
    """Returns a value greater than `limit`."""
    return within(name, value, lambda v: v > limit, f"above {limit:g}")


def inside(name: str, value: Numbers, low: int | float, high: int | float) -> Float64s:
    """Returns a value in the open interval (low, high)."""
    holds = lambda v: (low < v) & (v < high)
    return within(name, value, holds, f"between {low:g} and {high:g}, both excluded")
