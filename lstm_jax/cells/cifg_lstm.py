"""CIFG: the LSTM that learns exactly as much as it forgets."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input, gate_weights
from lstm_jax.cells.lstm import LSTMCarry, init_carry
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, any_rank


class CIFGParams(NamedTuple):
    """Weights of a CIFG LSTM, its gates stacked f, g, o along the last axis."""

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
) -> CIFGParams:
    """Returns initial weights, each gate drawn independently.

    Arguments and errors as for `lstm_jax.cells.lstm.init`.
    """
    w_ih, w_hh = gate_weights(
        key, input_size, hidden_size, 3, gain, input_init, recurrent_init, dtype
    )
    b = biases(hidden_size, dtype, forget_bias=forget_bias, candidate=0.0, output=0.0)
    return CIFGParams(w_ih=w_ih, w_hh=w_hh, b=b)


@any_rank
def step(params: CIFGParams, carry: LSTMCarry, x: Input) -> tuple[LSTMCarry, Hidden]:
    """One step of the LSTM with coupled input and forget gates.

        f, o = σ(x W_ih + h_{t-1} W_hh + b)            each from its own third
        g = tanh(x W_ih + h_{t-1} W_hh + b)
        c_t = f * c_{t-1} + (1 - f) * g
        h_t = o * tanh(c_t)                            y_t = h_t

    Shapes: x (*batch, input), h and c (*batch, hidden), W_ih (input, 3*hidden),
    W_hh (hidden, 3*hidden), b (3*hidden,). That of Greff et al. also has peepholes.

    In the words of the four gates:

        learn     (1 - f) * g        the ignore factor is the share not kept
        forget    f * c_{t-1}
        remember  c_t, the sum of the two, which stays in [-1, 1]
        use       o * tanh(c_t)

    References:
      Greff et al. (2017), https://arxiv.org/abs/1503.04069
    """
    check_input(x, params.w_ih.shape[0])
    z = x @ params.w_ih + carry.h @ params.w_hh + params.b
    f, g, o = jnp.split(z, 3, axis=-1)
    f = jax.nn.sigmoid(f)
    c = f * carry.c + (1 - f) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return LSTMCarry(h=h, c=c), h


CIFG_LSTM = Cell(
    name="cifg_lstm",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("f", "g", "o"),
    memory="c",
    family="coupled",
)
