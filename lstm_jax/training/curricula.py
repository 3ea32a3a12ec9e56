"""Curricula: the length of the sequences at each update."""

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Int

from lstm_jax.checks import check_whole

Curriculum: TypeAlias = Callable[[Int[Array, ""]], Int[Array, ""]]
"""`step -> length`: the updates done so far, traced, to the steps that count."""

Length: TypeAlias = int | Int[Array, ""] | Curriculum
"""Steps of a sequence: a number, which may be traced where `max_length` is given, or a
curriculum."""


def growing_length(first: int, last: int, num_steps: int) -> Curriculum:
    """Returns the curriculum that grows linearly from `first` to `last` and stays.

        length(step) = first + floor((last - first) step / num_steps)

    Args:
      first: length of the first update.
      last: length from update `num_steps` on.
      num_steps: updates over which it grows; (last - first) num_steps < 2^31.

    Raises:
      ValueError: a length or `num_steps` is below 1, or the product is too large.

    Example:
      >>> length = lj.training.growing_length(first=5, last=50, num_steps=100)
      >>> [int(length(jnp.array(step))) for step in (0, 50, 100)]
      [5, 27, 50]

    References:
      Bengio, Louradour, Collobert & Weston (2009), Curriculum learning,
      https://doi.org/10.1145/1553374.1553380
    """
    for name, value in {"first": first, "last": last, "num_steps": num_steps}.items():
        check_whole(name, value, 1)
    growth = last - first
    if abs(growth) * num_steps >= 2**31:
        raise ValueError(
            f"num_steps: got {num_steps}; it must be below {2**31 // abs(growth)}, "
            f"where the length goes from {first} to {last}"
        )

    def length(step: Int[Array, ""]) -> Int[Array, ""]:
        step = jnp.minimum(jnp.asarray(step, jnp.int32), num_steps)
        return first + growth * step // num_steps

    return length
