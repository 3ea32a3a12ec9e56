"""sLSTM: the LSTM of xLSTM with exponential gates, and a memory that is a mean."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.backward import clip_backward
from lstm_jax.cells.cell import Cell, check_input, gate_weights
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.checks import check_choice, check_number
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, Shape, any_rank

FORGET_GATES = ("sigmoid", "exp")
GATES = ("i", "f", "z", "o")


class SLSTMParams(NamedTuple):
    """Weights of an sLSTM, its gates stacked i, f, z, o along the last axis.

    With heads w_hh is as in `lj.cells.block_diagonal`.
    """

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]


class SLSTMCarry(NamedTuple):
    """What an sLSTM passes on.

    Attributes:
      h: what it shows.
      c: the memory, over e^m.
      n: the sum of the weights in it, over e^m.
      m: the stabiliser, the largest logarithm of a weight.
    """

    h: Float[Array, "*batch hidden"]
    c: Float[Array, "*batch hidden"]
    n: Float[Array, "*batch hidden"]
    m: Float[Array, "*batch hidden"]


class _Wiring(NamedTuple):
    """The activation of f, and the longest signal back through R."""

    forget_gate: str = "sigmoid"
    backward_clip: float | None = None


def init_carry(params: SLSTMParams, batch_shape: Shape = ()) -> SLSTMCarry:
    """Returns the empty memory, zeros."""
    shape = (*batch_shape, params.b.shape[0] // 4)
    return SLSTMCarry(*(jnp.zeros(shape, params.b.dtype) for _ in range(4)))


def _exp(logarithm: Array) -> Array:
    """Returns e^x for x at most 0; 1 above, where nothing was stored before."""
    return jnp.exp(jnp.where(logarithm > 0, 0, logarithm))


def _gates(wiring: _Wiring, params: SLSTMParams, h: Array, x: Input) -> list[Array]:
    """Returns ĩ, f̃, z̃ and õ."""
    check_input(x, params.w_ih.shape[0])
    if wiring.backward_clip is not None:
        h = clip_backward(h, wiring.backward_clip)
    return jnp.split(x @ params.w_ih + h @ params.w_hh + params.b, 4, axis=-1)


def _moved(
    wiring: _Wiring, gates: list[Array], carry: SLSTMCarry
) -> tuple[SLSTMCarry, Hidden]:
    """Returns the memory after the gates have acted, and what it shows."""
    i, f, z, o = gates
    log_f = jax.nn.log_sigmoid(f) if wiring.forget_gate == "sigmoid" else f
    m_before = jax.lax.stop_gradient(carry.m)
    m = jnp.where(carry.n == 0, i, jnp.maximum(log_f + m_before, i))
    m = jax.lax.stop_gradient(m)
    learn, keep = _exp(i - m), _exp(log_f + m_before - m)
    c = keep * carry.c + learn * jnp.tanh(z)
    n = keep * carry.n + learn
    h = jax.nn.sigmoid(o) * c / n
    return SLSTMCarry(h=h, c=c, n=n, m=m), h


@any_rank
def _step(
    wiring: _Wiring, params: SLSTMParams, carry: SLSTMCarry, x: Input
) -> tuple[SLSTMCarry, Hidden]:
    return _moved(wiring, _gates(wiring, params, carry.h, x), carry)


@any_rank
def _edges(
    wiring: _Wiring, params: SLSTMParams, copies: dict[str, SLSTMCarry], x: Input
) -> tuple[SLSTMCarry, Hidden]:
    """The step in which each gate reads a copy; m, a constant, would count as one."""
    of_gate = [_gates(wiring, params, copies[name].h, x) for name in GATES]
    gates = [pre[place] for place, pre in enumerate(of_gate)]
    return _moved(wiring, gates, copies["cell"])


@factory
def _slstm(wiring: _Wiring) -> Cell:
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
    ) -> SLSTMParams:
        """Returns initial weights, each gate drawn independently.

        Arguments and errors as for `lstm_jax.cells.lstm.init`.
        """
        w_ih, w_hh = gate_weights(
            key, input_size, hidden_size, 4, gain, input_init, recurrent_init, dtype
        )
        return SLSTMParams(
            w_ih=w_ih,
            w_hh=w_hh,
            b=biases(
                hidden_size, dtype, input=0.0, forget_bias=forget_bias, value=0.0,
                output=0.0,
            ),
        )  # fmt: skip

    def step(
        params: SLSTMParams, carry: SLSTMCarry, x: Input
    ) -> tuple[SLSTMCarry, Hidden]:
        return _step(wiring, params, carry, x)

    def edges(params: SLSTMParams, copies: dict[str, SLSTMCarry], x: Input) -> Any:
        return _edges(wiring, params, copies, x)

    forget_gate, clip = wiring
    parts = [
        "slstm",
        *([forget_gate] if forget_gate != "sigmoid" else []),
        *([f"clip_{clip:g}"] if clip is not None else []),
    ]
    return Cell(
        name="_".join(parts),
        init=init,
        init_carry=init_carry,
        step=step,
        gates=GATES,
        edges=edges,
        memory="c",
        family="lstm",
    )


def slstm(
    heads: int = 1, *, forget_gate: str = "sigmoid", backward_clip: Scalar | None = None
) -> Cell:
    """Returns the sLSTM of so many heads.

        i = exp(ĩ)        f = σ(f̃) or exp(f̃)        z = tanh(z̃)        o = σ(õ)
        c_t = f * c_{t-1} + i * z
        n_t = f * n_{t-1} + i
        h_t = o * c_t / n_t                              y_t = h_t

    with ĩ, f̃, z̃, õ each a quarter of x W_ih + h_{t-1} W_hh + b. So that no exponential
    overflows, c and n are carried over e^m,

        m_t = max(ln f + m_{t-1}, ĩ), and ĩ where nothing was stored before
        i' = exp(ĩ - m_t)        f' = exp(ln f + m_{t-1} - m_t)

    take the place of i and f. h does not depend on m, and no gradient flows through it.

    Shapes: x (*batch, input), h, c, n and m (*batch, hidden), W_ih (input, 4*hidden),
    W_hh (hidden, 4*hidden), both with quarters i, f, z, o; b (4*hidden,).

    c / n is a weighted mean of all z, so that |h| <= 1 for any weights, and a large i
    overwrites at once what was kept.

    In the words of the four gates, with a memory c and its weight n:

        learn     i * z
        forget    f * c_{t-1}
        remember  c_t, the sum of the two
        use       o * c_t / n_t

    Args:
      heads: at least 1; units read those of their own head alone, as in
        `lj.cells.block_diagonal`.
      forget_gate: "sigmoid" or "exp".
      backward_clip: the longest signal that passes back through W_hh, as in
        `lj.clip_backward`: 10 in the authors' code. None, the default, leaves the
        gradient what it is.

    Raises:
      TypeError: an argument has a type that is not allowed.
      ValueError: an argument has a value that is not allowed.

    Example:
      >>> lj.cells.slstm(heads=2, forget_gate="exp")
      <Cell 'slstm_exp_2_heads'; gates i, f, z, o; memory c>

    References:
      Beck et al. (2024), xLSTM, https://arxiv.org/abs/2405.04517, equations 8 to 17
    """
    check_choice("forget_gate", forget_gate, FORGET_GATES)
    if backward_clip is not None:
        check_number("backward_clip", backward_clip, "(0, inf)")
        backward_clip = float(backward_clip)
    return block_diagonal(_slstm(_Wiring(forget_gate, backward_clip)), heads)


SLSTM = slstm()
