"""DeltaNet: a matrix that keeps values under keys, and replaces what a key had."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init
from lstm_jax.cells.delta_product import largest_of
from lstm_jax.cells.matrix_memory import (
    MatrixCarry,
    init_carry,
    parts_of,
    projections,
    read,
    unit,
    written,
)
from lstm_jax.cells.transitions import Reflections, advanced
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, any_rank


class DeltaNetParams(NamedTuple):
    """Weights of a DeltaNet: of queries, keys, values and of how much is replaced."""

    w_q: Float[Array, "input keys"]
    w_k: Float[Array, "input keys"]
    w_v: Float[Array, "input hidden"]
    w_beta: Float[Array, "input 1"]
    b_beta: Float[Array, " 1"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    key_size: int | None = None,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> DeltaNetParams:
    """Returns initial weights, with b_β = 0, half the range.

    `key_size` is the length of a key, at least 1; by default hidden_size, which is that
    of a value and of y. Other arguments and errors as for `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    key, key_beta = jax.random.split(key)
    widths = (input_size, hidden_size, key_size)
    weights = projections(key, *widths, input_init, dtype)
    return DeltaNetParams(
        *weights,
        w_beta=input_init(key_beta, (input_size, 1), dtype),
        b_beta=jnp.zeros((1,), dtype),
    )


@any_rank
def delta_rule(largest: int, params: Any, x: Input) -> tuple[Reflections, MatrixCarry]:
    """Returns A = I - β k kᵀ, the same for every row, and u = β v kᵀ."""
    _, k, v = parts_of(params, x)
    k = unit(k)
    beta = largest * jax.nn.sigmoid(x @ params.w_beta + params.b_beta)
    rows = Reflections(beta[..., None, :], k[..., None, None, :])
    return rows, written(beta * v, k)


@factory
def _delta_net(largest: int) -> Cell:
    def transition(params: DeltaNetParams, x: Input) -> tuple[Any, MatrixCarry]:
        return delta_rule(largest, params, x)

    def step(
        params: DeltaNetParams, carry: MatrixCarry, x: Input
    ) -> tuple[MatrixCarry, Hidden]:
        carry = advanced(*delta_rule(largest, params, x), carry)
        return carry, read(carry, unit(parts_of(params, x).q))

    return Cell(
        name="delta_net" + ("" if largest == 1 else f"_beta_{largest}"),
        init=init,
        init_carry=init_carry,
        step=step,
        family="linear",
        transition=transition,
    )


def delta_net(beta_range: tuple[int, int] = (0, 1)) -> Cell:
    """Returns the cell of the delta rule.

        q = x W_q / |x W_q|        k = x W_k / |x W_k|        v = x W_v
        β = max σ(x W_β + b_β)
        S_t = S_{t-1} (I - β k kᵀ) + β v kᵀ = S_{t-1} + β (v - S_{t-1} k) kᵀ
        y_t = S_t q

    Shapes: x (*batch, input), S (*batch, hidden, keys), q and k (*batch, keys), v and y
    (*batch, hidden), β (*batch, 1), W_q and W_k (input, keys), W_v (input, hidden), W_β
    (input, 1), b_β (1,).

    β = 1 puts v in the place of what k had, and leaves what stands under orthogonal
    keys: as many pairs are kept exactly as a key has numbers. β = 2 reflects; with β
    below 1 no eigenvalue is negative. The determinant of a step is 1 - β. The rule is
    one step of gradient descent on |v - S k|² / 2, with the rate β.

    The authors' layer sees x through convolutions and the SiLU, has several heads, and
    normalises y; here all of these are left out.

    It has none of the four gates.

    Args:
      beta_range: (0, 1) or (0, 2).

    Raises:
      ValueError: the range is not allowed.

    Example:
      >>> lj.cells.delta_net(), lj.cells.delta_net((0, 2))
      (<Cell 'delta_net'>, <Cell 'delta_net_beta_2'>)

    References:
      Schlag, Irie & Schmidhuber (2021), https://arxiv.org/abs/2102.11174
      Yang et al. (2024), https://arxiv.org/abs/2406.06484
      Grazzi et al. (2024), https://arxiv.org/abs/2411.12537, for β up to 2
    """
    return _delta_net(largest_of(beta_range))


DELTA_NET = delta_net()
