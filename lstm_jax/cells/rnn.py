"""Elman RNN: one linear map, one activation."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.checks import check_choice
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, Scalar, Shape, any_rank

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "logistic": jax.nn.sigmoid,
    "linear": lambda z: z,
}


class RNNParams(NamedTuple):
    """Weights of an Elman RNN."""

    w_ih: Float[Array, "input hidden"]
    w_hh: Float[Array, "hidden hidden"]
    b: Float[Array, " hidden"]


class RNNCarry(NamedTuple):
    """The one memory of an Elman RNN and its relatives."""

    h: Float[Array, "*batch hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    recurrent_init: Initializer = initializers.orthogonal,
    dtype: Any = jnp.float32,
) -> RNNParams:
    """Returns initial weights; the biases are zero.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; with an orthogonal w_hh
    `gain` is the spectral radius.
    """
    check_init(key, input_size, hidden_size, dtype, gain, input_init, recurrent_init)
    key_ih, key_hh = jax.random.split(key)
    w_hh = recurrent_init(key_hh, (hidden_size, hidden_size), dtype)
    return RNNParams(
        w_ih=input_init(key_ih, (input_size, hidden_size), dtype),
        w_hh=w_hh * jnp.asarray(gain, dtype),
        b=jnp.zeros((hidden_size,), dtype),
    )


@factory
def init_with(recurrent_init: Initializer) -> Callable[..., RNNParams]:
    """Returns `init` with another default for `recurrent_init`."""
    return partial(init, recurrent_init=recurrent_init)


def init_carry(params: Any, batch_shape: Shape = ()) -> RNNCarry:
    """Returns the empty memory, h = 0."""
    return RNNCarry(h=jnp.zeros((*batch_shape, *params.b.shape), params.b.dtype))


def rnn(activation: str = "tanh", *, heads: int = 1) -> Cell:
    """Returns the Elman RNN with the activation φ = `activation`.

        h_t = φ(x_t W_ih + h_{t-1} W_hh + b)          y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, hidden),
    W_hh (hidden, hidden), b (hidden,).

    It has none of the four gates: at every step, everything it keeps passes through the
    same linear map and the same activation, so its Jacobian is W_hh diag(φ') and the
    gradient shrinks or grows with the product of these.

    Args:
      activation: "tanh", "relu", "logistic" or "linear".
      heads: at least 1, as in `lj.cells.block_diagonal`.

    Raises:
      ValueError: another activation, or no heads.

    Example:
      >>> lj.rnn("relu")
      <Cell 'rnn_relu'; gates h>
      >>> lj.rnn() is lj.RNN
      True

    References:
      Elman (1990), https://doi.org/10.1207/s15516709cog1402_1
    """
    check_choice("activation", activation, ACTIVATIONS)
    return block_diagonal(_rnn(activation), heads)


# Apart from `rnn`, so that rnn(), rnn("tanh") and rnn(activation="tanh") are one cell.
@factory
def _rnn(activation: str) -> Cell:
    phi = ACTIVATIONS[activation]

    @any_rank
    def step(params: RNNParams, carry: RNNCarry, x: Input) -> tuple[RNNCarry, Hidden]:
        check_input(x, params.w_ih.shape[0])
        h = phi(x @ params.w_ih + carry.h @ params.w_hh + params.b)
        return RNNCarry(h=h), h

    name = "rnn" if activation == "tanh" else f"rnn_{activation}"
    return Cell(
        name=name,
        init=init,
        init_carry=init_carry,
        step=step,
        gates=("h",),
        family="rnn",
    )


RNN = rnn()
