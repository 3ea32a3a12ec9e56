"""GRU, reset after the product: the cell of PyTorch, cuDNN, Flax and Equinox."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input, gate_weights
from lstm_jax.cells.gate_activations import gate_activation_of
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, Shape, any_rank


class GRUParams(NamedTuple):
    """Weights of a GRU, its gates stacked r, z, n along the last axis.

    b_hn is the bias inside the product with the reset gate; libraries that keep two
    biases for r and z have their sum in b.
    """

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]
    b_hn: Float[Array, " hidden"]


class GRUCarry(NamedTuple):
    """The one memory of a GRU and its relatives."""

    h: Float[Array, "*batch hidden"]


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
) -> GRUParams:
    """Returns initial weights, each gate drawn independently.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; `forget_bias`
    is the bias of z, which keeps: 0 in most libraries.
    """
    w_ih, w_hh = gate_weights(
        key, input_size, hidden_size, 3, gain, input_init, recurrent_init, dtype
    )
    b = biases(hidden_size, dtype, reset=0.0, forget_bias=forget_bias, candidate=0.0)
    return GRUParams(w_ih=w_ih, w_hh=w_hh, b=b, b_hn=jnp.zeros((hidden_size,), dtype))


def init_carry(params: Any, batch_shape: Shape = ()) -> GRUCarry:
    """Returns the empty memory, h = 0."""
    hidden_size, dtype = params.w_hh.shape[0], params.b.dtype
    return GRUCarry(h=jnp.zeros((*batch_shape, hidden_size), dtype))


@any_rank
def step(
    params: GRUParams, carry: GRUCarry, x: Input, gate_activation: str = "sigmoid"
) -> tuple[GRUCarry, Hidden]:
    """One step of the GRU; z is the share that is KEPT.

        r, z = σ(x W_ih + h_{t-1} W_hh + b)            each from its own third
        n = tanh(x W_in + b_n + r * (h_{t-1} W_hn + b_hn))
        h_t = z * h_{t-1} + (1 - z) * n                y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, 3*hidden) and
    W_hh (hidden, 3*hidden) with thirds r, z, n, of which W_in and W_hn are the last;
    b (3*hidden,), b_hn (hidden,).

    In the words of the four gates, with one memory h:

        learn     (1 - z) * n        r sets how much of the memory the candidate reads
        forget    z * h_{t-1}
        remember  h_t, the sum of the two
        use       none: all of the memory is shown

    Cho et al. reset before the product: `lstm_jax.cells.gru_reset_before`.

    References:
      Cho et al. (2014), https://arxiv.org/abs/1406.1078
      torch.nn.GRU, https://pytorch.org/docs/stable/generated/torch.nn.GRU.html
    """
    check_input(x, params.w_ih.shape[0])
    x_r, x_z, x_n = jnp.split(x @ params.w_ih + params.b, 3, axis=-1)
    h_r, h_z, h_n = jnp.split(carry.h @ params.w_hh, 3, axis=-1)
    sigma = gate_activation_of(gate_activation)
    r, z = sigma(x_r + h_r), sigma(x_z + h_z)
    n = jnp.tanh(x_n + r * (h_n + params.b_hn))
    h = z * carry.h + (1 - z) * n
    return GRUCarry(h=h), h


GRU = Cell(
    name="gru",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("r", "z", "n"),
    memory="h",
    family="gru",
)


def gru(gate_activation: str = "sigmoid", *, heads: int = 1) -> Cell:
    """Returns the cell whose gates r and z are made by σ = `gate_activation`.

    The equations are those of `lj.GRU`; arguments and errors as for
    `lj.cells.lstm`.

    Example:
      >>> lj.cells.gru("hard_sigmoid_keras2")
      <Cell 'gru_hard_sigmoid_keras2'; gates r, z, n; memory h>
    """
    gate_activation_of(gate_activation)
    cell = GRU if gate_activation == "sigmoid" else _gru(gate_activation)
    return block_diagonal(cell, heads)


@factory
def _gru(gate_activation: str) -> Cell:
    def hard_step(params, carry, x):
        return step(params, carry, x, gate_activation)

    name = f"gru_{gate_activation}"
    return dataclasses.replace(GRU, name=name, step=hard_step)
