"""LSTM of 1997: a carousel between an input gate and an output gate; nothing forgets.

Memory cells come in blocks that share their gates, and every unit reads all the others:
the inputs, and the previous outputs of cells and gates.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.memory_blocks import draw_units, num_blocks
from lstm_jax.checks import check_choice, check_flag, check_given, check_whole
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PRNGKey, Scalar, Shape, any_rank

BIASED = ("all", "gates", "none")


class LSTM97Params(NamedTuple):
    """Weights of the units i, o, g: gates of the blocks, then inputs of the cells.

    b belongs to all units, to the gates alone (which come first), or to none.
    """

    w_ih: Float[Array, "input units"]
    w_hh: Float[Array, "units units"]
    b: Float[Array, " biased"]


class LSTM97Carry(NamedTuple):
    """The output h and memory c of the cells; the gates i and o."""

    h: Float[Array, "*batch hidden"]
    c: Float[Array, "*batch hidden"]
    i: Float[Array, "*batch blocks"]
    o: Float[Array, "*batch blocks"]


def _init(
    block_size: int,
    biased: str,
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    input_bias: Scalar | Float[Array, " blocks"] | None = None,
    output_bias: Scalar | Float[Array, " blocks"] | None = None,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    recurrent_init: Initializer = initializers.orthogonal,
    dtype: Any = jnp.float32,
) -> LSTM97Params:
    """Returns initial weights, each gate drawn independently; see `lstm97`."""
    check_init(key, input_size, hidden_size, dtype, gain, input_init, recurrent_init)
    blocks = num_blocks(block_size, hidden_size)
    for name, bias in {"input_bias": input_bias, "output_bias": output_bias}.items():
        check_given(name, bias, biased != "none", "with biased='none' there is none")
    widths = (blocks, blocks, hidden_size)
    key_ih, key_hh = jax.random.split(key)
    of_gates = biases(
        blocks,
        dtype,
        input_bias=0.0 if input_bias is None else input_bias,
        output_bias=0.0 if output_bias is None else output_bias,
    )
    b = jnp.concatenate([of_gates, jnp.zeros((hidden_size,), dtype)])
    num_biased = {"all": sum(widths), "gates": 2 * blocks, "none": 0}[biased]
    return LSTM97Params(
        w_ih=draw_units(input_init, key_ih, input_size, widths, dtype),
        w_hh=draw_units(recurrent_init, key_hh, sum(widths), widths, dtype)
        * jnp.asarray(gain, dtype),
        b=b[:num_biased],
    )


def lstm97(
    block_size: int = 1, *, truncated: bool = False, biased: str = "all"
) -> Cell:
    """Returns the LSTM of Hochreiter & Schmidhuber (1997).

        r = [i_{t-1}, o_{t-1}, h_{t-1}]
        i, o = σ(x_t W_ih + r W_hh + b)                 one of each per block
        g = 4 σ(x_t W_ih + r W_hh + b) - 2              one per cell, in (-2, 2)
        c_t = c_{t-1} + i * g                           i of the block of the cell
        h_t = o * (2 σ(c_t) - 1)                        y_t = h_t

    Shapes: x (*batch, input), h, c and g (*batch, hidden), i and o (*batch, blocks)
    with blocks = hidden / block_size; the columns of W_ih (input, units),
    W_hh (units, units) and b belong to i, o, g in this order,
    units = 2*blocks + hidden, and the rows of W_hh to r. Cells k * block_size to
    (k + 1) * block_size - 1 are block k.

    In the words of the four gates:

        learn     i * g
        forget    nothing: all of c_{t-1} is kept, dc_t/dc_{t-1} = 1 along the carousel
        remember  c_t, the sum of the two
        use       o * (2 σ(c_t) - 1)

    Besides key, sizes, gain, input_init, recurrent_init and dtype as for the LSTM,
    `init` takes `input_bias` and `output_bias`: one number, or one per block (the paper
    opens its blocks one after another, with -1, -2, ...). hidden_size counts cells and
    must be a multiple of block_size. The paper draws all weights from U[-0.1, 0.1]
    or U[-0.2, 0.2].

    Args:
      block_size: cells that share their gates, at least 1.
      truncated: whether the gradient takes r as a constant, as the paper's algorithm
        does: errors then travel back in time along the carousel alone.
      biased: which units have a bias, "all", "gates" or "none"; each occurs in some
        experiment of the paper.

    Raises:
      ValueError: block_size or biased is not allowed.

    Example:
      >>> cell = lj.cells.lstm97(block_size=2)
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> cell.init_carry(params).c.shape
      (4,)

    References:
      Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735
    """
    check_whole("block_size", block_size, 1)
    check_flag("truncated", truncated)
    check_choice("biased", biased, BIASED)
    return _lstm97(block_size, truncated, biased)


# Apart from `lstm97`, so that every way of calling it gives the same cell.
@factory
def _lstm97(block_size: int, truncated: bool, biased: str) -> Cell:
    def sizes(params):
        """Returns the numbers of blocks and of cells."""
        blocks = params.w_hh.shape[0] // (2 + block_size)
        return blocks, blocks * block_size

    def init_carry(params: LSTM97Params, batch_shape: Shape = ()) -> LSTM97Carry:
        """Returns empty memories and closed gates, all zero."""
        blocks, cells = sizes(params)
        of_cells = jnp.zeros((*batch_shape, cells), params.w_hh.dtype)
        of_blocks = jnp.zeros((*batch_shape, blocks), params.w_hh.dtype)
        return LSTM97Carry(h=of_cells, c=of_cells, i=of_blocks, o=of_blocks)

    @any_rank
    def step(
        params: LSTM97Params, carry: LSTM97Carry, x: Input
    ) -> tuple[LSTM97Carry, Hidden]:
        check_input(x, params.w_ih.shape[0])
        blocks, _ = sizes(params)
        r = jnp.concatenate([carry.i, carry.o, carry.h], axis=-1)
        if truncated:
            r = jax.lax.stop_gradient(r)
        b = jnp.pad(params.b, (0, params.w_hh.shape[0] - params.b.shape[0]))
        z = x @ params.w_ih + r @ params.w_hh + b
        z_i, z_o, z_g = jnp.split(z, [blocks, 2 * blocks], axis=-1)
        i, o = jax.nn.sigmoid(z_i), jax.nn.sigmoid(z_o)
        of_each_cell = partial(jnp.repeat, repeats=block_size, axis=-1)
        c = carry.c + of_each_cell(i) * (4 * jax.nn.sigmoid(z_g) - 2)
        h = of_each_cell(o) * (2 * jax.nn.sigmoid(c) - 1)
        return LSTM97Carry(h=h, c=c, i=i, o=o), h

    settings = (
        "" if block_size == 1 else f"_blocks_of_{block_size}",
        "_truncated" if truncated else "",
        "" if biased == "all" else f"_{biased}_biased",
    )
    return Cell(
        name="lstm97" + "".join(settings),
        init=partial(_init, block_size, biased),
        init_carry=init_carry,
        step=step,
        gates=("i", "o", "g"),
        memory="c",
        family="early_lstm",
    )


LSTM97 = lstm97()
