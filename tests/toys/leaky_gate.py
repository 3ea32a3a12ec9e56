"""A toy cell: what one gate keeps, and nothing else. Copied to lstm_jax/cells/."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input, gate_weights
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, Shape, any_rank


class LeakyGateParams(NamedTuple):
    """Weights of the gate and of what it lets in, side by side."""

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]


class LeakyGateCarry(NamedTuple):
    """The memory, which is also the output."""

    c: Float[Array, "*batch hidden"]


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
) -> LeakyGateParams:
    """Returns initial weights, each gate drawn on its own."""
    weights = gate_weights(
        key, input_size, hidden_size, 2, gain, input_init, recurrent_init, dtype
    )
    b = biases(hidden_size, dtype, forget_bias=forget_bias, candidate=0.0)
    return LeakyGateParams(*weights, b)


def init_carry(params: LeakyGateParams, batch_shape: Shape = ()) -> LeakyGateCarry:
    """Returns the empty memory, c = 0."""
    shape = *batch_shape, params.w_hh.shape[0]
    return LeakyGateCarry(c=jnp.zeros(shape, params.b.dtype))


@any_rank
def step(
    params: LeakyGateParams, carry: LeakyGateCarry, x: Input
) -> tuple[LeakyGateCarry, Hidden]:
    """c_t = σ(f) * c_{t-1} + sin(g), with f and g affine in x_t and c_{t-1}."""
    check_input(x, params.w_ih.shape[0])
    z = x @ params.w_ih + carry.c @ params.w_hh + params.b
    f, g = jnp.split(z, 2, axis=-1)
    c = jax.nn.sigmoid(f) * carry.c + jnp.sin(g)
    return LeakyGateCarry(c=c), c


LEAKY_GATE = Cell(
    name="leaky_gate",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("f", "g"),
    memory="c",
    family="toys",
)
