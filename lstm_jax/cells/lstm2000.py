"""LSTM of 2000: the blocks of 1997 with a gate that forgets.

Units read the inputs and the previous output of the cells; gates do not read gates.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.lstm import LSTMCarry, init_carry
from lstm_jax.cells.memory_blocks import draw_units, num_blocks
from lstm_jax.checks import check_flag, check_whole
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PRNGKey, Scalar, any_rank


class LSTM2000Params(NamedTuple):
    """Weights of the units i, f, o, g: gates of the blocks, then inputs of the cells.

    Only gates have a bias, b.
    """

    w_ih: Float[Array, "input units"]
    w_hh: Float[Array, "hidden units"]
    b: Float[Array, " gates"]


def _init(
    block_size: int,
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    input_bias: Scalar | Float[Array, " blocks"] = 0.0,
    forget_bias: Scalar | Float[Array, " blocks"] = 1.0,
    output_bias: Scalar | Float[Array, " blocks"] = 0.0,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    recurrent_init: Initializer = initializers.orthogonal,
    dtype: Any = jnp.float32,
) -> LSTM2000Params:
    """Returns initial weights, each gate drawn independently; see `lstm2000`."""
    check_init(key, input_size, hidden_size, dtype, gain, input_init, recurrent_init)
    blocks = num_blocks(block_size, hidden_size)
    widths = (blocks, blocks, blocks, hidden_size)
    key_ih, key_hh = jax.random.split(key)
    return LSTM2000Params(
        w_ih=draw_units(input_init, key_ih, input_size, widths, dtype),
        w_hh=draw_units(recurrent_init, key_hh, hidden_size, widths, dtype)
        * jnp.asarray(gain, dtype),
        b=biases(
            blocks,
            dtype,
            input_bias=input_bias,
            forget_bias=forget_bias,
            output_bias=output_bias,
        ),
    )


def lstm2000(block_size: int = 1, *, truncated: bool = False) -> Cell:
    """Returns the LSTM of Gers, Schmidhuber & Cummins (2000).

        i, f, o = σ(x_t W_ih + h_{t-1} W_hh + b)        one of each per block
        g = 4 σ(x_t W_ih + h_{t-1} W_hh) - 2            one per cell, in (-2, 2)
        c_t = f * c_{t-1} + i * g                       i and f of the block of the cell
        h_t = o * (2 σ(c_t) - 1)                        y_t = h_t

    Shapes: x (*batch, input), h, c and g (*batch, hidden), i, f and o (*batch, blocks)
    with blocks = hidden / block_size; the columns of W_ih (input, units) and
    W_hh (hidden, units) belong to i, f, o, g in this order, units = 3*blocks + hidden;
    b (3*blocks,) belongs to the gates. Cells k * block_size to
    (k + 1) * block_size - 1 are block k.

    With f = 1 it is an `lstm97` whose units do not read gates. With one cell per block
    it is the LSTM with W_g halved and no b_g, where g and c are twice as large. In the
    words of the four gates:

        learn     i * g
        forget    f * c_{t-1}
        remember  c_t, the sum of the two
        use       o * (2 σ(c_t) - 1)

    Besides key, sizes, gain, input_init, recurrent_init and dtype as for the LSTM,
    `init` takes `input_bias` (0), `forget_bias` (1) and `output_bias` (0): one number,
    or one per block (the paper has -0.5, -1, ... for i and o, 0.5, 1, ... for f).
    hidden_size counts cells and must be a multiple of block_size. The paper draws all
    weights from U[-0.2, 0.2]; its output units read the inputs too.

    Args:
      block_size: cells that share their gates, at least 1; 2 in the paper.
      truncated: whether the gradient takes h_{t-1} as a constant, as the paper's
        algorithm does: errors then travel back in time along the carousel alone.

    Raises:
      ValueError: block_size is not allowed.

    Example:
      >>> cell = lj.cells.lstm2000(block_size=2)
      >>> cell.gates
      ('i', 'f', 'o', 'g')

    References:
      Gers, Schmidhuber & Cummins (2000), https://doi.org/10.1162/089976600300015015
    """
    check_whole("block_size", block_size, 1)
    check_flag("truncated", truncated)
    return _lstm2000(block_size, truncated)


# Apart from `lstm2000`, so that every way of calling it gives the same cell.
@factory
def _lstm2000(block_size: int, truncated: bool) -> Cell:
    @any_rank
    def step(
        params: LSTM2000Params, carry: LSTMCarry, x: Input
    ) -> tuple[LSTMCarry, Hidden]:
        check_input(x, params.w_ih.shape[0])
        h = jax.lax.stop_gradient(carry.h) if truncated else carry.h
        gates, units = params.b.shape[0], params.w_hh.shape[1]
        b = jnp.pad(params.b, (0, units - gates))
        z = x @ params.w_ih + h @ params.w_hh + b
        of_each_cell = partial(jnp.repeat, repeats=block_size, axis=-1)
        i, f, o = map(of_each_cell, jnp.split(jax.nn.sigmoid(z[..., :gates]), 3, -1))
        g = 4 * jax.nn.sigmoid(z[..., gates:]) - 2
        c = f * carry.c + i * g
        h = o * (2 * jax.nn.sigmoid(c) - 1)
        return LSTMCarry(h=h, c=c), h

    blocks = "" if block_size == 1 else f"_blocks_of_{block_size}"
    return Cell(
        name=f"lstm2000{blocks}{'_truncated' if truncated else ''}",
        init=partial(_init, block_size),
        init_carry=init_carry,
        step=step,
        gates=("i", "f", "o", "g"),
        memory="c",
        family="early_lstm",
    )


LSTM2000 = lstm2000()
