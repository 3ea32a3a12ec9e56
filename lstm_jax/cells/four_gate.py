"""The LSTM as it is taught with four gates: learn, forget, remember, use.

The cell of Luis Serrano's lesson in the Udacity deep-learning course. An event comes
in; a long-term memory (LTM) and a short-term memory (STM) are carried:

    learn     N_t = tanh([STM_{t-1}, E_t] W_n + b_n)     what is new
              i_t = σ([STM_{t-1}, E_t] W_i + b_i)        how much of it is not ignored
              learned_t = N_t * i_t
    forget    f_t = σ([STM_{t-1}, E_t] W_f + b_f)
              kept_t = LTM_{t-1} * f_t
    remember  LTM_t = kept_t + learned_t
    use       U_t = tanh(kept_t W_u + b_u)
              V_t = σ([STM_{t-1}, E_t] W_v + b_v)
              STM_t = U_t * V_t                          also the prediction

Shapes: event (*batch, input), STM and LTM (*batch, hidden); W_n, W_i, W_f, W_v
(hidden + input, hidden), rows of STM first; W_u (hidden, hidden); biases (hidden,).
In all 5 H² + 4 H D + 5 H parameters.

Its letters in the standard LSTM (`lstm_jax.cells.lstm`): N = g, i = i, f = f, V = o,
LTM = c, STM = h. Two things differ: the use gate reads kept_t, not LTM_t, so what is
learned at step t reaches the STM only at t + 1; and its tanh contains an affine map
W_u, b_u. `four_gate(use_input="ltm")` reads the new long-term memory.

It starts with b_i = -3 and W_u = 10 I, not with b_i = 0 and W_u = I, the start of the
LSTM. Both show U nearly the same, i N being 1/10 of what it is at i = 1/2; but an
optimiser that moves every weight by about the same amount, as Adam does, moves
kept_t W_u by that amount times the sum of |kept_t|, so a small memory behind a large
W_u is learned as in an LSTM, whose h reads c through no weights at all, and a large one
behind W_u is not (docs/decisions/010-four-gate.md).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.checks import check_array, check_choice, check_number
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, Shape, any_rank

INPUT_BIAS = -3.0
USE_GAIN = 10.0  # about 1 / (2 σ(INPUT_BIAS))


class FourGateParams(NamedTuple):
    """Weights of the four-gate cell, named by the letters of the lesson."""

    w_n: Float[Array, "joint hidden"]
    b_n: Float[Array, " hidden"]
    w_i: Float[Array, "joint hidden"]
    b_i: Float[Array, " hidden"]
    w_f: Float[Array, "joint hidden"]
    b_f: Float[Array, " hidden"]
    w_u: Float[Array, "hidden hidden"]
    b_u: Float[Array, " hidden"]
    w_v: Float[Array, "joint hidden"]
    b_v: Float[Array, " hidden"]


class FourGateCarry(NamedTuple):
    """Long-term memory, and short-term memory, which is also the output."""

    ltm: Float[Array, "*batch hidden"]
    stm: Float[Array, "*batch hidden"]


class LessonGates(NamedTuple):
    """N, i, f, U and V of the lesson at one step; i, f and V lie in (0, 1)."""

    new: Float[Array, "*batch hidden"]
    ignore: Float[Array, "*batch hidden"]
    forget: Float[Array, "*batch hidden"]
    used: Float[Array, "*batch hidden"]
    use: Float[Array, "*batch hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    input_bias: PerUnit = INPUT_BIAS,
    forget_bias: PerUnit = 1.0,
    use_gain: Scalar = USE_GAIN,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    recurrent_init: Initializer = initializers.orthogonal,
    dtype: Any = jnp.float32,
) -> FourGateParams:
    """Returns initial weights, each gate drawn independently.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; an input is an event.
    `input_init` draws the rows that read it; `recurrent_init` draws the rows that read
    the STM, scaled by `gain`. W_u is `use_gain` times the identity.
    """
    check_init(key, input_size, hidden_size, dtype, gain, input_init, recurrent_init)

    def joint(key):
        key_stm, key_event = jax.random.split(key)
        stm_rows = recurrent_init(key_stm, (hidden_size, hidden_size), dtype)
        event_rows = input_init(key_event, (input_size, hidden_size), dtype)
        return jnp.concatenate([stm_rows * jnp.asarray(gain, dtype), event_rows])

    key_n, key_i, key_f, key_v = jax.random.split(key, 4)
    zeros = jnp.zeros((hidden_size,), dtype)
    return FourGateParams(
        w_n=joint(key_n), b_n=zeros,
        w_i=joint(key_i), b_i=biases(hidden_size, dtype, input_bias=input_bias),
        w_f=joint(key_f), b_f=biases(hidden_size, dtype, forget_bias=forget_bias),
        w_u=reading(use_gain, hidden_size, dtype), b_u=zeros,
        w_v=joint(key_v), b_v=zeros,
    )  # fmt: skip


def reading(use_gain: Scalar, hidden_size: int, dtype: Any) -> Float[Array, "h h"]:
    """Returns the initial W_u: every unit of U reads its own memory."""
    check_number("use_gain", use_gain)
    return jnp.asarray(use_gain, dtype) * jnp.eye(hidden_size, dtype=dtype)


def init_carry(params: Any, batch_shape: Shape = ()) -> FourGateCarry:
    """Returns empty memories, LTM = STM = 0."""
    zeros = jnp.zeros((*batch_shape, *params.b_n.shape), params.b_n.dtype)
    return FourGateCarry(ltm=zeros, stm=zeros)


@any_rank
def learn_gate(params: FourGateParams, stm: Hidden, event: Input) -> Hidden:
    """Returns what is learned: N * i, the new combined with what is not ignored.

    N = tanh([STM, E] W_n + b_n),  i = σ([STM, E] W_i + b_i)

    Example:
      >>> params = lj.FOUR_GATE.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> memory = lj.FOUR_GATE.init_carry(params)
      >>> lj.learn_gate(params, memory.stm, jnp.ones(3)).shape
      (4,)
    """
    both = _join(params, stm, event)
    new = jnp.tanh(both @ params.w_n + params.b_n)
    ignore_factor = jax.nn.sigmoid(both @ params.w_i + params.b_i)
    return new * ignore_factor


@any_rank
def forget_gate(
    params: FourGateParams, ltm: Hidden, stm: Hidden, event: Input
) -> Hidden:
    """Returns what is kept of the long-term memory: LTM * f.

    f = σ([STM, E] W_f + b_f)

    Example:
      >>> params = lj.FOUR_GATE.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> open_gate = params._replace(b_f=jnp.full(4, 100.0))
      >>> lj.forget_gate(open_gate, jnp.ones(4), jnp.zeros(4), jnp.ones(3))
      Array([1., 1., 1., 1.], dtype=float32)
    """
    both = _join(params, stm, event)
    return ltm * jax.nn.sigmoid(both @ params.w_f + params.b_f)


def remember_gate(kept: Hidden, learned: Hidden) -> Hidden:
    """Returns the new long-term memory: kept + learned.

    Example:
      >>> lj.remember_gate(kept=jnp.array([0.5]), learned=jnp.array([-0.25]))
      Array([0.25], dtype=float32)
    """
    return kept + learned


@any_rank
def use_gate(params: FourGateParams, kept: Hidden, stm: Hidden, event: Input) -> Hidden:
    """Returns the new short-term memory, which is also the prediction: U * V.

    U = tanh(kept W_u + b_u),  V = σ([STM, E] W_v + b_v)

    Example:
      >>> params = lj.FOUR_GATE.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> nothing = jnp.zeros(4)
      >>> lj.use_gate(params, kept=nothing, stm=nothing, event=jnp.ones(3))
      Array([0., 0., 0., 0.], dtype=float32)
    """
    both = _join(params, stm, event)
    used = jnp.tanh(kept @ params.w_u + params.b_u)
    return used * jax.nn.sigmoid(both @ params.w_v + params.b_v)


@any_rank
def lesson_gates(
    params: FourGateParams, ltm: Hidden, stm: Hidden, event: Input
) -> LessonGates:
    """Returns what every gate says at one step, before the gates' products.

    learn_gate is new * ignore, forget_gate ltm * forget, and use_gate used * use.

    Example:
      >>> params = lj.FOUR_GATE.init(jax.random.key(0), 2, 3, input_bias=0.0)
      >>> zeros = jnp.zeros(3)
      >>> gates = lj.cells.lesson_gates(params, zeros, zeros, jnp.zeros(2))
      >>> print(gates.ignore, gates.used)
      [0.5 0.5 0.5] [0. 0. 0.]
    """
    both = _join(params, stm, event)
    forget = jax.nn.sigmoid(both @ params.w_f + params.b_f)
    return LessonGates(
        new=jnp.tanh(both @ params.w_n + params.b_n),
        ignore=jax.nn.sigmoid(both @ params.w_i + params.b_i),
        forget=forget,
        used=jnp.tanh((ltm * forget) @ params.w_u + params.b_u),
        use=jax.nn.sigmoid(both @ params.w_v + params.b_v),
    )


def _join(
    params: FourGateParams, stm: Hidden, event: Input
) -> Float[Array, "*batch joint"]:
    check_array("stm", stm, "an array (*batch, hidden), the stm of a carry")
    check_input(event, params.w_n.shape[0] - params.w_n.shape[1])
    return jnp.concatenate([stm, event], axis=-1)


def four_gate(use_input: str = "kept", *, heads: int = 1) -> Cell:
    """Returns the cell of this file.

    Args:
      use_input: what the use gate reads: "kept", the forget gate's output, as printed
        in the lesson; or "ltm", the new long-term memory, as said in its lecture.
      heads: at least 1, as in `lj.cells.block_diagonal`.

    Raises:
      ValueError: another use_input, or no heads.

    Example:
      >>> lj.four_gate() is lj.FOUR_GATE
      True
      >>> lj.four_gate(use_input="ltm").gates
      ('n', 'i', 'f', 'v')
    """
    check_choice("use_input", use_input, ("kept", "ltm"))
    return block_diagonal(_four_gate(use_input), heads)


# Apart from `four_gate`, so that every way of calling it gives the same cell.
@factory
def _four_gate(use_input: str) -> Cell:
    @any_rank
    def step(
        params: FourGateParams, carry: FourGateCarry, x: Input
    ) -> tuple[FourGateCarry, Hidden]:
        learned = learn_gate(params, carry.stm, x)
        kept = forget_gate(params, carry.ltm, carry.stm, x)
        ltm = remember_gate(kept, learned)
        read = kept if use_input == "kept" else ltm
        stm = use_gate(params, read, carry.stm, x)
        return FourGateCarry(ltm=ltm, stm=stm), stm

    name = "four_gate" if use_input == "kept" else f"four_gate_{use_input}"
    return Cell(
        name=name,
        init=init,
        init_carry=init_carry,
        step=step,
        gates=(*("nifuv" if use_input == "kept" else "nifv"),),
        memory="ltm",
        family="four_gate",
    )


FOUR_GATE = four_gate()
