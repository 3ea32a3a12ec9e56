"""LSTM with a forget gate: what every library means by the name."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input, gate_weights
from lstm_jax.cells.gate_activations import gate_activation_of
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.checks import check_array
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, Shape, any_rank


class LSTMParams(NamedTuple):
    """Weights of an LSTM, its gates stacked i, f, g, o along the last axis."""

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]


class LSTMCarry(NamedTuple):
    """Short-term memory h, which is also the output, and long-term memory c."""

    h: Float[Array, "*batch hidden"]
    c: Float[Array, "*batch hidden"]


class Gates(NamedTuple):
    """The gates of one step: i, f, o in (0, 1) and the candidate g in (-1, 1)."""

    i: Hidden
    f: Hidden
    g: Hidden
    o: Hidden


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
) -> LSTMParams:
    """Returns initial weights, each gate drawn independently.

    Args:
      key: a typed key.
      input_size: features of one input, at least 1.
      hidden_size: units, at least 1.
      input_bias: bias of the input gate: one number, or one per unit.
      forget_bias: bias of the forget gate, likewise; the other biases are zero.
      gain: factor on w_hh.
      input_init: draws w_ih, gate by gate.
      recurrent_init: draws w_hh, gate by gate.
      dtype: of all weights.

    Raises:
      ValueError: a size is below 1, or a bias has a wrong number of units.
    """
    w_ih, w_hh = gate_weights(
        key, input_size, hidden_size, 4, gain, input_init, recurrent_init, dtype
    )
    b = biases(
        hidden_size,
        dtype,
        input_bias=input_bias,
        forget_bias=forget_bias,
        candidate=0.0,
        output=0.0,
    )
    return LSTMParams(w_ih=w_ih, w_hh=w_hh, b=b)


def init_carry(params: Any, batch_shape: Shape = ()) -> LSTMCarry:
    """Returns empty memories, h = c = 0."""
    hidden_size, dtype = params.w_hh.shape[0], params.b.dtype
    zeros = jnp.zeros((*batch_shape, hidden_size), dtype)
    return LSTMCarry(h=zeros, c=zeros)


@any_rank
def lstm_gates(
    params: LSTMParams, h: Hidden, x: Input, gate_activation: str = "sigmoid"
) -> Gates:
    """Returns the gates of the step that reads h_{t-1} and x_t.

    i, f, o = σ(x W_ih + h W_hh + b),   g = tanh(x W_ih + h W_hh + b)

    each from its own quarter of the stacked weights; `gate_activation` names σ, as in
    `lj.cells.lstm`.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> gates = lj.lstm_gates(params, jnp.zeros(4), jnp.ones(3))
      >>> gates._fields, gates.f.shape
      (('i', 'f', 'g', 'o'), (4,))
    """
    check_array("h", h, "an array (*batch, hidden), the h of a carry")
    check_input(x, params.w_ih.shape[0])
    z = x @ params.w_ih + h @ params.w_hh + params.b
    i, f, g, o = jnp.split(z, 4, axis=-1)
    sigma = gate_activation_of(gate_activation)
    return Gates(i=sigma(i), f=sigma(f), g=jnp.tanh(g), o=sigma(o))


@any_rank
def step(
    params: LSTMParams, carry: LSTMCarry, x: Input, gate_activation: str = "sigmoid"
) -> tuple[LSTMCarry, Hidden]:
    """One step of the LSTM.

        i, f, g, o = lstm_gates(params, h_{t-1}, x_t)
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)                           y_t = h_t

    Shapes: x (*batch, input), h and c (*batch, hidden), W_ih (input, 4*hidden),
    W_hh (hidden, 4*hidden), b (4*hidden,).

    In the words of the four gates (`lstm_jax.cells.four_gate`), with long-term memory
    c and short-term memory h:

        learn     i * g            i is the "ignore factor", g the candidate N
        forget    f * c_{t-1}
        remember  c_t, the sum of the two
        use       o * tanh(c_t)    reads the NEW long-term memory, without a W_u

    References:
      Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735
      Gers, Schmidhuber & Cummins (2000), https://doi.org/10.1162/089976600300015015
    """
    i, f, g, o = lstm_gates(params, carry.h, x, gate_activation)
    c = f * carry.c + i * g
    h = o * jnp.tanh(c)
    return LSTMCarry(h=h, c=c), h


LSTM = Cell(
    name="lstm",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("i", "f", "g", "o"),
    memory="c",
    family="lstm",
)


def lstm(gate_activation: str = "sigmoid", *, heads: int = 1) -> Cell:
    """Returns the LSTM whose gates i, f and o are made by σ = `gate_activation`.

    The equations are those of `lj.LSTM`, with

        sigmoid              1 / (1 + exp(-z))
        hard_sigmoid         z / 6 + 1/2, clipped to [0, 1]: Keras from version 3
        hard_sigmoid_keras2  z / 5 + 1/2, clipped to [0, 1]: Keras before, and ONNX

    A clipped gate is closed, or open, for good: a memory times f = 1 loses nothing, and
    where a gate is clipped no gradient goes through it.

    Args:
      gate_activation: one of these names.
      heads: at least 1, as in `lj.cells.block_diagonal`.

    Raises:
      ValueError: another name, or no heads.

    Example:
      >>> lj.cells.lstm("hard_sigmoid")
      <Cell 'lstm_hard_sigmoid'; gates i, f, g, o; memory c>
      >>> lj.cells.lstm(heads=2)
      <Cell 'lstm_2_heads'; gates i, f, g, o; memory c>
      >>> lj.cells.lstm() is lj.LSTM
      True

    References:
      Keras, https://keras.io/api/layers/activations/
    """
    gate_activation_of(gate_activation)
    cell = LSTM if gate_activation == "sigmoid" else _lstm(gate_activation)
    return block_diagonal(cell, heads)


@factory
def _lstm(gate_activation: str) -> Cell:
    def hard_step(params, carry, x):
        return step(params, carry, x, gate_activation)

    name = f"lstm_{gate_activation}"
    return dataclasses.replace(LSTM, name=name, step=hard_step)
