"""FGR, full gate recurrence: a peephole LSTM whose gates also read one another.

`lstm_jax.cells.peephole_lstm.peephole_lstm("FGR")`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import check_input, gate_weights
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, Shape, any_rank


class FullGateLSTMParams(NamedTuple):
    """Weights of an LSTM with full gate recurrence.

    w_ih, w_hh and b are stacked i, f, g, o; p, and both rows and columns of w_gates,
    i, f, o.
    """

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]
    p: Float[Array, " peepholes"]
    w_gates: Float[Array, "peepholes peepholes"]


class FullGateLSTMCarry(NamedTuple):
    """Short-term memory h, long-term memory c, and the gates."""

    h: Float[Array, "*batch hidden"]
    c: Float[Array, "*batch hidden"]
    i: Float[Array, "*batch hidden"]
    f: Float[Array, "*batch hidden"]
    o: Float[Array, "*batch hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    input_bias: PerUnit = 0.0,
    forget_bias: PerUnit = 1.0,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    recurrent_init: Initializer = initializers.orthogonal,
    peephole_init: Initializer = initializers.uniform,
    dtype: Any = jnp.float32,
) -> FullGateLSTMParams:
    """Returns initial weights, each gate drawn independently.

    Arguments and errors as for `lstm_jax.cells.lstm.init`. `recurrent_init`
    also draws w_gates, with shape (3*hidden, hidden), which `gain` scales too;
    `peephole_init` draws p, with shape (3, hidden).
    """
    key_weights, key_p, key_gates = jax.random.split(key, 3)
    w_ih, w_hh = gate_weights(
        key_weights,
        input_size,
        hidden_size,
        4,
        gain,
        input_init,
        recurrent_init,
        dtype,
    )
    b = biases(
        hidden_size,
        dtype,
        input_bias=input_bias,
        forget_bias=forget_bias,
        candidate=0.0,
        output=0.0,
    )
    shape = (3 * hidden_size, hidden_size)
    w_gates = initializers.per_gate(recurrent_init, key_gates, shape, 3, dtype)
    return FullGateLSTMParams(
        w_ih=w_ih,
        w_hh=w_hh,
        b=b,
        p=peephole_init(key_p, (3, hidden_size), dtype).ravel(),
        w_gates=w_gates * jnp.asarray(gain, dtype),
    )


def init_carry(
    params: FullGateLSTMParams, batch_shape: Shape = ()
) -> FullGateLSTMCarry:
    """Returns empty memories and closed gates, all zero."""
    zeros = jnp.zeros((*batch_shape, params.w_hh.shape[0]), params.b.dtype)
    return FullGateLSTMCarry(h=zeros, c=zeros, i=zeros, f=zeros, o=zeros)


@any_rank
def step(
    params: FullGateLSTMParams, carry: FullGateLSTMCarry, x: Input
) -> tuple[FullGateLSTMCarry, Hidden]:
    """One step of the LSTM with full gate recurrence.

        r = [i_{t-1}, f_{t-1}, o_{t-1}]
        i = σ(x_t W_xi + h_{t-1} W_hi + r W_ri + p_i * c_{t-1} + b_i)
        f = σ(x_t W_xf + h_{t-1} W_hf + r W_rf + p_f * c_{t-1} + b_f)
        g = tanh(x_t W_xg + h_{t-1} W_hg + b_g)
        c_t = f * c_{t-1} + i * g
        o = σ(x_t W_xo + h_{t-1} W_ho + r W_ro + p_o * c_t + b_o)
        h_t = o * tanh(c_t)                            y_t = h_t

    Shapes: as for the peephole LSTM; W_gates (3*hidden, 3*hidden) is
    [W_ri, W_rf, W_ro]: nine more matrices. In the words of the four gates it is the
    peephole LSTM, `lstm_jax.cells.peephole_lstm`.

    References:
      Greff et al. (2017), https://arxiv.org/abs/1503.04069
    """
    check_input(x, params.w_ih.shape[0])
    z = x @ params.w_ih + carry.h @ params.w_hh + params.b
    z_i, z_f, z_g, z_o = jnp.split(z, 4, axis=-1)
    r = jnp.concatenate([carry.i, carry.f, carry.o], axis=-1)
    r_i, r_f, r_o = jnp.split(r @ params.w_gates, 3, axis=-1)
    p_i, p_f, p_o = jnp.split(params.p, 3)
    i = jax.nn.sigmoid(z_i + r_i + p_i * carry.c)
    f = jax.nn.sigmoid(z_f + r_f + p_f * carry.c)
    c = f * carry.c + i * jnp.tanh(z_g)
    o = jax.nn.sigmoid(z_o + r_o + p_o * c)
    h = o * jnp.tanh(c)
    return FullGateLSTMCarry(h=h, c=c, i=i, f=f, o=o), h
