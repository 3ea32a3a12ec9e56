"""Memory cells in blocks that share their gates, as in the LSTMs of 1997 and 2000."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.initializers import Initializer
from lstm_jax.types import PRNGKey


def num_blocks(block_size: int, hidden_size: int) -> int:
    """Returns the number of blocks; refuses sizes that do not fit."""
    if hidden_size % block_size:
        raise ValueError(
            f"hidden_size: got {hidden_size}; it must be a multiple of "
            f"block_size={block_size}"
        )
    return hidden_size // block_size


def draw_units(
    initializer: Initializer,
    key: PRNGKey,
    rows: int,
    widths: tuple[int, ...],
    dtype: Any,
) -> Float[Array, "rows units"]:
    """Returns the weights of groups of units, each group drawn independently."""
    keys = jax.random.split(key, len(widths))
    shapes = [(rows, width) for width in widths]
    drawn = [initializer(*one, dtype) for one in zip(keys, shapes, strict=True)]
    return jnp.concatenate(drawn, axis=-1)
