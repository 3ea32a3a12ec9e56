"""Inputs with randomness: what stochastic wrappers read."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from lstm_jax.types import PRNGKey

SPANS = ("step", "sequence")


class Keyed(NamedTuple):
    """An input and a key: x (*batch, input) and one key.

    As a sequence: x (time, *batch, input) and key (time,).
    """

    x: Any
    key: Any


def with_keys(key: PRNGKey, xs: ArrayLike, per: str = "step") -> Keyed:
    """Returns `xs` with the randomness that a stochastic wrapper reads.

    Args:
      key: a typed key.
      xs: (time, *batch, input).
      per: "step", a key of its own for every step (zoneout); or "sequence", the same
        key at every step, so that one mask holds from the first to the last
        (variational dropout).

    Raises:
      ValueError: `per` is neither.
    """
    if per not in SPANS:
        raise ValueError(f"per: got {per!r}; allowed: {', '.join(SPANS)}")
    time = jnp.shape(xs)[0]
    if per == "step":
        return Keyed(xs, jax.random.split(key, time))
    return Keyed(xs, jnp.broadcast_to(key, (time,)))


def check_keyed(x: Any, cell: str) -> None:
    """Refuses an input without a key."""
    if not isinstance(x, Keyed):
        raise TypeError(
            f"xs: {cell!r} draws random numbers and reads Keyed(x, key); "
            "make it by with_keys(key, xs)"
        )


def check_rate(name: str, rate: int | float) -> None:
    """Refuses what is no probability, and 1, which leaves nothing."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name}: got {rate}; it must be in [0, 1)")
