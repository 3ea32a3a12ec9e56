"""Signed minGRU: a factor in (-1, 1), with which a linear memory can count to two."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.gru import GRUCarry
from lstm_jax.cells.transitions import Diagonal, advanced
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Shape, any_rank


class SignedMinGRUParams(NamedTuple):
    """Weights of a signed minGRU: factor a, gate z and candidate n side by side."""

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
) -> SignedMinGRUParams:
    """Returns initial weights, each third drawn independently.

    `forget_bias` is that of a σ: the bias of a is atanh(σ(forget_bias)), so that
    σ(forget_bias) of the memory is kept where x says nothing. Other arguments and
    errors as for `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    bias = biases(hidden_size, dtype, forget_bias=forget_bias)
    # atanh(s) = ln((1 + s) / (1 - s)) / 2, where 1 - σ(bias) = σ(-bias) may round to 0
    keeping = (jnp.log1p(jax.nn.sigmoid(bias)) - jax.nn.log_sigmoid(-bias)) / 2
    shape = (input_size, hidden_size)
    return SignedMinGRUParams(
        w_ih=initializers.per_gate(input_init, key, shape, 3, dtype),
        b=jnp.concatenate([keeping, jnp.zeros((2 * hidden_size,), dtype)]),
    )


def init_carry(params: SignedMinGRUParams, batch_shape: Shape = ()) -> GRUCarry:
    """Returns the empty memory, h = 0."""
    hidden_size = params.b.shape[0] // 3
    return GRUCarry(h=jnp.zeros((*batch_shape, hidden_size), params.b.dtype))


@any_rank
def transition(params: SignedMinGRUParams, x: Input) -> tuple[Diagonal, GRUCarry]:
    """Returns A = diag(a) and u = z * n."""
    check_input(x, params.w_ih.shape[0])
    a, z, n = jnp.split(x @ params.w_ih + params.b, 3, axis=-1)
    return Diagonal(GRUCarry(h=jnp.tanh(a))), GRUCarry(h=jax.nn.sigmoid(z) * n)


@any_rank
def step(
    params: SignedMinGRUParams, carry: GRUCarry, x: Input
) -> tuple[GRUCarry, Hidden]:
    """One step of the signed minGRU.

        a = tanh(x W_a + b_a)       z = σ(x W_z + b_z)       n = x W_n + b_n
        h_t = a * h_{t-1} + z * n                     y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, 3*hidden) with thirds a,
    z and n, b (3*hidden,).

    It is a minGRU with tanh in place of 1 - z. A factor of -1 flips the memory: h_t =
    1 - h_{t-1} at every one keeps the parity of a string of bits, which factors in
    (0, 1) cannot.

    In the words of the four gates, with one memory h:

        learn     z * n
        forget    a * h_{t-1}, whose sign may turn
        remember  h_t, the sum of the two
        use       none: all of the memory is shown

    References:
      Feng et al. (2024), https://arxiv.org/abs/2410.01201, for the minGRU
      Grazzi et al. (2024), https://arxiv.org/abs/2411.12537, for the sign
    """
    carry = advanced(*transition(params, x), carry)
    return carry, carry.h


SIGNED_MIN_GRU = Cell(
    name="signed_min_gru",
    init=init,
    init_carry=init_carry,
    step=step,
    memory="h",
    family="linear",
    transition=transition,
)
