"""The lesson's LSTM with peephole connections: the long-term memory has a say too.

The other architecture of Luis Serrano's lesson (`lstm_jax.cells.four_gate`): what f
reads is concatenated with the long-term memory, and "we can do this for every one of
the forget-type nodes", the logistic ones, i, f and V:

    learn     N_t = tanh([STM_{t-1}, E_t] W_n + b_n)
              i_t = σ([LTM_{t-1}, STM_{t-1}, E_t] W_i + b_i)
              learned_t = N_t * i_t
    forget    f_t = σ([LTM_{t-1}, STM_{t-1}, E_t] W_f + b_f)
              kept_t = LTM_{t-1} * f_t
    remember  LTM_t = kept_t + learned_t
    use       U_t = tanh(kept_t W_u + b_u)
              V_t = σ([LTM_{t-1}, STM_{t-1}, E_t] W_v + b_v)
              STM_t = U_t * V_t                          also the prediction

Shapes: event (*batch, input), STM and LTM (*batch, hidden); W_n (hidden + input,
hidden); W_i, W_f, W_v side by side in W_ifv (2*hidden + input, 3*hidden), rows of LTM
first, then STM, then event; W_u (hidden, hidden); b_n and b_u (hidden,),
b_ifv (3*hidden,).
In all 8 H² + 4 H D + 5 H parameters.

These peepholes are dense: every gate sees the memories of all units, and V the LTM of
the step before. Those of `lstm_jax.cells.peephole_lstm` are diagonal, and o sees the
new c.

References:
  Serrano, "Other architectures", Udacity Deep Learning nanodegree, LSTM lesson
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.four_gate import (
    INPUT_BIAS,
    USE_GAIN,
    FourGateCarry,
    init_carry,
    reading,
    remember_gate,
)
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, any_rank


class LessonPeepholeParams(NamedTuple):
    """Weights of the lesson's peephole LSTM; its forget-type gates stacked i, f, v."""

    w_n: Float[Array, "joint hidden"]
    b_n: Float[Array, " hidden"]
    w_ifv: Float[Array, "joint_with_ltm gates"]
    b_ifv: Float[Array, " gates"]
    w_u: Float[Array, "hidden hidden"]
    b_u: Float[Array, " hidden"]


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
) -> LessonPeepholeParams:
    """Returns initial weights, each gate and memory drawn independently.

    Arguments and errors as for `lstm_jax.cells.lstm.init`; an input is an event.
    `input_init` draws the rows that read it; `recurrent_init` draws the rows that read
    the LTM and the rows that read the STM, scaled by `gain`. W_u is `use_gain` times
    the identity, for the reason given in `lstm_jax.cells.four_gate`.
    """
    check_init(key, input_size, hidden_size, dtype, gain, input_init, recurrent_init)
    key_n, key_ifv = jax.random.split(key)
    event, memory = (input_size, hidden_size), (hidden_size, hidden_size)

    def recurrent(key, num_gates):
        drawn = initializers.per_gate(recurrent_init, key, memory, num_gates, dtype)
        return drawn * jnp.asarray(gain, dtype)

    def joint(key, num_memories, num_gates):
        *keys, key_event = jax.random.split(key, num_memories + 1)
        event_rows = initializers.per_gate(
            input_init, key_event, event, num_gates, dtype
        )
        return jnp.concatenate([*(recurrent(k, num_gates) for k in keys), event_rows])

    zeros = jnp.zeros((hidden_size,), dtype)
    b_ifv = biases(
        hidden_size, dtype, input_bias=input_bias, forget_bias=forget_bias, use=0.0
    )
    return LessonPeepholeParams(
        w_n=joint(key_n, 1, 1), b_n=zeros,
        w_ifv=joint(key_ifv, 2, 3), b_ifv=b_ifv,
        w_u=reading(use_gain, hidden_size, dtype), b_u=zeros,
    )  # fmt: skip


@any_rank
def step(
    params: LessonPeepholeParams, carry: FourGateCarry, x: Input
) -> tuple[FourGateCarry, Hidden]:
    """One step: learn, forget, remember, use, by the equations above."""
    check_input(x, params.w_n.shape[0] - params.w_n.shape[1])
    both = jnp.concatenate([carry.stm, x], axis=-1)
    all_three = jnp.concatenate([carry.ltm, both], axis=-1)
    forget_type = jax.nn.sigmoid(all_three @ params.w_ifv + params.b_ifv)
    i, f, v = jnp.split(forget_type, 3, axis=-1)
    learned = jnp.tanh(both @ params.w_n + params.b_n) * i
    kept = carry.ltm * f
    stm = jnp.tanh(kept @ params.w_u + params.b_u) * v
    return FourGateCarry(ltm=remember_gate(kept, learned), stm=stm), stm


LESSON_PEEPHOLE_LSTM = Cell(
    name="lesson_peephole_lstm",
    init=init,
    init_carry=init_carry,
    step=step,
    gates=("n", "i", "f", "v", "u"),
    memory="ltm",
    family="four_gate",
)
