"""LSTM with layer normalisation of both products and of the memory shown."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input
from lstm_jax.cells.lstm import LSTM, LSTMCarry, init_carry
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.checks import check_number
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer
from lstm_jax.types import (
    Hidden,
    Input,
    PerUnit,
    PRNGKey,
    Scalar,
    any_rank,
    at_least_float32,
)


class LayerNormLSTMParams(NamedTuple):
    """Weights of a layer-norm LSTM, its gates stacked i, f, g, o along the last axis.

    The scales multiply what was normalised. The paper's two shifts of the products only
    add to b, so b stands for all three; b_c shifts the normalised c.
    """

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]
    scale_ih: Float[Array, " gates"]
    scale_hh: Float[Array, " gates"]
    scale_c: Float[Array, " hidden"]
    b_c: Float[Array, " hidden"]


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
    dtype: Any = jnp.float32,
) -> LayerNormLSTMParams:
    """Returns the initial weights of an LSTM, with all scales 1 and b_c = 0.

    Arguments and errors as for `lstm_jax.cells.lstm.init`. The normalisation undoes
    `gain`, unless it is so small that ε matters: here the scale sets the size of a
    product.
    """
    weights = LSTM.init(
        key,
        input_size,
        hidden_size,
        input_bias=input_bias,
        forget_bias=forget_bias,
        gain=gain,
        input_init=input_init,
        recurrent_init=recurrent_init,
        dtype=dtype,
    )
    return LayerNormLSTMParams(
        w_ih=weights.w_ih,
        w_hh=weights.w_hh,
        b=weights.b,
        scale_ih=jnp.ones((4 * hidden_size,), dtype),
        scale_hh=jnp.ones((4 * hidden_size,), dtype),
        scale_c=jnp.ones((hidden_size,), dtype),
        b_c=jnp.zeros((hidden_size,), dtype),
    )


def layer_norm_lstm(epsilon: int | float = 1e-5, *, heads: int = 1) -> Cell:
    """Returns the LSTM with layer normalisation.

        LN(v) = (v - mean(v)) / sqrt(mean((v - mean(v))²) + ε)
        i, f, o = σ(s_ih * LN(x W_ih) + s_hh * LN(h_{t-1} W_hh) + b)
        g = tanh(the same)                             each from its own quarter
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(s_c * LN(c_t) + b_c)            y_t = h_t

    The means run over all 4*hidden numbers of a product, as in the paper's code, and
    over the units of c; c itself is carried as it is. (That code also adds b to x W_ih
    before normalising.) With one unit LN(c) is 0, and with h = 0 so is LN(h W_hh).

    Shapes: x (*batch, input), h and c (*batch, hidden), W_ih (input, 4*hidden),
    W_hh (hidden, 4*hidden), b, s_ih and s_hh (4*hidden,), s_c and b_c (hidden,).

    In the words of the four gates it is the LSTM, `lstm_jax.cells.lstm`, whose use gate
    reads each long-term memory relative to those of the other units: if all of them
    grow together, what is shown stays the same.

    Args:
      epsilon: ε, above 0; it matters only to variances as small as itself.
      heads: at least 1, as in `lj.cells.block_diagonal`.

    Raises:
      ValueError: epsilon is not above 0, or no heads.

    Example:
      >>> lj.cells.layer_norm_lstm() is lj.cells.LAYER_NORM_LSTM
      True

    References:
      Ba, Kiros & Hinton (2016), https://arxiv.org/abs/1607.06450
      its code, https://github.com/ryankiros/layer-norm
    """
    check_number("epsilon", epsilon, "(0, inf)")
    return block_diagonal(_layer_norm_lstm(float(epsilon)), heads)


# Apart from `layer_norm_lstm`, so that every way of calling it gives the same cell.
@factory
def _layer_norm_lstm(epsilon: float) -> Cell:
    def normalised(v: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        wide = v.astype(at_least_float32(v.dtype))  # half precision loses the variance
        deviation = wide - wide.mean(-1, keepdims=True)
        variance = (deviation**2).mean(-1, keepdims=True)
        return (deviation / jnp.sqrt(variance + epsilon)).astype(v.dtype)

    @any_rank
    def step(
        params: LayerNormLSTMParams, carry: LSTMCarry, x: Input
    ) -> tuple[LSTMCarry, Hidden]:
        check_input(x, params.w_ih.shape[0])
        from_x = params.scale_ih * normalised(x @ params.w_ih)
        from_h = params.scale_hh * normalised(carry.h @ params.w_hh)
        i, f, g, o = jnp.split(from_x + from_h + params.b, 4, axis=-1)
        c = jax.nn.sigmoid(f) * carry.c + jax.nn.sigmoid(i) * jnp.tanh(g)
        shown = params.scale_c * normalised(c) + params.b_c
        h = jax.nn.sigmoid(o) * jnp.tanh(shown)
        return LSTMCarry(h=h, c=c), h

    name = "layer_norm_lstm" + ("" if epsilon == 1e-5 else f"_epsilon_{epsilon:g}")
    return Cell(
        name=name,
        init=init,
        init_carry=init_carry,
        step=step,
        gates=("i", "f", "g", "o"),
        memory="c",
        family="lstm",
    )


LAYER_NORM_LSTM = layer_norm_lstm()
