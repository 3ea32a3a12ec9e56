"""minGRU: a gate and a candidate that see the event alone, so that time is a scan."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.gru import GRUCarry
from lstm_jax.cells.transitions import Diagonal, advanced
from lstm_jax.checks import check_flag
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Shape, any_rank


class MinGRUParams(NamedTuple):
    """Weights of a minGRU, gate z and candidate n side by side."""

    w_ih: Float[Array, "input gates"]
    b: Float[Array, " gates"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: PerUnit = 1.0,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> MinGRUParams:
    """Returns initial weights, gate and candidate drawn independently.

    `forget_bias` is the bias of 1 - z, which keeps, so that z has its negative and
    σ(forget_bias) of the memory is kept where x says nothing. Other arguments and
    errors as for `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    keeping = biases(hidden_size, dtype, forget_bias=forget_bias)
    shape = (input_size, hidden_size)
    return MinGRUParams(
        w_ih=initializers.per_gate(input_init, key, shape, 2, dtype),
        b=jnp.concatenate([-keeping, jnp.zeros_like(keeping)]),
    )


def init_carry(params: MinGRUParams, batch_shape: Shape = ()) -> GRUCarry:
    """Returns the empty memory, h = 0."""
    hidden_size = params.b.shape[0] // 2
    return GRUCarry(h=jnp.zeros((*batch_shape, hidden_size), params.b.dtype))


def positive(v: Array) -> Array:
    """Returns g(v) = v + 1/2 for v >= 0 and σ(v) for v < 0, which is positive."""
    return jnp.where(v >= 0, v + 0.5, jax.nn.sigmoid(v))


@any_rank
def transition(
    params: MinGRUParams, x: Input, log_space: bool = False
) -> tuple[Diagonal, GRUCarry]:
    """Returns A = diag(1 - z) and u = z * n."""
    check_input(x, params.w_ih.shape[0])
    z, n = jnp.split(x @ params.w_ih + params.b, 2, axis=-1)
    z, n = jax.nn.sigmoid(z), positive(n) if log_space else n
    return Diagonal(GRUCarry(h=1 - z)), GRUCarry(h=z * n)


@any_rank
def step(
    params: MinGRUParams, carry: GRUCarry, x: Input, log_space: bool = False
) -> tuple[GRUCarry, Hidden]:
    """One step of the minGRU.

        z = σ(x W_z + b_z)          n = x W_n + b_n
        h_t = (1 - z) * h_{t-1} + z * n               y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, 2*hidden) with halves z
    and n, b (2*hidden,).

    Neither z nor n reads the memory: the step is linear in it, and its factors are in
    (0, 1), which can fade but not count.

    In the words of the four gates, with one memory h:

        learn     z * n
        forget    (1 - z) * h_{t-1}
        remember  h_t, the sum of the two
        use       none: all of the memory is shown

    References:
      Feng et al. (2024), Were RNNs all we needed?, https://arxiv.org/abs/2410.01201
    """
    carry = advanced(*transition(params, x, log_space), carry)
    return carry, carry.h


MIN_GRU = Cell(
    name="min_gru",
    init=init,
    init_carry=init_carry,
    step=step,
    memory="h",
    family="linear",
    transition=transition,
)


def min_gru(*, log_space: bool = False) -> Cell:
    """Returns the cell of `lj.cells.MIN_GRU`, or the one of its log-space form.

    In log-space n is made positive, g(n) with

        g(v) = v + 1/2 if v >= 0, σ(v) if v < 0

    so that a scan may add logarithms. The memory is then positive for every input. Here
    h itself is carried, and g is applied to n alone, so that pieces make up the whole.

    Example:
      >>> lj.cells.min_gru(log_space=True)
      <Cell 'min_gru_log_space'; memory h>
    """
    check_flag("log_space", log_space)
    return log_space_form(MIN_GRU) if log_space else MIN_GRU


@factory
def log_space_form(cell: Cell) -> Cell:
    """Returns the cell whose step and transition are called with `log_space=True`."""

    def step(params, carry, x):
        return cell.step(params, carry, x, log_space=True)

    def transition(params, x):
        return cell.transition(params, x, log_space=True)  # pyright: ignore

    name = f"{cell.name}_log_space"
    return dataclasses.replace(cell, name=name, step=step, transition=transition)
