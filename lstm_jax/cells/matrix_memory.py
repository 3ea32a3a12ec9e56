"""What cells with a matrix for a memory share: S maps keys to values.

S is (*batch, values, keys). A step multiplies it from the right, S A, so that each row,
one channel of the values, is a vector that A turns. A is the same for all rows: its
arrays have an axis of one in the place of the values (`lstm_jax.cells.transitions`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import check_input
from lstm_jax.checks import check_whole
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, Params, PRNGKey, Shape


class MatrixCarry(NamedTuple):
    """A memory that maps keys to values."""

    s: Float[Array, "*batch hidden keys"]


class Projections(NamedTuple):
    """Weights that make queries, keys and values of an event."""

    w_q: Float[Array, "input keys"]
    w_k: Float[Array, "input keys"]
    w_v: Float[Array, "input hidden"]


class Parts(NamedTuple):
    """What an event asks for, and what it would have kept under which key."""

    q: Float[Array, "*batch keys"]
    k: Float[Array, "*batch keys"]
    v: Float[Array, "*batch hidden"]


def projections(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    key_size: int | None,
    input_init: Initializer,
    dtype: Any,
) -> Projections:
    """Returns initial weights of queries, keys and values, each drawn independently.

    `key_size` is the length of a key, at least 1; by default hidden_size.
    """
    width = hidden_size if key_size is None else key_size
    check_whole("key_size", width, 1)
    widths = (width, width, hidden_size)
    draws = zip(jax.random.split(key, 3), widths, strict=True)
    return Projections(*(input_init(k, (input_size, n), dtype) for k, n in draws))


def init_carry(params: Params, batch_shape: Shape = ()) -> MatrixCarry:
    """Returns the empty memory, S = 0, (*batch, hidden, keys)."""
    shape = (*batch_shape, params.w_v.shape[-1], params.w_k.shape[-1])
    return MatrixCarry(s=jnp.zeros(shape, params.w_v.dtype))


def parts_of(params: Params, x: Input) -> Parts:
    """Returns x W_q, x W_k and x W_v."""
    check_input(x, params.w_v.shape[0])
    return Parts(x @ params.w_q, x @ params.w_k, x @ params.w_v)


def unit(v: Array) -> Array:
    """Returns v / |v| along the last axis; of no direction, none."""
    squares = jnp.sum(v * v, axis=-1, keepdims=True)
    return v * jax.lax.rsqrt(jnp.where(squares > 0, squares, 1))


def written(v: Array, k: Array) -> MatrixCarry:
    """Returns v kᵀ."""
    return MatrixCarry(s=v[..., :, None] * k[..., None, :])


def read(carry: MatrixCarry, q: Array) -> Hidden:
    """Returns S q."""
    return jnp.sum(carry.s * q[..., None, :], axis=-1)
