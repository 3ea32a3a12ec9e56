"""Readouts: from the output of a cell to the answer a task asks for."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Inexact

from lstm_jax import initializers
from lstm_jax.checks import check_flag, check_function, check_whole
from lstm_jax.initializers import Initializer
from lstm_jax.types import Outputs, PRNGKey, any_rank


class LinearParams(NamedTuple):
    """Weights of a linear readout; b is None of one that was made without biases."""

    w: Float[Array, "features output"]
    b: Float[Array, " output"]


def init_linear(
    key: PRNGKey,
    num_features: int,
    output_size: int,
    *,
    init: Initializer = initializers.glorot,
    biased: bool = True,
    dtype: Any = jnp.float32,
) -> LinearParams:
    """Returns initial weights; the biases are zero, or None unless `biased`."""
    check_whole("num_features", num_features, 1)
    check_whole("output_size", output_size, 1)
    check_function("init", init, "(key, shape, dtype) -> array")
    check_flag("biased", biased)
    w = init(key, (num_features, output_size), dtype)
    # The type is that of all readouts but those of a few nets of 1997.
    b: Any = jnp.zeros((output_size,), dtype) if biased else None
    return LinearParams(w=w, b=b)


@any_rank
def linear(
    params: LinearParams, features: Float[Array, "*any features"]
) -> Float[Array, "*any output"]:
    """Returns features W + b."""
    products = features @ params.w
    return products if params.b is None else products + params.b


def last_step(ys: Outputs, lengths: ArrayLike) -> Inexact[Array, "*batch output"]:
    """Returns ys[lengths - 1]: the output of each sequence at its last step.

    Zeros where a length is 0 and there was no step.

    Args:
      ys: (time, *batch, output).
      lengths: (*batch,) integers, as for `unroll`; those above time count as time.

    Raises:
      TypeError: lengths are not integers.
      ValueError: there is not one length per sequence.

    Example:
      >>> ys = jnp.arange(6.0).reshape(3, 2, 1)
      >>> lj.last_step(ys, jnp.array([3, 1])).ravel()
      Array([4., 1.], dtype=float32)
    """
    lengths = jnp.asarray(lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(f"lengths: dtype is {lengths.dtype}; it must be integer")
    if lengths.shape != ys.shape[1:-1]:
        raise ValueError(
            f"lengths: shape is {lengths.shape}; it must be {ys.shape[1:-1]}, the "
            "batch axes of ys"
        )
    index = jnp.clip(lengths - 1, 0, len(ys) - 1)[None, ..., None]
    last = jnp.take_along_axis(ys, index, axis=0)[0]
    return jnp.where(lengths[..., None] > 0, last, 0)
