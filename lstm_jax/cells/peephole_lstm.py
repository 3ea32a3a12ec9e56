"""LSTM with peepholes: each gate sees its own cell; and variants with parts removed.

The vanilla LSTM of the "search space odyssey" and its variants. Two have their own
files: CIFG in `lstm_jax.cells.cifg_lstm`, FGR in `lstm_jax.cells.full_gate_lstm`.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells import full_gate_lstm
from lstm_jax.cells.cell import Cell, check_input, gate_weights
from lstm_jax.cells.lstm import LSTM, LSTMCarry, init_carry
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.checks import check_choice, check_given
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer, biases
from lstm_jax.types import Hidden, Input, PerUnit, PRNGKey, Scalar, any_rank


class PeepholeLSTMParams(NamedTuple):
    """Weights of a peephole LSTM, its remaining gates stacked in the order i, f, g, o.

    p holds the peepholes of the remaining gates, in the order i, f, o.
    """

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]
    b: Float[Array, " gates"]
    p: Float[Array, " peepholes"]


class Wiring(NamedTuple):
    """The gates of a variant, and the activations of the candidate g and of c."""

    gates: str = "ifgo"
    activation_in: Callable[[Array], Array] = jnp.tanh
    activation_out: Callable[[Array], Array] = jnp.tanh


def _as_it_is(z: Array) -> Array:
    return z


WIRINGS: dict[str, Wiring] = {
    "V": Wiring(),
    "NIG": Wiring(gates="fgo"),
    "NFG": Wiring(gates="igo"),
    "NOG": Wiring(gates="ifg"),
    "NIAF": Wiring(activation_in=_as_it_is),
    "NOAF": Wiring(activation_out=_as_it_is),
}
VARIANTS = (*WIRINGS, "NP", "FGR")


def _init(
    gates: str,
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    input_bias: PerUnit | None = None,
    forget_bias: PerUnit | None = None,
    gain: Scalar = 1.0,
    input_init: Initializer = initializers.glorot,
    recurrent_init: Initializer = initializers.orthogonal,
    peephole_init: Initializer = initializers.uniform,
    dtype: Any = jnp.float32,
) -> PeepholeLSTMParams:
    """Returns initial weights of these gates; see `peephole_lstm`."""
    check_given("input_bias", input_bias, "i" in gates, "there is no input gate")
    check_given("forget_bias", forget_bias, "f" in gates, "there is no forget gate")
    key_weights, key_p = jax.random.split(key)
    w_ih, w_hh = gate_weights(
        key_weights,
        input_size,
        hidden_size,
        len(gates),
        gain,
        input_init,
        recurrent_init,
        dtype,
    )
    of_gates = {
        "i": {"input_bias": 0.0 if input_bias is None else input_bias},
        "f": {"forget_bias": 1.0 if forget_bias is None else forget_bias},
        "g": {"candidate": 0.0},
        "o": {"output": 0.0},
    }
    named = {name: b for gate in gates for name, b in of_gates[gate].items()}
    b = biases(hidden_size, dtype, **named)
    p = peephole_init(key_p, (len(gates) - 1, hidden_size), dtype)
    return PeepholeLSTMParams(w_ih=w_ih, w_hh=w_hh, b=b, p=p.ravel())


def peephole_lstm(variant: str = "V", *, heads: int = 1) -> Cell:
    """Returns the LSTM with diagonal peepholes, or one of its variants.

        i = σ(x_t W_xi + h_{t-1} W_hi + p_i * c_{t-1} + b_i)
        f = σ(x_t W_xf + h_{t-1} W_hf + p_f * c_{t-1} + b_f)
        g = tanh(x_t W_xg + h_{t-1} W_hg + b_g)
        c_t = f * c_{t-1} + i * g
        o = σ(x_t W_xo + h_{t-1} W_ho + p_o * c_t + b_o)      sees the NEW c
        h_t = o * tanh(c_t)                                   y_t = h_t

    Shapes: x (*batch, input), h and c (*batch, hidden); W_ih (input, 4*hidden) is
    [W_xi, W_xf, W_xg, W_xo], W_hh (hidden, 4*hidden) and b (4*hidden,) likewise;
    p (3*hidden,) is [p_i, p_f, p_o]. A gate that a variant lacks has no weights.

        V     the above, "vanilla"
        NIG   no input gate: i = 1
        NFG   no forget gate: f = 1
        NOG   no output gate: o = 1
        NIAF  no input activation function: g = x_t W_xg + h_{t-1} W_hg + b_g
        NOAF  no output activation function: h_t = o * c_t
        NP    no peepholes: p = 0, which is the LSTM itself
        FGR   full gate recurrence: gates also read the gates of the step before

    In the words of the four gates (long-term memory c, short-term memory h):

        learn     i * g
        forget    f * c_{t-1}
        remember  c_t, the sum of the two
        use       o * tanh(c_t)

    and every gate also looks at the long-term memory. The activations are those of
    Graves and of Greff et al.; Gers et al. have g = 4 σ(...) - 2 and show c itself.
    The lesson's peepholes are dense: `lstm_jax.cells.lesson_peephole_lstm`.

    `init` takes input_bias (0), forget_bias (1), gain, input_init, recurrent_init and
    dtype as for the LSTM, and peephole_init, which draws p with shape (gates, hidden);
    a bias whose gate is missing is refused.

    Args:
      variant: one of the names above.
      heads: at least 1, as in `lj.cells.block_diagonal`; the gates that FGR reads are
        those of every head.

    Raises:
      ValueError: another variant, or no heads.

    Example:
      >>> lj.cells.peephole_lstm("NOG").gates
      ('i', 'f', 'g')

    References:
      Gers, Schraudolph & Schmidhuber (2002), https://www.jmlr.org/papers/v3/gers02a.html
      Graves (2013), https://arxiv.org/abs/1308.0850
      Greff et al. (2017), https://arxiv.org/abs/1503.04069
    """
    check_choice("variant", variant, VARIANTS)
    return block_diagonal(_peephole_lstm(variant), heads)


# Apart from `peephole_lstm`, so that every way of calling it gives the same cell.
@factory
def _peephole_lstm(variant: str) -> Cell:
    name = "peephole_lstm" + ("" if variant == "V" else f"_{variant}")
    if variant in ("NP", "FGR"):
        parts = ("init", "init_carry", "step")
        of_fgr = {part: getattr(full_gate_lstm, part) for part in parts}
        functions = of_fgr if variant == "FGR" else {}
        return dataclasses.replace(LSTM, name=name, family="early_lstm", **functions)
    gates, activation_in, activation_out = WIRINGS[variant]

    @any_rank
    def step(
        params: PeepholeLSTMParams, carry: LSTMCarry, x: Input
    ) -> tuple[LSTMCarry, Hidden]:
        check_input(x, params.w_ih.shape[0])
        read = x @ params.w_ih + carry.h @ params.w_hh + params.b
        z = dict(zip(gates, jnp.split(read, len(gates), axis=-1), strict=True))
        peeping = gates.replace("g", "")
        p = dict(zip(peeping, jnp.split(params.p, len(peeping)), strict=True))

        def gate(letter, c):
            return jax.nn.sigmoid(z[letter] + p[letter] * c) if letter in gates else 1

        g = activation_in(z["g"])
        c = gate("f", carry.c) * carry.c + gate("i", carry.c) * g
        h = gate("o", c) * activation_out(c)
        return LSTMCarry(h=h, c=c), h

    return Cell(
        name=name,
        init=partial(_init, gates),
        init_carry=init_carry,
        step=step,
        gates=(*gates,),
        memory="c",
        family="early_lstm",
    )


PEEPHOLE_LSTM = peephole_lstm()
