"""MinimalRNN: the event is encoded first, and one gate mixes it into the memory."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.gru import GRUCarry, init_carry
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, any_rank


class MinimalRNNParams(NamedTuple):
    """Weights of a MinimalRNN: the encoder z, and the gate that reads h and z."""

    w_ih: Float[Array, "input hidden"]
    b_z: Float[Array, " hidden"]
    w_hh: Float[Array, "hidden hidden"]
    w_zh: Float[Array, "hidden hidden"]
    b: Float[Array, " hidden"]


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
) -> MinimalRNNParams:
    """Returns initial weights; the biases of the encoder are zero.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; `forget_bias`
    is the bias of u, which keeps, and `recurrent_init` draws w_hh and w_zh.
    """
    check_init(key, input_size, hidden_size, dtype, gain, input_init, recurrent_init)
    key_ih, key_hh, key_zh = jax.random.split(key, 3)
    w_hh = recurrent_init(key_hh, (hidden_size, hidden_size), dtype)
    return MinimalRNNParams(
        w_ih=input_init(key_ih, (input_size, hidden_size), dtype),
        b_z=jnp.zeros((hidden_size,), dtype),
        w_hh=w_hh * jnp.asarray(gain, dtype),
        w_zh=recurrent_init(key_zh, (hidden_size, hidden_size), dtype),
        b=biases(hidden_size, dtype, forget_bias=forget_bias),
    )


@any_rank
def step(
    params: MinimalRNNParams, carry: GRUCarry, x: Input
) -> tuple[GRUCarry, Hidden]:
    """One step of the MinimalRNN.

        z_t = tanh(x_t W_ih + b_z)
        u_t = σ(h_{t-1} W_hh + z_t W_zh + b)
        h_t = u_t * h_{t-1} + (1 - u_t) * z_t          y_t = h_t

    Shapes: x (*batch, input), h, z and u (*batch, hidden), W_ih (input, hidden), W_hh
    and W_zh (hidden, hidden), b_z and b (hidden,).

    In the words of the four gates, with one memory h:

        learn     (1 - u) * z           z does not read the memory at all
        forget    u * h_{t-1}
        remember  h_t, the sum of the two
        use       none: all of the memory is shown

    References:
      Chen (2017), https://arxiv.org/abs/1711.06788
    """
    check_input(x, params.w_ih.shape[0])
    z = jnp.tanh(x @ params.w_ih + params.b_z)
    u = jax.nn.sigmoid(carry.h @ params.w_hh + z @ params.w_zh + params.b)
    h = u * carry.h + (1 - u) * z
    return GRUCarry(h=h), h


MINIMAL_RNN = Cell(
    name="minimal_rnn",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("u",),
    memory="h",
    family="rnn",
)
