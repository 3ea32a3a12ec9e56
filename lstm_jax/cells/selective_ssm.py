"""Selective state space: Mamba's recurrence, whose time step is set by the event."""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.gru import GRUCarry
from lstm_jax.cells.transitions import Diagonal, advanced
from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, Shape, any_rank

STATE_SIZE = 16  # numbers per channel, as in Mamba
RANGES = ((0, 1), (-1, 1))


class SelectiveSSMParams(NamedTuple):
    """Weights of a selective SSM; w_ih makes v, Δ, B and C, side by side."""

    w_ih: Float[Array, "input parts"]
    b_delta: Float[Array, " hidden"]
    a_log: Float[Array, "hidden state"]
    d: Float[Array, " hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
    state_size: int = STATE_SIZE,
) -> SelectiveSSMParams:
    """Returns initial weights, as Mamba starts them.

        softplus(b_Δ) log-uniform in [0.001, 0.1]
        A_n = -n, n = 1 .. state            D = 1

    `state_size` belongs to the factory. Other arguments and errors as for
    `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    *keys, key_delta = jax.random.split(key, 5)
    widths = (hidden_size, hidden_size, state_size, state_size)
    parts = [
        input_init(k, (input_size, width), dtype)
        for k, width in zip(keys, widths, strict=True)
    ]
    rates = jnp.arange(1, state_size + 1, dtype=dtype)
    return SelectiveSSMParams(
        w_ih=jnp.concatenate(parts, axis=-1),
        b_delta=time_step_biases(key_delta, hidden_size, dtype),
        a_log=jnp.broadcast_to(jnp.log(rates), (hidden_size, state_size)),
        d=jnp.ones((hidden_size,), dtype),
    )


def time_step_biases(key: PRNGKey, number: int, dtype: Any) -> Float[Array, " number"]:
    """Returns b with softplus(b) log-uniform in [0.001, 0.1]."""
    low, high = jnp.log(jnp.asarray([1e-3, 1e-1], dtype))
    delta = jnp.exp(jax.random.uniform(key, (number,), dtype, low, high))
    return delta + jnp.log(-jnp.expm1(-delta))  # softplus gives delta back


def init_carry(params: SelectiveSSMParams, batch_shape: Shape = ()) -> GRUCarry:
    """Returns the empty memory, h = 0, (*batch, hidden, state)."""
    return GRUCarry(h=jnp.zeros((*batch_shape, *params.a_log.shape), params.d.dtype))


class Parts(NamedTuple):
    """What an event says: the value, how long it lasts, where it goes, what is read."""

    v: Float[Array, "*batch hidden"]
    delta: Float[Array, "*batch hidden"]
    b: Float[Array, "*batch state"]
    c: Float[Array, "*batch state"]


def parts_of(params: SelectiveSSMParams, x: Input) -> Parts:
    """Returns v, Δ, B and C of an event."""
    check_input(x, params.w_ih.shape[0])
    hidden_size, state_size = params.a_log.shape
    cuts = (hidden_size, 2 * hidden_size, 2 * hidden_size + state_size)
    v, delta, b, c = jnp.split(x @ params.w_ih, cuts, axis=-1)
    return Parts(v, jax.nn.softplus(delta + params.b_delta), b, c)


@any_rank
def transition(
    params: SelectiveSSMParams, x: Input, signed: bool = False
) -> tuple[Diagonal, GRUCarry]:
    """Returns A = diag(exp(Δ A)) and u = Δ B v."""
    v, delta, b, _ = parts_of(params, x)
    kept = jnp.exp(-delta[..., None] * jnp.exp(params.a_log))
    written = (delta * v)[..., None] * b[..., None, :]
    factors = 2 * kept - 1 if signed else kept
    return Diagonal(GRUCarry(h=factors)), GRUCarry(h=written)


@any_rank
def step(
    params: SelectiveSSMParams, carry: GRUCarry, x: Input, signed: bool = False
) -> tuple[GRUCarry, Hidden]:
    """One step of the selective state space model.

        v, δ, B, C = x W_ih                Δ = softplus(δ + b_Δ)
        h_t = exp(Δ A) * h_{t-1} + Δ v B             A = -exp(a_log)
        y_t = Σ_n C_n h_t[n] + D * v

    Shapes: x (*batch, input), h (*batch, hidden, state), v, Δ and y (*batch, hidden),
    B and C (*batch, state), W_ih (input, 2*hidden + 2*state), b_Δ and D (hidden,),
    a_log (hidden, state).

    A long Δ writes the event and forgets what was before, a short one passes over it.
    Mamba sees x through a convolution and makes Δ by a matrix of low rank; here both
    are left out, and v is as wide as y.

    In the words of the four gates, with one memory h:

        learn     Δ v B
        forget    exp(Δ A) * h_{t-1}
        remember  h_t, the sum of the two
        use       C, which chooses what of the memory is shown

    References:
      Gu & Dao (2023), Mamba, https://arxiv.org/abs/2312.00752
    """
    carry = advanced(*transition(params, x, signed), carry)
    v, _, _, c = parts_of(params, x)
    return carry, jnp.sum(carry.h * c[..., None, :], axis=-1) + params.d * v


SELECTIVE_SSM = Cell(
    name="selective_ssm",
    init=init,
    init_carry=init_carry,
    step=step,
    memory="h",
    family="linear",
    transition=transition,
)


def selective_ssm(
    state_size: int = STATE_SIZE, eigenvalues: tuple[int, int] = (0, 1)
) -> Cell:
    """Returns the cell with so many numbers per channel, and factors in a range.

    With `eigenvalues=(-1, 1)` the factor s = exp(Δ A) of `lj.cells.SELECTIVE_SSM`
    becomes 2 s - 1, which may flip a sign, so that parity can be kept.

    Args:
      state_size: numbers per channel, at least 1.
      eigenvalues: (0, 1) or (-1, 1).

    Raises:
      TypeError: state_size is not a whole number.
      ValueError: an argument is not allowed.

    Example:
      >>> lj.cells.selective_ssm(4, eigenvalues=(-1, 1))
      <Cell 'selective_ssm_4_signed'; memory h>

    References:
      Grazzi et al. (2024), https://arxiv.org/abs/2411.12537
    """
    check_whole("state_size", state_size, 1)
    if eigenvalues not in RANGES:
        raise ValueError(f"eigenvalues: got {eigenvalues!r}; allowed: (0, 1), (-1, 1)")
    signed = tuple(eigenvalues) == (-1, 1)
    if state_size == STATE_SIZE and not signed:
        return SELECTIVE_SSM
    return _selective_ssm(state_size, signed)


@factory
def _selective_ssm(state_size: int, signed: bool) -> Cell:
    def signed_step(params, carry, x):
        return step(params, carry, x, signed=True)

    def signed_transition(params, x):
        return transition(params, x, signed=True)

    name = f"selective_ssm_{state_size}" + "_signed" * signed
    sized = dataclasses.replace(
        SELECTIVE_SSM, name=name, init=partial(init, state_size=state_size)
    )
    if not signed:
        return sized
    return dataclasses.replace(sized, step=signed_step, transition=signed_transition)
