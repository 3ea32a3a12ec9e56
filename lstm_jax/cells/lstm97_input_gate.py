"""LSTM of 1997 with only an input gate: a carousel that is always shown.

The net of experiment 2a, whose sequences are free of noise: nothing has to be held
back, so there is no output gate, and no unit reads an earlier output.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, Shape, any_rank


class LSTM97InputGateParams(NamedTuple):
    """Weights of i and g, side by side; there are no others."""

    w_ih: Float[Array, "input units"]


class LSTM97InputGateCarry(NamedTuple):
    """The sum of all that was learned."""

    c: Float[Array, "*batch hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> LSTM97InputGateParams:
    """Returns initial weights, i and g drawn independently.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; hidden_size counts cells.
    The paper has one, and draws from U[-0.2, 0.2].
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    shape = (input_size, hidden_size)
    w_ih = initializers.per_gate(input_init, key, shape, 2, dtype)
    return LSTM97InputGateParams(w_ih=w_ih)


def init_carry(
    params: LSTM97InputGateParams, batch_shape: Shape = ()
) -> LSTM97InputGateCarry:
    """Returns empty memories, c = 0."""
    cells = params.w_ih.shape[1] // 2
    return LSTM97InputGateCarry(c=jnp.zeros((*batch_shape, cells), params.w_ih.dtype))


@any_rank
def step(
    params: LSTM97InputGateParams, carry: LSTM97InputGateCarry, x: Input
) -> tuple[LSTM97InputGateCarry, Hidden]:
    """One step of the net of Hochreiter & Schmidhuber (1997), experiment 2a.

        i = σ(x_t W_i)
        g = σ(x_t W_g)                          in (0, 1), not (-2, 2) as in `lstm97`
        c_t = c_{t-1} + i * g                   y_t = c_t, as it is

    Shapes: x (*batch, input), c (*batch, hidden), W_ih (input, 2*hidden) is [W_i, W_g].
    dc_t/dc_{t-1} = 1 is the only way back in time, so back-propagation through time
    gives the truncated gradient of the paper.

    In the words of the four gates it learns i * g, forgets nothing, remembers the sum
    and uses all of it. The paper's output units read the inputs too.

    References:
      Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735
    """
    check_input(x, params.w_ih.shape[0])
    i, g = jnp.split(jax.nn.sigmoid(x @ params.w_ih), 2, axis=-1)
    c = carry.c + i * g
    return LSTM97InputGateCarry(c=c), c


LSTM97_INPUT_GATE = Cell(
    name="lstm97_input_gate",
    init=init,
    init_carry=init_carry,
    step=step,
    memory="c",
    family="early_lstm",
)
