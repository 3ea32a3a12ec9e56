"""A run cut into pieces, of which only the carry between two is stored."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.types import Carry


def in_pieces(
    run: Callable, carry: Carry, xs: Any, time: int, every: int, reverse: bool
) -> tuple[Carry, Any]:
    """Runs whole pieces in an outer scan, and the last, shorter piece on its own.

    `run(carry, xs, length) -> (carry, ys)` runs so many steps; its inside is recomputed
    in the backward pass. A single piece would only be run twice.
    """
    if every == time:
        return run(carry, xs, every)
    piece = jax.checkpoint(lambda carry, xs: run(carry, xs, every), prevent_cse=False)
    whole, left = time - time % every, time % every

    def pieces(carry):
        cut = jax.tree.map(
            lambda leaf: leaf[:whole].reshape(-1, every, *leaf.shape[1:]), xs
        )
        carry, ys = jax.lax.scan(
            piece, carry, cut, length=whole // every, reverse=reverse
        )
        return carry, jax.tree.map(lambda y: y.reshape(whole, *y.shape[2:]), ys)

    if not left:
        return pieces(carry)
    rest = jax.tree.map(lambda leaf: leaf[whole:], xs)
    remainder = jax.checkpoint(
        lambda carry, xs: run(carry, xs, left), prevent_cse=False
    )
    if reverse:
        carry, last = remainder(carry, rest)
        carry, first = pieces(carry)
    else:
        carry, first = pieces(carry)
        carry, last = remainder(carry, rest)
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, last)
