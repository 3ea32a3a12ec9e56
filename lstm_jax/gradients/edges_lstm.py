"""Steps of LSTMs in which every gate reads a copy of the carry of its own.

The equations of `lstm_jax.cells` with `copies[edge]` where the cell has its carry; what
is kept of the long-term memory is read along the edge "cell".
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cifg_lstm import CIFGParams
from lstm_jax.cells.four_gate import FourGateCarry, FourGateParams
from lstm_jax.cells.full_gate_lstm import FullGateLSTMCarry, FullGateLSTMParams
from lstm_jax.cells.layer_norm_lstm import LayerNormLSTMParams
from lstm_jax.cells.lesson_peephole_lstm import LessonPeepholeParams
from lstm_jax.cells.lstm import LSTMCarry, LSTMParams
from lstm_jax.cells.lstm97 import LSTM97Carry, LSTM97Params
from lstm_jax.cells.lstm97_input_gate import LSTM97InputGateCarry, LSTM97InputGateParams
from lstm_jax.cells.lstm2000 import LSTM2000Params
from lstm_jax.cells.peephole_lstm import PeepholeLSTMParams
from lstm_jax.cells.projection_lstm import ProjectionLSTMCarry, ProjectionLSTMParams
from lstm_jax.gradients.copies import Copies, StepByEdge
from lstm_jax.types import Hidden, Input, any_rank

Squash = Callable[[Array], Array]


def lstm(
    params: LSTMParams, copies: Mapping[str, LSTMCarry], x: Input
) -> tuple[LSTMCarry, Hidden]:
    """`lstm_jax.cells.lstm`."""
    i, f, g, o = _read_by("ifgo", params, copies, x)
    c = jax.nn.sigmoid(f) * copies["cell"].c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return LSTMCarry(h=h, c=c), h


def cifg_lstm(
    params: CIFGParams, copies: Mapping[str, LSTMCarry], x: Input
) -> tuple[LSTMCarry, Hidden]:
    """`lstm_jax.cells.cifg_lstm`."""
    f, g, o = _read_by("fgo", params, copies, x)
    f = jax.nn.sigmoid(f)
    c = f * copies["cell"].c + (1 - f) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return LSTMCarry(h=h, c=c), h


def projection_lstm(
    params: ProjectionLSTMParams, copies: Mapping[str, ProjectionLSTMCarry], x: Input
) -> tuple[ProjectionLSTMCarry, Float[Array, "*batch projection"]]:
    """`lstm_jax.cells.projection_lstm`."""
    i, f, g, o = _read_by("ifgo", params, copies, x)
    c = jax.nn.sigmoid(f) * copies["cell"].c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = (jax.nn.sigmoid(o) * jnp.tanh(c)) @ params.w_hr
    return ProjectionLSTMCarry(h=h, c=c), h


@cache
def layer_norm_lstm(normalised: Squash) -> StepByEdge:
    """`lstm_jax.cells.layer_norm_lstm`; its norm takes in the products of all gates.

    A gate reads its quarter of the normalised products of its own copy.
    """

    @any_rank
    def step(
        params: LayerNormLSTMParams, copies: Mapping[str, LSTMCarry], x: Input
    ) -> tuple[LSTMCarry, Hidden]:
        from_x = params.scale_ih * normalised(x @ params.w_ih) + params.b

        def read_by(edge):
            from_h = params.scale_hh * normalised(copies[edge].h @ params.w_hh)
            return jnp.split(from_x + from_h, 4, axis=-1)["ifgo".index(edge)]

        i, f, g, o = map(read_by, "ifgo")
        c = jax.nn.sigmoid(f) * copies["cell"].c + jax.nn.sigmoid(i) * jnp.tanh(g)
        shown = params.scale_c * normalised(c) + params.b_c
        h = jax.nn.sigmoid(o) * jnp.tanh(shown)
        return LSTMCarry(h=h, c=c), h

    return step


@cache
def peephole_lstm(gates: str, squash_in: Squash, squash_out: Squash) -> StepByEdge:
    """`lstm_jax.cells.peephole_lstm` with these gates; o sees the NEW c."""

    @any_rank
    def step(
        params: PeepholeLSTMParams, copies: Mapping[str, LSTMCarry], x: Input
    ) -> tuple[LSTMCarry, Hidden]:
        z = dict(zip(gates, _read_by(gates, params, copies, x), strict=True))
        peeping = gates.replace("g", "")
        p = dict(zip(peeping, jnp.split(params.p, len(peeping)), strict=True))

        def gate(letter, new_c=None):
            if letter not in gates:
                return 1
            c = copies[letter].c if new_c is None else new_c
            return jax.nn.sigmoid(z[letter] + p[letter] * c)

        c = gate("f") * copies["cell"].c + gate("i") * squash_in(z["g"])
        h = gate("o", c) * squash_out(c)
        return LSTMCarry(h=h, c=c), h

    return step


def full_gate_lstm(
    params: FullGateLSTMParams, copies: Mapping[str, FullGateLSTMCarry], x: Input
) -> tuple[FullGateLSTMCarry, Hidden]:
    """`lstm_jax.cells.full_gate_lstm`; its gates read what the gates said, too."""
    z = dict(zip("ifgo", _read_by("ifgo", params, copies, x), strict=True))
    w = dict(zip("ifo", jnp.split(params.w_gates, 3, axis=-1), strict=True))
    p = dict(zip("ifo", jnp.split(params.p, 3), strict=True))

    def gate(letter, c):
        copy = copies[letter]
        r = jnp.concatenate([copy.i, copy.f, copy.o], axis=-1)
        return jax.nn.sigmoid(z[letter] + r @ w[letter] + p[letter] * c)

    i, f = gate("i", copies["i"].c), gate("f", copies["f"].c)
    c = f * copies["cell"].c + i * jnp.tanh(z["g"])
    o = gate("o", c)
    h = o * jnp.tanh(c)
    return FullGateLSTMCarry(h=h, c=c, i=i, f=f, o=o), h


@cache
def lstm97(block_size: int, truncated: bool) -> StepByEdge:
    """`lstm_jax.cells.lstm97`; truncated, nothing comes back through its gates."""
    of_each_cell = partial(jnp.repeat, repeats=block_size, axis=-1)

    @any_rank
    def step(
        params: LSTM97Params, copies: Mapping[str, LSTM97Carry], x: Input
    ) -> tuple[LSTM97Carry, Hidden]:
        units = params.w_hh.shape[0]
        blocks = units // (2 + block_size)
        b = jnp.pad(params.b, (0, units - params.b.shape[0]))
        columns = partial(jnp.split, indices_or_sections=[blocks, 2 * blocks], axis=-1)

        def read_by(edge, from_x, w):
            r = jnp.concatenate([copies[edge].i, copies[edge].o, copies[edge].h], -1)
            return from_x + (jax.lax.stop_gradient(r) if truncated else r) @ w

        from_x = columns(x @ params.w_ih + b)
        i, o, g = map(read_by, "iog", from_x, columns(params.w_hh))
        i, o = jax.nn.sigmoid(i), jax.nn.sigmoid(o)
        c = copies["cell"].c + of_each_cell(i) * (4 * jax.nn.sigmoid(g) - 2)
        h = of_each_cell(o) * (2 * jax.nn.sigmoid(c) - 1)
        return LSTM97Carry(h=h, c=c, i=i, o=o), h

    return step


@cache
def lstm2000(block_size: int, truncated: bool) -> StepByEdge:
    """`lstm_jax.cells.lstm2000`; truncated, nothing comes back through its gates."""
    of_each_cell = partial(jnp.repeat, repeats=block_size, axis=-1)

    @any_rank
    def step(
        params: LSTM2000Params, copies: Mapping[str, LSTMCarry], x: Input
    ) -> tuple[LSTMCarry, Hidden]:
        gates, units = params.b.shape[0], params.w_hh.shape[1]
        b = jnp.pad(params.b, (0, units - gates))
        thirds = [gates // 3, 2 * gates // 3, gates]
        columns = partial(jnp.split, indices_or_sections=thirds, axis=-1)

        def read_by(edge, from_x, w):
            h = copies[edge].h
            return from_x + (jax.lax.stop_gradient(h) if truncated else h) @ w

        from_x = columns(x @ params.w_ih + b)
        i, f, o, g = map(read_by, "ifog", from_x, columns(params.w_hh))
        i, f, o = (of_each_cell(jax.nn.sigmoid(z)) for z in (i, f, o))
        c = f * copies["cell"].c + i * (4 * jax.nn.sigmoid(g) - 2)
        h = o * (2 * jax.nn.sigmoid(c) - 1)
        return LSTMCarry(h=h, c=c), h

    return step


def lstm97_input_gate(
    params: LSTM97InputGateParams, copies: Mapping[str, LSTM97InputGateCarry], x: Input
) -> tuple[LSTM97InputGateCarry, Hidden]:
    """`lstm_jax.cells.lstm97_input_gate`; its gate does not read the memory."""
    i, g = jnp.split(jax.nn.sigmoid(x @ params.w_ih), 2, axis=-1)
    c = copies["cell"].c + i * g
    return LSTM97InputGateCarry(c=c), c


@cache
def four_gate(use_input: str) -> StepByEdge:
    """`lstm_jax.cells.four_gate`; a use gate that reads `kept` does so along "u"."""

    @any_rank
    def step(
        params: FourGateParams, copies: Mapping[str, FourGateCarry], x: Input
    ) -> tuple[FourGateCarry, Hidden]:
        def read_by(edge, w, b):
            return jnp.concatenate([copies[edge].stm, x], axis=-1) @ w + b

        f = jax.nn.sigmoid(read_by("f", params.w_f, params.b_f))
        i = jax.nn.sigmoid(read_by("i", params.w_i, params.b_i))
        v = jax.nn.sigmoid(read_by("v", params.w_v, params.b_v))
        n = jnp.tanh(read_by("n", params.w_n, params.b_n))
        ltm = f * copies["cell"].ltm + i * n
        used = ltm if use_input == "ltm" else f * copies["u"].ltm
        stm = v * jnp.tanh(used @ params.w_u + params.b_u)
        return FourGateCarry(ltm=ltm, stm=stm), stm

    return step


def lesson_peephole_lstm(
    params: LessonPeepholeParams, copies: Mapping[str, FourGateCarry], x: Input
) -> tuple[FourGateCarry, Hidden]:
    """`lstm_jax.cells.lesson_peephole_lstm`; i, f and v read both memories."""

    def gate(edge, w, b):
        read = jnp.concatenate([copies[edge].ltm, copies[edge].stm, x], axis=-1)
        return jax.nn.sigmoid(read @ w + b)

    w_ifv = jnp.split(params.w_ifv, 3, axis=-1)
    i, f, v = map(gate, "ifv", w_ifv, jnp.split(params.b_ifv, 3))
    both = jnp.concatenate([copies["n"].stm, x], axis=-1)
    ltm = f * copies["cell"].ltm + i * jnp.tanh(both @ params.w_n + params.b_n)
    stm = v * jnp.tanh((f * copies["u"].ltm) @ params.w_u + params.b_u)
    return FourGateCarry(ltm=ltm, stm=stm), stm


@any_rank
def _read_by(
    gates: str,
    params: Any,
    copies: Copies,
    x: Input,
) -> list[Float[Array, "*batch hidden"]]:
    """Returns x W_ih + h W_hh + b of every gate, h from the copy of that gate."""
    of_x = jnp.split(x @ params.w_ih + params.b, len(gates), axis=-1)
    w_hh = jnp.split(params.w_hh, len(gates), axis=-1)
    return [
        z + copies[gate].h @ w for gate, z, w in zip(gates, of_x, w_hh, strict=True)
    ]
