"""Gated linear attention: a matrix to which values are added, and whose keys fade."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init
from lstm_jax.cells.matrix_memory import (
    MatrixCarry,
    init_carry,
    parts_of,
    projections,
    read,
    written,
)
from lstm_jax.cells.transitions import Diagonal, advanced
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, any_rank

TEMPERATURE = 16  # τ of the authors


class GatedLinearAttentionParams(NamedTuple):
    """Weights of a gated linear attention: of queries, keys, values and fading."""

    w_q: Float[Array, "input keys"]
    w_k: Float[Array, "input keys"]
    w_v: Float[Array, "input hidden"]
    w_alpha: Float[Array, "input keys"]
    b_alpha: Float[Array, " keys"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    key_size: int | None = None,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> GatedLinearAttentionParams:
    """Returns initial weights, with b_α = 0, so that α is near 2^(-1/16) = .96.

    `key_size` is the length of a key, at least 1; by default hidden_size, which is that
    of a value and of y. Other arguments and errors as for `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    key, key_alpha = jax.random.split(key)
    widths = (input_size, hidden_size, key_size)
    weights = projections(key, *widths, input_init, dtype)
    shape = weights.w_k.shape
    return GatedLinearAttentionParams(
        *weights,
        w_alpha=input_init(key_alpha, shape, dtype),
        b_alpha=jnp.zeros(shape[1:], dtype),
    )


@any_rank
def transition(
    params: GatedLinearAttentionParams, x: Input
) -> tuple[Diagonal, MatrixCarry]:
    """Returns A = diag(α), the same for every row, and u = v kᵀ."""
    _, k, v = parts_of(params, x)
    logits = x @ params.w_alpha + params.b_alpha
    alpha = jnp.exp(jax.nn.log_sigmoid(logits) / TEMPERATURE)
    return Diagonal(MatrixCarry(s=alpha[..., None, :])), written(v, k)


@any_rank
def step(
    params: GatedLinearAttentionParams, carry: MatrixCarry, x: Input
) -> tuple[MatrixCarry, Hidden]:
    """One step of gated linear attention.

        q = x W_q        k = x W_k        v = x W_v
        α = σ(x W_α + b_α)^(1/16)
        S_t = S_{t-1} diag(α) + v kᵀ
        y_t = S_t q

    Shapes: x (*batch, input), S (*batch, hidden, keys), q, k and α (*batch, keys), v
    and y (*batch, hidden), W_q, W_k and W_α (input, keys), W_v (input, hidden), b_α
    (keys,).

    A value is added to what its key had before, which is not replaced but fades, each
    number of the key at its own rate. The root keeps α near 1 for all but strong gates.

    The authors' layer makes α by a matrix of low rank, has several heads, scales q by
    1/sqrt(keys), and normalises and gates y; here all of these are left out.

    In the words of the four gates, with one memory S:

        learn     v kᵀ
        forget    S_{t-1} diag(α)
        remember  S_t, the sum of the two
        use       q, which chooses what of the memory is shown

    References:
      Yang et al. (2023), https://arxiv.org/abs/2312.06635
    """
    carry = advanced(*transition(params, x), carry)
    return carry, read(carry, parts_of(params, x).q)


GATED_LINEAR_ATTENTION = Cell(
    name="gated_linear_attention",
    init=init,
    init_carry=init_carry,
    step=step,
    memory="s",
    family="linear",
    transition=transition,
)
