"""The best parameters of a run by its loss on validation data, and when to give up."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.training.models import ModelParams, dtype_of
from lstm_jax.types import at_least_float32

NEVER = -1


class Best(NamedTuple):
    """What validation has found so far.

    Attributes:
      params: of the least loss; the first ones before any validation.
      loss: of these, infinite before any.
      step: updates after which they were found.
      waited: validations since then.
      ended_at: the update after which `patience` ran out; -1 if it did not.
    """

    params: ModelParams
    loss: Float[Array, ""]
    step: Int[Array, ""]
    waited: Int[Array, ""]
    ended_at: Int[Array, ""]


def begin(params: ModelParams) -> Best:
    """Returns what is known of new parameters: nothing."""
    zero = jnp.zeros((), jnp.int32)
    worst = jnp.full((), jnp.inf, at_least_float32(dtype_of(params)))
    return Best(params, worst, zero, zero, zero + NEVER)


def judged(
    best: Best,
    params: ModelParams,
    loss: Float[Array, ""],
    step: Int[Array, ""],
    going: Bool[Array, ""],
    patience: int | None,
) -> Best:
    """Returns what is known after a validation; only a run that is `going` can end.

    A loss that is equal, or not a number, is no better.
    """
    better = loss < best.loss
    waited = jnp.where(better, 0, best.waited + going.astype(jnp.int32))
    over = going & (waited >= patience) if patience is not None else False
    return Best(
        params=jax.tree.map(lambda *two: jnp.where(better, *two), params, best.params),
        loss=jnp.where(better, loss.astype(best.loss.dtype), best.loss),
        step=jnp.where(better, step, best.step),
        waited=waited,
        ended_at=jnp.where(over, step, best.ended_at),
    )
