"""Rotation RNN: pairs of numbers that the event turns, by an angle, and lets fade."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.transitions import Rotation, advanced
from lstm_jax.checks import check_number
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, Shape, any_rank


class RotationRNNParams(NamedTuple):
    """Weights of a rotation RNN; w_ih makes φ, z, p and q, side by side."""

    w_ih: Float[Array, "input parts"]
    b: Float[Array, " parts"]
    c_p: Float[Array, "hidden hidden"]
    c_q: Float[Array, "hidden hidden"]


class RotationRNNCarry(NamedTuple):
    """The memory of a rotation RNN, the two numbers of each pair."""

    p: Float[Array, "*batch hidden"]
    q: Float[Array, "*batch hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: PerUnit = 1.0,
    max_phase: Scalar = 2 * jnp.pi,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> RotationRNNParams:
    """Returns initial weights, each quarter of W_ih drawn independently.

        b_φ ~ U[0, max_phase]             C_p, C_q ~ N(0, 1 / hidden)

    `hidden_size` is the number of pairs, and the width of y. `forget_bias` is the bias
    of 1 - z, so that a pair keeps σ(forget_bias) of its length where x says nothing;
    `max_phase` is in radians. Other arguments and errors as for
    `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    check_number("max_phase", max_phase, "(0, inf)")
    keeping = biases(hidden_size, dtype, forget_bias=forget_bias)
    key_in, key_phase, *keys = jax.random.split(key, 4)
    phases = jax.random.uniform(key_phase, (hidden_size,), dtype)
    c_p, c_q = (
        initializers.gaussian(k, (hidden_size, hidden_size), dtype) for k in keys
    )
    nothing = jnp.zeros((2 * hidden_size,), dtype)
    return RotationRNNParams(
        w_ih=initializers.per_gate(
            input_init, key_in, (input_size, hidden_size), 4, dtype
        ),
        b=jnp.concatenate([jnp.asarray(max_phase, dtype) * phases, -keeping, nothing]),
        c_p=c_p,
        c_q=c_q,
    )


def init_carry(params: RotationRNNParams, batch_shape: Shape = ()) -> RotationRNNCarry:
    """Returns the empty memory, zeros."""
    nothing = jnp.zeros((*batch_shape, len(params.c_p)), params.b.dtype)
    return RotationRNNCarry(p=nothing, q=nothing)


@any_rank
def transition(
    params: RotationRNNParams, x: Input
) -> tuple[Rotation, RotationRNNCarry]:
    """Returns A, blocks of (1 - z) R(φ), and u = z * (p, q)."""
    check_input(x, params.w_ih.shape[0])
    angle, z, p, q = jnp.split(x @ params.w_ih + params.b, 4, axis=-1)
    kept, z = jax.nn.sigmoid(-z), jax.nn.sigmoid(z)
    turn = Rotation(kept * jnp.cos(angle), kept * jnp.sin(angle))
    return turn, RotationRNNCarry(p=z * p, q=z * q)


@any_rank
def step(
    params: RotationRNNParams, carry: RotationRNNCarry, x: Input
) -> tuple[RotationRNNCarry, Hidden]:
    """One step of the rotation RNN.

        φ = x W_φ + b_φ        z = σ(x W_z + b_z)        v = (x W_p + b_p, x W_q + b_q)
        h_t = (1 - z) * R(φ) h_{t-1} + z * v             R(φ) = [[cos φ, -sin φ],
        y_t = p_t C_p + q_t C_q                                  [sin φ,  cos φ]]

    Shapes: x (*batch, input), h = (p, q) pairs, carried as two leaves (*batch, hidden),
    φ, z and y (*batch, hidden), W_ih (input, 4*hidden) with quarters φ, z, p and q,
    b (4*hidden,), C_p and C_q (hidden, hidden).

    It is a minGRU whose factor 1 - z turns as well. A block has the determinant
    (1 - z)² and is (1 - z) times a rotation, so that no pair gets longer than the
    longest v and its own start; with z = 0 its length, and the gradient's, stay. A turn
    by 2π/m at an event counts such events modulo m, which real factors can for m = 2
    alone. All blocks commute: what depends on the order of events is out of reach.

    In the words of the four gates, with one memory h:

        learn     z * v
        forget    (1 - z) * R(φ) h_{t-1}, which also turns
        remember  h_t, the sum of the two
        use       none: all of the memory is shown, mixed

    References:
      Feng et al. (2024), https://arxiv.org/abs/2410.01201, for the minGRU
      Orvieto et al. (2023), https://arxiv.org/abs/2303.06349, for complex factors
    """
    carry = advanced(*transition(params, x), carry)
    return carry, carry.p @ params.c_p + carry.q @ params.c_q


ROTATION_RNN = Cell(
    name="rotation_rnn",
    init=init,
    init_carry=init_carry,
    step=step,
    family="linear",
    transition=transition,
)
