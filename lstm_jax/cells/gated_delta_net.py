"""Gated DeltaNet: the delta rule in a matrix that fades as a whole."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init
from lstm_jax.cells.delta_net import delta_rule
from lstm_jax.cells.delta_product import largest_of
from lstm_jax.cells.matrix_memory import (
    MatrixCarry,
    init_carry,
    parts_of,
    projections,
    read,
    unit,
)
from lstm_jax.cells.selective_ssm import time_step_biases
from lstm_jax.cells.transitions import Reflections, advanced
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, any_rank


class GatedDeltaNetParams(NamedTuple):
    """Weights of a Gated DeltaNet: those of a DeltaNet, and of what fades."""

    w_q: Float[Array, "input keys"]
    w_k: Float[Array, "input keys"]
    w_v: Float[Array, "input hidden"]
    w_beta: Float[Array, "input 1"]
    b_beta: Float[Array, " 1"]
    w_alpha: Float[Array, "input 1"]
    b_alpha: Float[Array, " 1"]
    a_log: Float[Array, " 1"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    key_size: int | None = None,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> GatedDeltaNetParams:
    """Returns initial weights, as the authors start them.

        softplus(b_α) log-uniform in [0.001, 0.1]
        exp(a_log) ~ U(0, 16)            b_β = 0, half the range

    `key_size` is the length of a key, at least 1; by default hidden_size, which is that
    of a value and of y. Other arguments and errors as for `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    key, key_beta, key_alpha, key_bias, key_rate = jax.random.split(key, 5)
    widths = (input_size, hidden_size, key_size)
    weights = projections(key, *widths, input_init, dtype)
    # Not 0, whose logarithm is not finite.
    rate = jax.random.uniform(key_rate, (1,), dtype, 1e-6, 16)
    return GatedDeltaNetParams(
        *weights,
        w_beta=input_init(key_beta, (input_size, 1), dtype),
        b_beta=jnp.zeros((1,), dtype),
        w_alpha=input_init(key_alpha, (input_size, 1), dtype),
        b_alpha=time_step_biases(key_bias, 1, dtype),
        a_log=jnp.log(rate),
    )


@any_rank
def _transition(
    largest: int, params: GatedDeltaNetParams, x: Input
) -> tuple[Reflections, MatrixCarry]:
    rows, u = delta_rule(largest, params, x)
    delta = jax.nn.softplus(x @ params.w_alpha + params.b_alpha)
    return rows._replace(scale=jnp.exp(-delta * jnp.exp(params.a_log))), u


@factory
def _gated_delta_net(largest: int) -> Cell:
    def transition(params: GatedDeltaNetParams, x: Input) -> tuple[Any, MatrixCarry]:
        return _transition(largest, params, x)

    def step(
        params: GatedDeltaNetParams, carry: MatrixCarry, x: Input
    ) -> tuple[MatrixCarry, Hidden]:
        carry = advanced(*_transition(largest, params, x), carry)
        return carry, read(carry, unit(parts_of(params, x).q))

    return Cell(
        name="gated_delta_net" + ("" if largest == 1 else f"_beta_{largest}"),
        init=init,
        init_carry=init_carry,
        step=step,
        family="linear",
        transition=transition,
    )


def gated_delta_net(beta_range: tuple[int, int] = (0, 1)) -> Cell:
    """Returns the cell of the delta rule in a memory that fades.

        q, k, v and β as in `lj.cells.delta_net`
        α = exp(-exp(a_log) softplus(x W_α + b_α))
        S_t = α S_{t-1} (I - β k kᵀ) + β v kᵀ
        y_t = S_t q

    Shapes: as there, and α (*batch, 1), W_α (input, 1), b_α and a_log (1,).

    α, one number for the whole memory, clears it at once where β takes out what stands
    under one key. With α = 1 it is the DeltaNet; the determinant of a step is, with n
    numbers a key, α^n (1 - β).

    The authors' layer has several heads, each with an a_log and a b_α of its own, so
    that some fade slowly; here there is one, drawn like one of theirs. What else they
    have is left out as in `lj.cells.delta_net`.

    It has none of the four gates.

    Args:
      beta_range: (0, 1) or (0, 2).

    Raises:
      ValueError: the range is not allowed.

    Example:
      >>> lj.cells.gated_delta_net(), lj.cells.gated_delta_net((0, 2))
      (<Cell 'gated_delta_net'>, <Cell 'gated_delta_net_beta_2'>)

    References:
      Yang, Kautz & Hatamizadeh (2024), https://arxiv.org/abs/2412.06464
    """
    return _gated_delta_net(largest_of(beta_range))


GATED_DELTA_NET = gated_delta_net()
