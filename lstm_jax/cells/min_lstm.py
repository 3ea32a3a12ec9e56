"""minLSTM: two gates that see the event alone, shares of one whole."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.gru import GRUCarry
from lstm_jax.cells.min_gru import log_space_form, positive
from lstm_jax.cells.transitions import Diagonal, advanced
from lstm_jax.checks import check_flag
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Shape, any_rank


class MinLSTMParams(NamedTuple):
    """Weights of a minLSTM: f, i and the candidate n side by side."""

    w_ih: Float[Array, "input gates"]
    b: Float[Array, " gates"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: PerUnit = 1.0,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> MinLSTMParams:
    """Returns initial weights, each third drawn independently.

    `forget_bias` is the bias of f, and its negative that of i, so that σ(forget_bias)
    of the memory is kept where x says nothing. Other arguments and errors as for
    `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    keeping = biases(hidden_size, dtype, forget_bias=forget_bias)
    shape = (input_size, hidden_size)
    return MinLSTMParams(
        w_ih=initializers.per_gate(input_init, key, shape, 3, dtype),
        b=jnp.concatenate([keeping, -keeping, jnp.zeros_like(keeping)]),
    )


def init_carry(params: MinLSTMParams, batch_shape: Shape = ()) -> GRUCarry:
    """Returns the empty memory, h = 0."""
    hidden_size = params.b.shape[0] // 3
    return GRUCarry(h=jnp.zeros((*batch_shape, hidden_size), params.b.dtype))


@any_rank
def transition(
    params: MinLSTMParams, x: Input, log_space: bool = False
) -> tuple[Diagonal, GRUCarry]:
    """Returns A = diag(f / (f + i)) and u = i / (f + i) * n."""
    check_input(x, params.w_ih.shape[0])
    f, i, n = jnp.split(x @ params.w_ih + params.b, 3, axis=-1)
    # σ(f) / (σ(f) + σ(i)), in logarithms: both may be so small that their sum is 0.
    kept = jax.nn.sigmoid(jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i))
    n = positive(n) if log_space else n
    return Diagonal(GRUCarry(h=kept)), GRUCarry(h=(1 - kept) * n)


@any_rank
def step(
    params: MinLSTMParams, carry: GRUCarry, x: Input, log_space: bool = False
) -> tuple[GRUCarry, Hidden]:
    """One step of the minLSTM.

        f = σ(x W_f + b_f)          i = σ(x W_i + b_i)          n = x W_n + b_n
        h_t = f / (f + i) * h_{t-1} + i / (f + i) * n           y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, 3*hidden) with thirds f,
    i and n, b (3*hidden,).

    The two shares add up to one, so that the memory is a weighted mean of candidates:
    it keeps its scale over any time. It has no output gate, and shows all it keeps.

    In the words of the four gates, with one memory h:

        learn     i / (f + i) * n
        forget    f / (f + i) * h_{t-1}
        remember  h_t, the sum of the two
        use       none: all of the memory is shown

    References:
      Feng et al. (2024), Were RNNs all we needed?, https://arxiv.org/abs/2410.01201
    """
    carry = advanced(*transition(params, x, log_space), carry)
    return carry, carry.h


MIN_LSTM = Cell(
    name="min_lstm",
    init=init,
    init_carry=init_carry,
    step=step,
    memory="h",
    family="linear",
    transition=transition,
)


def min_lstm(*, log_space: bool = False) -> Cell:
    """Returns the cell of `lj.cells.MIN_LSTM`, or the one of its log-space form.

    For what that form is see `lj.cells.min_gru`.

    Example:
      >>> lj.cells.min_lstm(log_space=True)
      <Cell 'min_lstm_log_space'; memory h>
    """
    check_flag("log_space", log_space)
    return log_space_form(MIN_LSTM) if log_space else MIN_LSTM
