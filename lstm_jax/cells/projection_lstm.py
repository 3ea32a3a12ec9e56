"""LSTM with a projection: a wide long-term memory behind a narrow short-term one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.checks import check_whole
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Input, PerUnit, PRNGKey, Scalar, Shape, any_rank


class ProjectionLSTMParams(NamedTuple):
    """Weights of an LSTM with projection, its gates stacked i, f, g, o."""

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "projection gates"]
    b: Float[Array, " gates"]
    w_hr: Float[Array, "hidden projection"]


class ProjectionLSTMCarry(NamedTuple):
    """Short-term memory h, which is also the output, and the wider long-term c."""

    h: Float[Array, "*batch projection"]
    c: Float[Array, "*batch hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    projection_size: int | None = None,
    input_bias: PerUnit = 0.0,
    forget_bias: PerUnit = 1.0,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    recurrent_init: Initializer = initializers.orthogonal,
    dtype: Any = jnp.float32,
) -> ProjectionLSTMParams:
    """Returns initial weights, each gate drawn independently.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; `hidden_size` is
    the width of c, and `recurrent_init` also draws w_hr. `projection_size` is the width
    of h and y, at least 1; by default half of hidden_size, rounded up. torch.nn.LSTM
    calls it proj_size.
    """
    check_init(key, input_size, hidden_size, dtype, gain, input_init, recurrent_init)
    width = (hidden_size + 1) // 2 if projection_size is None else projection_size
    check_whole("projection_size", width, 1)
    key_ih, key_hh, key_hr = jax.random.split(key, 3)
    in_shape, rec_shape = (input_size, hidden_size), (width, hidden_size)
    w_hh = initializers.per_gate(recurrent_init, key_hh, rec_shape, 4, dtype)
    b = biases(
        hidden_size,
        dtype,
        input_bias=input_bias,
        forget_bias=forget_bias,
        candidate=0.0,
        output=0.0,
    )
    return ProjectionLSTMParams(
        w_ih=initializers.per_gate(input_init, key_ih, in_shape, 4, dtype),
        w_hh=w_hh * jnp.asarray(gain, dtype),
        b=b,
        w_hr=recurrent_init(key_hr, (hidden_size, width), dtype),
    )


def init_carry(
    params: ProjectionLSTMParams, batch_shape: Shape = ()
) -> ProjectionLSTMCarry:
    """Returns empty memories, h = c = 0."""
    hidden_size, width = params.w_hr.shape
    return ProjectionLSTMCarry(
        h=jnp.zeros((*batch_shape, width), params.b.dtype),
        c=jnp.zeros((*batch_shape, hidden_size), params.b.dtype),
    )


@any_rank
def step(
    params: ProjectionLSTMParams, carry: ProjectionLSTMCarry, x: Input
) -> tuple[ProjectionLSTMCarry, Float[Array, "*batch projection"]]:
    """One step of the LSTM with projection.

        i, f, o = σ(x W_ih + h_{t-1} W_hh + b)         each from its own quarter
        g = tanh(x W_ih + h_{t-1} W_hh + b)
        c_t = f * c_{t-1} + i * g
        h_t = (o * tanh(c_t)) W_hr                     y_t = h_t

    Shapes: x (*batch, input), c (*batch, hidden), h and y (*batch, projection),
    W_ih (input, 4*hidden), W_hh (projection, 4*hidden), W_hr (hidden, projection),
    b (4*hidden,). The paper's cell also has diagonal peepholes.

    In the words of the four gates:

        learn     i * g
        forget    f * c_{t-1}
        remember  c_t, the sum of the two
        use       (o * tanh(c_t)) W_hr     a few linear combinations

    References:
      Sak, Senior & Beaufays (2014), https://arxiv.org/abs/1402.1128
      torch.nn.LSTM, https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html
    """
    check_input(x, params.w_ih.shape[0])
    z = x @ params.w_ih + carry.h @ params.w_hh + params.b
    i, f, g, o = jnp.split(z, 4, axis=-1)
    c = jax.nn.sigmoid(f) * carry.c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = (jax.nn.sigmoid(o) * jnp.tanh(c)) @ params.w_hr
    return ProjectionLSTMCarry(h=h, c=c), h


PROJECTION_LSTM = Cell(
    name="projection_lstm",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("i", "f", "g", "o"),
    memory="c",
    family="lstm",
)
