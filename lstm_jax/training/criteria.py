"""When training stops early: it has diverged, or the task is solved."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.types import Params, at_least_float32

EXPLODED = 1e12
"""The largest loss that still counts as training; guessing costs about 1. Cross-entropy
grows linearly with the weights and stays finite even where these are 1e30."""


def has_diverged(
    loss: Float[Array, ""], gradient_norm: Float[Array, ""]
) -> Bool[Array, ""]:
    """Whether the loss is above `EXPLODED`, or loss or gradient norm is not finite."""
    return ~(jnp.abs(loss) <= EXPLODED) | ~jnp.isfinite(gradient_norm)


def global_norm(gradients: Params) -> Float[Array, ""]:
    """Returns the Euclidean norm of all leaves together, in float32 or more."""
    leaves = jax.tree.leaves(gradients)
    dtype = at_least_float32(jnp.result_type(*leaves))
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf.astype(dtype))) for leaf in leaves))


def right_in_a_row(
    before: Int[Array, ""], right: Bool[Array, " batch"]
) -> Int[Array, " batch"]:
    """Returns how many sequences in a row were right, up to each one of the batch.

    `before` is the number in a row just before the batch.
    """
    position = jnp.arange(1, right.shape[0] + 1, dtype=before.dtype)
    last_wrong = jax.lax.cummax(jnp.where(right, 0, position))
    return position - last_wrong + jnp.where(last_wrong == 0, before, 0)
