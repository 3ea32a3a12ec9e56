"""GRU as first published: the memory is reset before it is multiplied."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input, gate_weights
from lstm_jax.cells.gate_activations import gate_activation_of
from lstm_jax.cells.gru import GRUCarry, init_carry
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, any_rank


class GRUResetBeforeParams(NamedTuple):
    """Weights of the first GRU, its gates stacked r, z, n along the last axis."""

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: PerUnit = 1.0,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    recurrent_init: Initializer = initializers.orthogonal,
    dtype: Any = jnp.float32,
) -> GRUResetBeforeParams:
    """Returns initial weights, each gate drawn independently.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; `forget_bias`
    is the bias of z, which keeps. The paper's equations have no biases.
    """
    w_ih, w_hh = gate_weights(
        key, input_size, hidden_size, 3, gain, input_init, recurrent_init, dtype
    )
    b = biases(hidden_size, dtype, reset=0.0, forget_bias=forget_bias, candidate=0.0)
    return GRUResetBeforeParams(w_ih=w_ih, w_hh=w_hh, b=b)


@any_rank
def step(
    params: GRUResetBeforeParams,
    carry: GRUCarry,
    x: Input,
    gate_activation: str = "sigmoid",
) -> tuple[GRUCarry, Hidden]:
    """One step of the first GRU; z is the share that is KEPT, as in the paper.

        r, z = σ(x W_ih + h_{t-1} W_hh + b)            each from its own third
        n = tanh(x W_in + (r * h_{t-1}) W_hn + b_n)
        h_t = z * h_{t-1} + (1 - z) * n                y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, 3*hidden) and
    W_hh (hidden, 3*hidden) with thirds r, z, n, of which W_in and W_hn are the last;
    b (3*hidden,). Haiku's GRU is this one with 1 - z in place of z.

    In the words of the four gates it is `lstm_jax.cells.gru`: learn (1 - z) * n, forget
    z * h_{t-1}, remember their sum, use all of it. Resetting before the product costs a
    second product per step, since W_hn has to wait for r.

    References:
      Cho et al. (2014), https://arxiv.org/abs/1406.1078
    """
    check_input(x, params.w_ih.shape[0])
    hidden_size = params.w_hh.shape[0]
    w_gates, w_hn = jnp.split(params.w_hh, [2 * hidden_size], axis=-1)
    x_r, x_z, x_n = jnp.split(x @ params.w_ih + params.b, 3, axis=-1)
    h_r, h_z = jnp.split(carry.h @ w_gates, 2, axis=-1)
    sigma = gate_activation_of(gate_activation)
    r, z = sigma(x_r + h_r), sigma(x_z + h_z)
    n = jnp.tanh(x_n + (r * carry.h) @ w_hn)
    h = z * carry.h + (1 - z) * n
    return GRUCarry(h=h), h


GRU_RESET_BEFORE = Cell(
    name="gru_reset_before",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("r", "z", "n"),
    memory="h",
    family="gru",
)


def gru_reset_before(gate_activation: str = "sigmoid", *, heads: int = 1) -> Cell:
    """Returns the cell whose gates r and z are made by σ = `gate_activation`.

    The equations are those of `lj.cells.GRU_RESET_BEFORE`; arguments and errors
    as for `lj.cells.lstm`.

    Example:
      >>> lj.cells.gru_reset_before("hard_sigmoid_keras2")
      <Cell 'gru_reset_before_hard_sigmoid_keras2'; gates r, z, n; memory h>
    """
    gate_activation_of(gate_activation)
    cell = (
        GRU_RESET_BEFORE
        if gate_activation == "sigmoid"
        else _gru_reset_before(gate_activation)
    )
    return block_diagonal(cell, heads)


@factory
def _gru_reset_before(gate_activation: str) -> Cell:
    def hard_step(params, carry, x):
        return step(params, carry, x, gate_activation)

    name = f"gru_reset_before_{gate_activation}"
    return dataclasses.replace(GRU_RESET_BEFORE, name=name, step=hard_step)
