"""Memory cells in blocks that share their gates, as in the LSTMs of 1997 and 2000."""

from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import check_sizes
from lstm_jax.initializers import Initializer
from lstm_jax.types import PRNGKey


# The type is part of what it checks: to a cache 2.0 and 2, True and 1 are the same.
def check_block_size(block_size: Any) -> None:
    """Refuses blocks without a cell, and numbers of cells that nobody can count."""
    whole = isinstance(block_size, Integral) and not isinstance(block_size, bool)
    if not whole or block_size < 1:
        raise ValueError(
            f"block_size: got {block_size!r}; it must be a whole number, at least 1"
        )


def num_blocks(block_size: int, input_size: int, hidden_size: int) -> int:
    """Returns how many blocks so many cells make; refuses sizes that do not fit."""
    check_sizes(input_size, hidden_size)
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
    """Returns the weights of groups of units, each group drawn on its own."""
    keys = jax.random.split(key, len(widths))
    shapes = [(rows, width) for width in widths]
    drawn = [initializer(*one, dtype) for one in zip(keys, shapes, strict=True)]
    return jnp.concatenate(drawn, axis=-1)
