"""IndRNN: each unit remembers only itself, with a single weight."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.rnn import RNNCarry, init_carry
from lstm_jax.checks import check_number, check_type
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, Scalar, any_rank


class IndRNNParams(NamedTuple):
    """Weights of an IndRNN; u is the diagonal that takes the place of W_hh."""

    w_ih: Float[Array, "input hidden"]
    u: Float[Array, " hidden"]
    b: Float[Array, " hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    smallest: Scalar = 0.0,
    largest: Scalar = 1.0,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> IndRNNParams:
    """Returns initial weights, u ~ U[smallest, largest]; the biases are zero.

    For a last layer that is read only at the last step, the authors' code starts u at 1
    or near it. `gain` is a factor on u; other arguments and errors as for
    `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, gain, input_init)
    key_ih, key_u = jax.random.split(key)
    low, high = jnp.asarray(smallest, dtype), jnp.asarray(largest, dtype)
    u = jax.random.uniform(key_u, (hidden_size,), dtype, low, high)
    return IndRNNParams(
        w_ih=input_init(key_ih, (input_size, hidden_size), dtype),
        u=u * jnp.asarray(gain, dtype),
        b=jnp.zeros((hidden_size,), dtype),
    )


@any_rank
def step(params: IndRNNParams, carry: RNNCarry, x: Input) -> tuple[RNNCarry, Hidden]:
    """One step of the IndRNN.

        h_t = max(0, x_t W_ih + u * h_{t-1} + b)      y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, hidden), u and b
    (hidden,). Units meet in the next layer, so it is used in stacks.

    It has none of the four gates; an active unit keeps the share u of its memory at
    every step, whatever the event, so over n steps the gradient of a unit is exactly
    u^n. `clip_indrnn` keeps that from growing.

    References:
      Li, Li, Cook, Zhu & Gao (2018), https://arxiv.org/abs/1803.04831
      its code, https://github.com/Sunnydreamrain/IndRNN_pytorch
    """
    check_input(x, params.w_ih.shape[0])
    h = jax.nn.relu(x @ params.w_ih + params.u * carry.h + params.b)
    return RNNCarry(h=h), h


def clip_indrnn(
    params: IndRNNParams, max_lag: Scalar, gamma: Scalar = 2.0
) -> IndRNNParams:
    """Returns the params with |u| <= gamma^(1 / max_lag); call it after every update.

    No gradient then grows by more than `gamma` over `max_lag` steps; 2 is the paper's
    choice for the adding problem.

    Example:
      >>> params = lj.cells.INDRNN.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> large = params._replace(u=jnp.full(4, 9.0))
      >>> round(float(lj.cells.clip_indrnn(large, max_lag=100).u.max()), 3)
      1.007
    """
    check_type("params", params, IndRNNParams, "IndRNNParams, of an IndRNN itself")
    check_number("max_lag", max_lag, "(0, inf)")
    check_number("gamma", gamma, "(0, inf)")
    exponent = 1 / jnp.asarray(max_lag, params.u.dtype)
    bound = jnp.asarray(gamma, params.u.dtype) ** exponent
    return IndRNNParams(
        w_ih=params.w_ih, u=jnp.clip(params.u, -bound, bound), b=params.b
    )


INDRNN = Cell(
    name="indrnn",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("h",),
    family="rnn",
)
