"""MGU: a GRU with one gate that both resets and keeps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input, gate_weights
from lstm_jax.cells.gru import GRUCarry, init_carry
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, any_rank


class MGUParams(NamedTuple):
    """Weights of an MGU, stacked f, n along the last axis; b_hn as in a GRU."""

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]
    b_hn: Float[Array, " hidden"]


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
) -> MGUParams:
    """Returns initial weights, each gate drawn independently.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; `forget_bias` is
    that of f, which keeps.
    """
    w_ih, w_hh = gate_weights(
        key, input_size, hidden_size, 2, gain, input_init, recurrent_init, dtype
    )
    b = biases(hidden_size, dtype, forget_bias=forget_bias, candidate=0.0)
    return MGUParams(w_ih=w_ih, w_hh=w_hh, b=b, b_hn=jnp.zeros((hidden_size,), dtype))


@any_rank
def step(params: MGUParams, carry: GRUCarry, x: Input) -> tuple[GRUCarry, Hidden]:
    """One step of the MGU as in Flax; f is the share that is KEPT.

        f = σ(x W_if + h_{t-1} W_hf + b_f)
        n = tanh(x W_in + b_n + f * (h_{t-1} W_hn + b_hn))
        h_t = f * h_{t-1} + (1 - f) * n                y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, 2*hidden) with halves
    W_if and W_in, W_hh (hidden, 2*hidden) with halves W_hf and W_hn, b (2*hidden,),
    b_hn (hidden,).

    The paper differs in two ways: its f is the share that is LEARNED,
    h_t = (1 - f) * h_{t-1} + f * n, and it resets before the product,
    n = tanh(x W_in + (f * h_{t-1}) W_hn + b_n). There a unit that learns reads its
    memory; here a unit that keeps does.

    In the words of the four gates, with one memory h:

        learn     (1 - f) * n
        forget    f * h_{t-1}
        remember  h_t, the sum of the two
        use       none: all of the memory is shown

    References:
      Zhou, Wu, Zhang & Zhou (2016), https://arxiv.org/abs/1603.09420
      flax.linen.MGUCell, https://flax.readthedocs.io
    """
    check_input(x, params.w_ih.shape[0])
    x_f, x_n = jnp.split(x @ params.w_ih + params.b, 2, axis=-1)
    h_f, h_n = jnp.split(carry.h @ params.w_hh, 2, axis=-1)
    f = jax.nn.sigmoid(x_f + h_f)
    n = jnp.tanh(x_n + f * (h_n + params.b_hn))
    h = f * carry.h + (1 - f) * n
    return GRUCarry(h=h), h


MGU = Cell(
    name="mgu",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("f", "n"),
    memory="h",
    family="gru",
)
