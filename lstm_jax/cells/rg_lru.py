"""RG-LRU: Griffin's memory, whose fading and writing are gated by the event alone."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.gru import GRUCarry
from lstm_jax.cells.lru import ring_rates
from lstm_jax.cells.transitions import Diagonal, advanced
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, Scalar, Shape, any_rank

SHARPNESS = 8.0  # c


class RGLRUParams(NamedTuple):
    """Weights of an RG-LRU; w_ih makes r, i and v, side by side."""

    w_ih: Float[Array, "input parts"]
    b: Float[Array, " parts"]
    a_param: Float[Array, " hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    r_min: Scalar = 0.9,
    r_max: Scalar = 0.999,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> RGLRUParams:
    """Returns initial weights, each third of W_ih drawn independently; b = 0.

        exp(-softplus(Λ))² ~ U[r_min², r_max²]

    as in the authors' code. Where x says nothing r = 1/2, and the memory is kept by the
    fourth power of that number. Other arguments and errors as for
    `lstm_jax.cells.lru.init` and `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    key_in, key_ring = jax.random.split(key)
    rates = ring_rates(key_ring, hidden_size, r_min, r_max, dtype)
    shape = (input_size, hidden_size)
    return RGLRUParams(
        w_ih=initializers.per_gate(input_init, key_in, shape, 3, dtype),
        b=jnp.zeros((3 * hidden_size,), dtype),
        a_param=jnp.log(jnp.expm1(rates)),  # softplus gives the rates back
    )


def init_carry(params: RGLRUParams, batch_shape: Shape = ()) -> GRUCarry:
    """Returns the empty memory, h = 0."""
    shape = (*batch_shape, *params.a_param.shape)
    return GRUCarry(h=jnp.zeros(shape, params.b.dtype))


@any_rank
def transition(params: RGLRUParams, x: Input) -> tuple[Diagonal, GRUCarry]:
    """Returns A = diag(a) and u = sqrt(1 - a²) * i * v."""
    check_input(x, params.w_ih.shape[0])
    r, i, v = jnp.split(x @ params.w_ih + params.b, 3, axis=-1)
    log_a = -SHARPNESS * jax.nn.sigmoid(r) * jax.nn.softplus(params.a_param)
    # The slope of sqrt is infinite at 0, where a gate that is shut ends by rounding.
    lost = jnp.maximum(-jnp.expm1(2 * log_a), jnp.finfo(log_a.dtype).tiny)
    u = jnp.sqrt(lost) * jax.nn.sigmoid(i) * v
    return Diagonal(GRUCarry(h=jnp.exp(log_a))), GRUCarry(h=u)


@any_rank
def step(params: RGLRUParams, carry: GRUCarry, x: Input) -> tuple[GRUCarry, Hidden]:
    """One step of the real-gated linear recurrent unit.

        r = σ(x W_r + b_r)       i = σ(x W_i + b_i)       v = x W_v + b_v
        a = exp(-c softplus(Λ) r)                         c = 8
        h_t = a * h_{t-1} + sqrt(1 - a²) * (i * v)        y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, 3*hidden) with thirds
    r, i and v, b (3*hidden,), Λ (hidden,), named a_param.

    a = σ(-Λ)^(c r) is in (0, 1), and r = 0 keeps the memory as it is. With
    sqrt(1 - a²) white noise leaves no stronger than it enters: a² + (1 - a²) = 1 for
    the squares, while for |v| <= 1 the memory itself is below sqrt((1 + a)/(1 - a)) of
    the largest a. In Griffin the gates are block-diagonal maps of v, which comes from a
    convolution; a reset step writes i * v without the root; and the slope of the root
    is cut at 1000. Here none of this is so.

    In the words of the four gates, with one memory h:

        learn     sqrt(1 - a²) * i * v
        forget    a * h_{t-1}
        remember  h_t, the sum of the two
        use       none: all of the memory is shown

    References:
      De et al. (2024), Griffin, https://arxiv.org/abs/2402.19427
    """
    carry = advanced(*transition(params, x), carry)
    return carry, carry.h


RG_LRU = Cell(
    name="rg_lru",
    init=init,
    init_carry=init_carry,
    step=step,
    memory="h",
    family="linear",
    transition=transition,
)
