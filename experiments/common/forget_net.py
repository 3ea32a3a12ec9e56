"""The net of Gers, Schmidhuber & Cummins (2000), and its gradient, computed forwards.

    r_t = [x_t, h_{t-1}, 1]                         x one-hot, 8 cells in blocks of 2
    i, f, o = σ(W r_t)    g = 4 σ(W r_t) - 2        cells' g have no bias
    c_t = f * c_{t-1} + i * g      h_t = o * H(c_t)      H(c) = 2 σ(c) - 1
    y_t = σ(V u_t)        u_t = [h_t, x_t, 1]       shortcut from the inputs
    E_t = |y_t - target_t|² / 2

The cell is `lj.cells.lstm2000(block_size=2, truncated=True)`: r_t counts as a constant,
so that c_t depends on the weights into cell v's own i, f and g alone. Of those it has
a trace, which goes with the state from symbol to symbol,

    e_t = dc_t/dW = f * e_{t-1} + r_t d_t           d = i' g,  f' c_{t-1},  i g'

and with ε = dE/dc = o H'(c_t) dE/dh the gradient of E_t is ε e_t, summed over the cells
of a block for i and f. The output gate needs no trace: dE/dW_o = r_t o' Σ H(c) dE/dh.

Nothing here is batched; `jax.vmap` sets nets side by side.

Source: Gers, Schmidhuber & Cummins (2000), https://doi.org/10.1162/089976600300015015
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

import lstm_jax as lj
from experiments.common.online import weights_within
from lstm_jax import readouts
from lstm_jax.cells.lstm2000 import LSTM2000Params
from lstm_jax.training.loop import ModelParams
from lstm_jax.types import PRNGKey

BLOCKS, BLOCK_SIZE, SYMBOLS = 4, 2, 7
CELLS = BLOCKS * BLOCK_SIZE
CELL = lj.cells.lstm2000(BLOCK_SIZE, truncated=True)
BOUND = 0.2
STEPS = tuple(0.5 * (block + 1) for block in range(BLOCKS))
HELD = 100.0  # a forget bias: f = 1 and its slope 0, so that training can't change it


class Weights(NamedTuple):
    """Weights of units i, f, o, g from [x, h, 1], and of outputs from [h, x, 1].

    The biases of g are there, and 0.
    """

    units: Float[Array, "sources units"]
    outputs: Float[Array, "sources symbols"]


class Memory(NamedTuple):
    """Outputs and states of the cells, and dc/dW of each cell's i, f and g."""

    h: Float[Array, " cells"]
    c: Float[Array, " cells"]
    trace: Float[Array, "sources 3 cells"]


class Step(NamedTuple):
    """What one symbol does: the memory after it, the outputs, the gradient of E."""

    memory: Memory
    outputs: Float[Array, " symbols"]
    gradient: Weights


def init(key: PRNGKey, *, held: ArrayLike = False, dtype=jnp.float32) -> Weights:
    """Returns initial weights: U[-.2, .2], the gates' biases in steps of 1/2 by block.

    Args:
      key: of all weights; those of a net that is `held` are otherwise the same.
      held: whether f = 1 throughout, in place of forget gates.
      dtype: of the weights.
    """
    draw, steps = weights_within(BOUND), jnp.array(STEPS, dtype)
    key_cell, key_outputs = jax.random.split(key)
    cell = CELL.init(
        key_cell,
        SYMBOLS,
        CELLS,
        input_init=draw,
        recurrent_init=draw,
        input_bias=-steps,
        forget_bias=jnp.where(held, HELD, steps).astype(dtype),
        output_bias=-steps,
        dtype=dtype,
    )
    b = jnp.pad(cell.b, (0, CELLS))
    return Weights(
        units=jnp.concatenate([cell.w_ih, cell.w_hh, b[None]]),
        outputs=draw(key_outputs, (CELLS + SYMBOLS + 1, SYMBOLS), dtype),
    )


def as_params(weights: Weights) -> ModelParams:
    """Returns the same weights for `CELL` and a linear readout of [h, x]."""
    w_ih, w_hh, b = jnp.split(weights.units, [SYMBOLS, SYMBOLS + CELLS])
    return ModelParams(
        cell=LSTM2000Params(w_ih=w_ih, w_hh=w_hh, b=b[0, : 3 * BLOCKS]),
        readout=readouts.LinearParams(w=weights.outputs[:-1], b=weights.outputs[-1]),
    )


def empty(weights: Weights) -> Memory:
    """Returns the memory at the beginning of a stream: zero, traces and all."""
    zeros = partial(jnp.zeros, dtype=weights.units.dtype)
    sources = len(weights.units)
    return Memory(zeros(CELLS), zeros(CELLS), zeros((sources, 3, CELLS)))


def step(
    weights: Weights,
    memory: Memory,
    x: Float[Array, " symbols"],
    target: Float[Array, " symbols"],
) -> Step:
    """Returns what happens at one symbol."""
    one = jnp.ones(1, x.dtype)
    r = jnp.concatenate([x, memory.h, one])
    i, f, o, s = _units(jax.nn.sigmoid(_times(r, weights.units)))
    g = 4 * s - 2
    c = f * memory.c + i * g
    squashed = 2 * jax.nn.sigmoid(c) - 1
    h = o * squashed
    u = jnp.concatenate([h, x, one])
    y = jax.nn.sigmoid(_times(u, weights.outputs))

    direct = jnp.stack([_slope(i) * g, _slope(f) * memory.c, i * 4 * _slope(s)])
    trace = f * memory.trace + r[:, None, None] * direct

    delta = (y - target) * _slope(y)
    into_h = (weights.outputs[:CELLS] * delta).sum(1)
    into_c = o * (1 - squashed**2) / 2 * into_h  # H' = (1 - H²) / 2
    into_i, into_f, into_g = jnp.moveaxis(trace * into_c, 1, 0)
    into_o = r[:, None] * _of_blocks(into_h * squashed * _slope(o))
    units = [_of_blocks(into_i), _of_blocks(into_f), into_o, into_g.at[-1].set(0)]
    gradient = Weights(jnp.concatenate(units, axis=1), u[:, None] * delta)
    return Step(Memory(h, c, trace), y, gradient)


def _times(sources: Array, weights: Array) -> Array:
    """Returns sources W; written out, since it fuses with what follows."""
    return (sources[:, None] * weights).sum(0)


def _units(values: Array) -> list[Array]:
    """Returns i, f, o and g, each for every cell."""
    *gates, cells = jnp.split(values, [BLOCKS, 2 * BLOCKS, 3 * BLOCKS])
    return [*(jnp.repeat(gate, BLOCK_SIZE) for gate in gates), cells]


def _slope(activation: Array) -> Array:
    return activation * (1 - activation)


def _of_blocks(values: Array) -> Array:
    """Returns the sums over the cells of each block, along the last axis."""
    return values.reshape(*values.shape[:-1], BLOCKS, BLOCK_SIZE).sum(-1)
