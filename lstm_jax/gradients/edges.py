"""Which ways lead from one memory to the next: the edges of every cell.

What an edge is: `lstm_jax.gradients.copies`. The steps edge by edge: `edges_lstm` and
`edges_single`, beside this file.
"""

import inspect
from collections.abc import Callable
from functools import cache, partial
from types import CodeType
from typing import Any

from lstm_jax.cells.antisymmetric_rnn import ANTISYMMETRIC_RNN
from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.cifg_lstm import CIFG_LSTM
from lstm_jax.cells.four_gate import FOUR_GATE, four_gate
from lstm_jax.cells.gru import GRU
from lstm_jax.cells.gru_reset_before import GRU_RESET_BEFORE
from lstm_jax.cells.indrnn import INDRNN
from lstm_jax.cells.irnn import IRNN
from lstm_jax.cells.janet import JANET
from lstm_jax.cells.layer_norm_lstm import LAYER_NORM_LSTM
from lstm_jax.cells.lesson_peephole_lstm import LESSON_PEEPHOLE_LSTM
from lstm_jax.cells.lstm import LSTM
from lstm_jax.cells.lstm97 import LSTM97
from lstm_jax.cells.lstm97_input_gate import LSTM97_INPUT_GATE
from lstm_jax.cells.lstm2000 import LSTM2000
from lstm_jax.cells.mgu import MGU
from lstm_jax.cells.minimal_rnn import MINIMAL_RNN
from lstm_jax.cells.peephole_lstm import PEEPHOLE_LSTM, WIRINGS, peephole_lstm
from lstm_jax.cells.projection_lstm import PROJECTION_LSTM
from lstm_jax.cells.rnn import ACTIVATIONS, rnn
from lstm_jax.cells.wrappers.learned_carry import learned_carry
from lstm_jax.cells.wrappers.residual import residual
from lstm_jax.cells.wrappers.stack import stack
from lstm_jax.cells.wrappers.zoneout import zoneout
from lstm_jax.gradients import edges_lstm, edges_single
from lstm_jax.gradients.copies import Edges, around, one_edge, stacked
from lstm_jax.masking import Masks, Steps, prepare
from lstm_jax.types import Carry, Params


def edges_of(cell: Cell) -> Edges:
    """Returns the edges of a cell: its entry in `ROADS`, or what its step tells.

    Known are the cells of `CELLS` with every option of their factories, and `residual`,
    `learned_carry`, `zoneout` and `stack` of these.

    Raises:
      ValueError: they are not known.
    """
    check_cell("cell", cell)
    edges = ROADS[cell] if cell in ROADS else _by_step(cell)
    if edges is None:
        raise ValueError(
            f"cell: got {cell.name!r}; it must be one that has roads: of lj.CELLS or "
            "their factories; residual, learned_carry, zoneout or stack of these; or "
            "one with an entry of its own in lj.gradients.ROADS"
        )
    return edges


def steps_by_edge(
    cell: Cell, params: Params, xs: Any, carry: Carry | None, masks: Masks
) -> Steps:
    """Returns the steps of `cell_of_copies`; arguments as for `carry_gradients`."""
    copies = None
    if carry is not None:
        copies = dict.fromkeys(edges_of(cell).names, carry)
    return prepare(cell_of_copies(cell), params, xs, copies, **masks)


def cell_of_copies(cell: Cell) -> Cell:
    """Returns a cell that carries one copy of the carry per edge.

    Its step reads the copies by their edges and hands the new carry to all of them.
    """
    return _cell_of_copies(cell, edges_of(cell))


# Cached, so that equal cells give one function and are compiled once. The edges are
# part of what it is known by: an entry of `ROADS` may change.
@cache
def _cell_of_copies(cell: Cell, edges: Edges) -> Cell:
    def init_carry(params, batch_shape=()):
        return dict.fromkeys(edges.names, cell.init_carry(params, batch_shape))

    def step(params, copies, x):
        carry, y = edges.step(params, copies, x)
        return dict.fromkeys(edges.names, carry), y

    return Cell(
        name=f"{cell.name} by edge", init=cell.init, init_carry=init_carry, step=step
    )


def _by_step(cell: Cell) -> Edges | None:
    """Returns the edges that the step of a cell tells, None where it tells none."""
    if cell.layers and stack(*cell.layers).step is cell.step:
        return stacked(tuple(map(edges_of, cell.layers)))
    for known, edges in ROADS.items():
        if known.step is cell.step:
            return edges
    for example, edges_with in WIRED.items():
        wiring = _wiring(cell, example)
        if wiring is not None:
            return edges_with(**wiring)
    return None


def _wiring(cell: Cell, example: Cell) -> dict[str, Any] | None:
    """Returns what the factory of `example` wired a cell with; None for another's.

    The steps of one factory share their code and differ in what they close over.
    """
    if _codes(cell.step) != _codes(example.step):
        return None
    return dict(inspect.getclosurevars(inspect.unwrap(cell.step)).nonlocals)


def _codes(step: Any) -> list[CodeType | None]:
    """Returns the code of a step and of what it wraps, from the outside in.

    A checker of types may stand around the library's steps, the same around all;
    around a step that is decorated in another way stands other code.
    """
    inside = _codes(step.__wrapped__) if hasattr(step, "__wrapped__") else []
    return [getattr(step, "__code__", None), *inside]


def _lstm97(block_size: int, truncated: bool, **_: Any) -> Edges:
    step = edges_lstm.lstm97(block_size, truncated)
    return Edges(("cell", "i", "o", "g"), step, memory="c")


def _lstm2000(block_size: int, truncated: bool) -> Edges:
    step = edges_lstm.lstm2000(block_size, truncated)
    return Edges(LSTM_EDGES, step, memory="c")


def _four_gate(use_input: str) -> Edges:
    gates = "nifv" if use_input == "ltm" else "nifuv"
    return Edges(("cell", *gates), edges_lstm.four_gate(use_input), memory="ltm")


def _peephole_lstm(gates: str, **squashes: Callable) -> Edges:
    step = edges_lstm.peephole_lstm(gates, **squashes)
    return Edges(("cell", *gates), step, memory="c")


def _layer_norm_lstm(normalised: Callable, **_: Any) -> Edges:
    return Edges(LSTM_EDGES, edges_lstm.layer_norm_lstm(normalised), memory="c")


def _janet(beta: float) -> Edges:
    return Edges(("cell", "f", "g"), edges_single.janet(beta), memory="c")


def _antisymmetric_rnn(gamma: float, epsilon: float) -> Edges:
    step = edges_single.antisymmetric_rnn(gamma, epsilon)
    return Edges(("cell", "n"), step, memory="h")


def _wrapped(wrapper: Callable[..., Cell], cell: Cell) -> Edges:
    return around(wrapper, cell, edges_of(cell))


def _zoneout(cell: Cell, rate: int | float, rates: dict, **_: Any) -> Edges:
    return around(zoneout, cell, edges_of(cell), rate=rate, **rates)


WIRED: dict[Cell, Callable[..., Edges]] = {
    LSTM97: _lstm97,
    LSTM2000: _lstm2000,
    FOUR_GATE: _four_gate,
    PEEPHOLE_LSTM: _peephole_lstm,
    LAYER_NORM_LSTM: _layer_norm_lstm,
    JANET: _janet,
    ANTISYMMETRIC_RNN: _antisymmetric_rnn,
    residual(LSTM): partial(_wrapped, residual),
    learned_carry(LSTM): partial(_wrapped, learned_carry),
    zoneout(LSTM): _zoneout,
}
"""Edges by what a factory wired the cell with; a cell of each, to know it by."""

LSTM_EDGES = ("cell", "i", "f", "g", "o")

# By the cell itself: another cell may have the same name.
ROADS: dict[Cell, Edges] = {
    **{cell: one_edge(cell) for cell in (*map(rnn, ACTIVATIONS), IRNN, INDRNN)},
    LSTM: Edges(LSTM_EDGES, edges_lstm.lstm, memory="c"),
    CIFG_LSTM: Edges(("cell", "f", "g", "o"), edges_lstm.cifg_lstm, memory="c"),
    PROJECTION_LSTM: Edges(LSTM_EDGES, edges_lstm.projection_lstm, memory="c"),
    peephole_lstm("NP"): Edges(LSTM_EDGES, edges_lstm.lstm, memory="c"),
    peephole_lstm("FGR"): Edges(LSTM_EDGES, edges_lstm.full_gate_lstm, memory="c"),
    LSTM97_INPUT_GATE: Edges(("cell",), edges_lstm.lstm97_input_gate, memory="c"),
    LESSON_PEEPHOLE_LSTM: Edges(
        ("cell", *"nifuv"), edges_lstm.lesson_peephole_lstm, memory="ltm"
    ),
    GRU: Edges(("cell", "r", "z", "n"), edges_single.gru, memory="h"),
    GRU_RESET_BEFORE: Edges(
        ("cell", "r", "z", "n"), edges_single.gru_reset_before, memory="h"
    ),
    MGU: Edges(("cell", "f", "n"), edges_single.mgu, memory="h"),
    MINIMAL_RNN: Edges(("cell", "u"), edges_single.minimal_rnn, memory="h"),
}
"""The edges of cells. Cells with other options, and wrapped ones, have theirs too:
an entry here is for cells that are not the library's.

  cell  what is kept: c times f, LTM times f, h times z, f or u; c itself in the LSTMs
        of 1997, h itself in the antisymmetric RNN
  i, f, g, o    the gates of an LSTM, which read h (peepholes: and c); f, g of JANET
  n, i, f, v    those of the four-gate cell, which read the STM (the lesson's peepholes:
                and the LTM)
  u     the use gate of the four-gate cell, which reads what is kept of the LTM; the one
        gate of the MinimalRNN
  r, z, n       the gates of a GRU; n is the candidate's product, as in the MGU (f, n);
                in the antisymmetric RNN what is added to the memory
  h     all of an RNN, an IRNN, an IndRNN
  0.f, 1.f      of a stack, f of its first and of its second layer
"""
ROADS.update(
    (cell, edges_of(cell))
    for cell in (
        *(LSTM97, LSTM2000, FOUR_GATE, four_gate("ltm"), LAYER_NORM_LSTM),
        *(JANET, ANTISYMMETRIC_RNN, *map(peephole_lstm, WIRINGS)),
    )
)
