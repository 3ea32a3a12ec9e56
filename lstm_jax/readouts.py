"""Readouts: from what a cell shows to what a task asks."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.initializers import Initializer
from lstm_jax.types import Lengths, Outputs, PRNGKey


class LinearParams(NamedTuple):
    """Weights of a linear readout."""

    w: Float[Array, "features output"]
    b: Float[Array, " output"]


def init_linear(
    key: PRNGKey,
    num_features: int,
    output_size: int,
    *,
    init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> LinearParams:
    """Returns initial weights; the biases are zero."""
    w = init(key, (num_features, output_size), dtype)
    return LinearParams(w=w, b=jnp.zeros((output_size,), dtype))


def linear(
    params: LinearParams, features: Float[Array, "*any features"]
) -> Float[Array, "*any output"]:
    """Returns features W + b."""
    return features @ params.w + params.b


def last_step(ys: Outputs, lengths: Lengths) -> Float[Array, "*batch output"]:
    """Returns ys[lengths - 1]: what each sequence showed at its last step.

    Where a length is 0 there was no step, and zeros are returned.
    """
    index = jnp.maximum(lengths - 1, 0)[None, ..., None]
    last = jnp.take_along_axis(ys, index, axis=0)[0]
    return jnp.where(lengths[..., None] > 0, last, 0)
