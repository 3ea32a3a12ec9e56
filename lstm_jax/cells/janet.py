"""JANET: an LSTM with nothing but a forget gate."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input, gate_weights
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, Shape, any_rank


class JANETParams(NamedTuple):
    """Weights of a JANET, stacked f, g along the last axis."""

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]


class JANETCarry(NamedTuple):
    """The long-term memory c, which is also the output."""

    c: Float[Array, "*batch hidden"]


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
) -> JANETParams:
    """Returns initial weights, each gate drawn independently.

    The paper draws the biases with `initializers.chrono_biases`; its code draws
    b_f = ln u from u ~ U[1, T], without the -1.

    Arguments and errors as for `lstm_jax.cells.lstm.init`.
    """
    w_ih, w_hh = gate_weights(
        key, input_size, hidden_size, 2, gain, input_init, recurrent_init, dtype
    )
    b = biases(hidden_size, dtype, forget_bias=forget_bias, candidate=0.0)
    return JANETParams(w_ih=w_ih, w_hh=w_hh, b=b)


def init_carry(params: JANETParams, batch_shape: Shape = ()) -> JANETCarry:
    """Returns the empty memory, c = 0."""
    hidden_size, dtype = params.w_hh.shape[0], params.b.dtype
    return JANETCarry(c=jnp.zeros((*batch_shape, hidden_size), dtype))


def janet(beta: int | float = 1.0, *, heads: int = 1) -> Cell:
    """Returns the JANET whose input gate is shifted by `beta` from its forget gate.

        s = x_t W_if + c_{t-1} W_hf + b_f
        g = tanh(x_t W_ig + c_{t-1} W_hg + b_g)
        c_t = σ(s) * c_{t-1} + (1 - σ(s - β)) * g      y_t = c_t

    Shapes: x (*batch, input), c (*batch, hidden), W_ih (input, 2*hidden) with halves
    W_if and W_ig, W_hh (hidden, 2*hidden) with halves W_hf and W_hg, b (2*hidden,).

    In the words of the four gates, with one memory c:

        learn     (1 - σ(s - β)) * g     for β > 0, more than was forgotten
        forget    σ(s) * c_{t-1}
        remember  c_t, the sum of the two
        use       none: all of the memory is shown

    Args:
      beta: β; at 0 the two gates add up to 1.
      heads: at least 1, as in `lj.cells.block_diagonal`.

    Raises:
      ValueError: no heads.

    Example:
      >>> lj.cells.janet(beta=0.0).gates
      ('f', 'g')

    References:
      van der Westhuizen & Lasenby (2018), https://arxiv.org/abs/1804.04849
      its code, with β = 1, https://github.com/JosvanderWesthuizen/janet
    """
    return block_diagonal(_janet(float(beta)), heads)


# Apart from `janet`, so that janet(), janet(1.0) and janet(beta=1) are one cell.
@factory
def _janet(beta: float) -> Cell:
    @any_rank
    def step(
        params: JANETParams, carry: JANETCarry, x: Input
    ) -> tuple[JANETCarry, Hidden]:
        check_input(x, params.w_ih.shape[0])
        z = x @ params.w_ih + carry.c @ params.w_hh + params.b
        s, g = jnp.split(z, 2, axis=-1)
        forget, learn = jax.nn.sigmoid(s), 1 - jax.nn.sigmoid(s - beta)
        c = forget * carry.c + learn * jnp.tanh(g)
        return JANETCarry(c=c), c

    name = "janet" if beta == 1 else f"janet_beta_{beta:g}"
    return Cell(
        name=name,
        init=init,
        init_carry=init_carry,
        step=step,
        gates=("f", "g"),
        memory="c",
        family="coupled",
    )


JANET = janet()
