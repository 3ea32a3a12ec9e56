"""coRNN: units that are damped oscillators, driven by one another and by the event.

Its `init` takes the options of the Elman RNN; `gain` scales w_hh and w_zh. The authors
draw all weights and biases from U[-a, a] with a = 1 / sqrt(input + 2 hidden).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input
from lstm_jax.cells.rnn import init as init_rnn
from lstm_jax.checks import check_number
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, Scalar, Shape, any_rank


class CoRNNParams(NamedTuple):
    """Weights of a coRNN: of the event, of all positions and of all velocities."""

    w_ih: Float[Array, "input hidden"]
    w_hh: Float[Array, "hidden hidden"]
    w_zh: Float[Array, "hidden hidden"]
    b: Float[Array, " hidden"]


class CoRNNCarry(NamedTuple):
    """Positions y of the oscillators, which are also the output, and velocities z."""

    y: Float[Array, "*batch hidden"]
    z: Float[Array, "*batch hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    recurrent_init: Initializer = initializers.orthogonal,
    dtype: Any = jnp.float32,
) -> CoRNNParams:
    """Returns initial weights; the biases are zero.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; `recurrent_init` draws w_hh
    and w_zh.
    """
    options = {"gain": gain, "recurrent_init": recurrent_init, "dtype": dtype}
    key_y, key_z = jax.random.split(key)
    of_y = init_rnn(key_y, input_size, hidden_size, input_init=input_init, **options)
    of_z = init_rnn(key_z, input_size, hidden_size, **options)
    return CoRNNParams(w_ih=of_y.w_ih, w_hh=of_y.w_hh, w_zh=of_z.w_hh, b=of_y.b)


def init_carry(params: CoRNNParams, batch_shape: Shape = ()) -> CoRNNCarry:
    """Returns oscillators at rest, y = z = 0."""
    zeros = jnp.zeros((*batch_shape, *params.b.shape), params.b.dtype)
    return CoRNNCarry(y=zeros, z=zeros)


def co_rnn(
    dt: int | float = 0.042, gamma: int | float = 2.7, epsilon: int | float = 4.7
) -> Cell:
    """Returns the coRNN.

        n = tanh(x_t W_ih + y_{t-1} W_hh + z_{t-1} W_zh + b)
        z_t = z_{t-1} + Δt (n - γ y_{t-1} - ε z_{t-1})
        y_t = y_{t-1} + Δt z_t                                   shown: y_t

    Shapes: x (*batch, input), y, z and n (*batch, hidden), W_ih (input, hidden), W_hh
    and W_zh (hidden, hidden), b (hidden,).

    It has none of the four gates: all of the memory is kept, and a little is learned on
    top. Where n is silent, each unit is an oscillator whose step has the eigenvalues
    λ² - (2 - Δt ε - Δt² γ) λ + 1 - Δt ε = 0, so that it keeps sqrt(1 - Δt ε) a step
    if it swings, and with ε = 0 everything. If W_zh = 0, volumes of (y, z) shrink by
    (1 - Δt ε)^hidden at every step, whatever is read.

    Args:
      dt: step Δt, above 0. The defaults are the authors' for sequential MNIST; to add
        over 100 steps they take 0.06, 66 and 15.
      gamma: frequency γ, at least 0.
      epsilon: damping ε, at least 0.

    Raises:
      ValueError: an argument is not allowed.

    Example:
      >>> lj.cells.co_rnn() is lj.cells.CO_RNN
      True
      >>> lj.cells.co_rnn(epsilon=0)
      <Cell 'co_rnn_dt_0.042_gamma_2.7_epsilon_0'; gates n; memory y>

    References:
      Rusch & Mishra (2021), https://arxiv.org/abs/2010.00951
      its code, https://github.com/tk-rusch/coRNN
    """
    check_number("dt", dt, "(0, inf)")
    check_number("gamma", gamma, "[0, inf)")
    check_number("epsilon", epsilon, "[0, inf)")
    return _co_rnn(float(dt), float(gamma), float(epsilon))


# Apart from `co_rnn`, so that every way of calling it gives the same cell.
@factory
def _co_rnn(dt: float, gamma: float, epsilon: float) -> Cell:
    @any_rank
    def step(
        params: CoRNNParams, carry: CoRNNCarry, x: Input
    ) -> tuple[CoRNNCarry, Hidden]:
        check_input(x, params.w_ih.shape[0])
        y, z = carry
        n = jnp.tanh(x @ params.w_ih + y @ params.w_hh + z @ params.w_zh + params.b)
        z = z + dt * (n - gamma * y - epsilon * z)
        y = y + dt * z
        return CoRNNCarry(y=y, z=z), y

    default = (dt, gamma, epsilon) == (0.042, 2.7, 4.7)
    settings = "" if default else f"_dt_{dt:g}_gamma_{gamma:g}_epsilon_{epsilon:g}"
    return Cell(
        name=f"co_rnn{settings}",
        init=init,
        init_carry=init_carry,
        step=step,
        gates=("n",),
        memory="y",
        family="rnn",
    )


CO_RNN = co_rnn()
