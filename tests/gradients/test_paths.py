"""Paths of one step: their names, and that they add up to the whole Jacobian."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import HIDDEN, INPUT
from gradients.path_problems import BATCH, path_and_whole_jacobians
from numpy.testing import assert_allclose
from problems import (
    assert_trees_close,
    compiled,
    draw,
    drawn_like,
    in_float64,
    make_carry,
    make_params,
    slow_but,
)

import lstm_jax as lj
from lstm_jax.cells.layer_norm_lstm import layer_norm_lstm
from lstm_jax.cells.lstm97_input_gate import LSTM97_INPUT_GATE
from lstm_jax.cells.lstm2000 import LSTM2000, lstm2000
from lstm_jax.gradients.paths import (
    path_jacobians,
    path_names,
)

LSTM_PATHS = ("cell", "i", "f", "g", "o")


def names_of(cell):
    """What is kept, where the cell has a memory or no gates, and its gates."""
    return (*(("cell",) if cell.memory or not cell.gates else ()), *cell.gates)


VARIANTS = (
    *map(lj.rnn, ("relu", "logistic", "linear")),
    *map(lj.cells.peephole_lstm, ("NIG", "NFG", "NOG", "NIAF", "NOAF", "NP", "FGR")),
    lj.four_gate("ltm"),
    lj.cells.lstm97(2, biased="gates"),
    lj.cells.lstm97(2, truncated=True),
    LSTM97_INPUT_GATE,
    LSTM2000,
    lstm2000(2, truncated=True),
    layer_norm_lstm(0.1),
    lj.cells.antisymmetric_rnn(0.2, 1 / 3),
    lj.cells.slstm(2),
    *(lj.cells.block_diagonal(cell, 2) for cell in (lj.LSTM, lj.FOUR_GATE)),
)
NAMES: dict[Any, tuple[str, ...]] = {
    **{cell: names_of(cell) for cell in (*lj.CELLS.values(), *VARIANTS)},
    lj.RNN: ("h",),
    lj.LSTM: LSTM_PATHS,
    lj.GRU: ("cell", "r", "z", "n"),
    lj.FOUR_GATE: ("cell", "n", "i", "f", "u", "v"),
    lj.cells.LSTM97: ("cell", "i", "o", "g"),
    lj.cells.peephole_lstm("NIG"): ("cell", "f", "g", "o"),
    lj.residual(lj.RNN): ("h",),
    lj.learned_carry(lj.cells.MGU): ("cell", "f", "n"),
    lj.stack(lj.GRU, lj.cells.MGU): (
        *("0.cell", "0.r", "0.z", "0.n"),
        *("1.cell", "1.f", "1.n"),
    ),
    lj.stack(lj.RNN, lj.stack(lj.cells.MGU, lj.RNN)): (
        *("0.h", "1.0.cell", "1.0.f", "1.0.n", "1.1.h"),
    ),
    # What zoneout keeps is kept: "cell", also of a cell that keeps nothing itself.
    lj.zoneout(lj.LSTM, 0.5): LSTM_PATHS,
    lj.zoneout(lj.cells.PEEPHOLE_LSTM, 0.5): LSTM_PATHS,
    lj.zoneout(lj.stack(lj.cells.MGU, lj.RNN), 0.3): (
        *("0.cell", "0.f", "0.n"),
        *("1.cell", "1.h"),
    ),
    lj.residual(lj.stack(lj.cells.MGU, lj.RNN)): ("0.cell", "0.f", "0.n", "1.h"),
    lj.cells.variational_dropout(lj.LSTM, hidden_rate=0.5): LSTM_PATHS,
}
# The others differ from one of these in a gate, an activation or a number.
KINDS = (
    lj.LSTM,
    lj.FOUR_GATE,
    lstm2000(2, truncated=True),
    lj.zoneout(lj.stack(lj.cells.MGU, lj.RNN), 0.3),
)


def inputs_of(cell):
    width = HIDDEN if cell.name.startswith("residual") else INPUT
    xs = draw(2, BATCH, width, seed=100)
    keyed = isinstance(cell, lj.cells.KeyedCell)
    return width, lj.with_keys(jax.random.key(0), xs, cell.per) if keyed else xs


@in_float64
@pytest.mark.parametrize("cell", NAMES, ids=lambda cell: cell.name)
def test_paths_have_the_names_of_the_gates(cell):
    width, xs = inputs_of(cell)
    first = jax.tree.map(lambda leaf: leaf[0], xs)
    assert path_names(cell, make_params(cell, width), first) == NAMES[cell]


@in_float64
@pytest.mark.parametrize("cell", slow_but(KINDS, NAMES), ids=lambda cell: cell.name)
def test_paths_add_up_to_the_step(cell):
    width, xs = inputs_of(cell)
    params = make_params(cell, width)
    carry = make_carry(cell, params, (BATCH,))
    paths, whole = path_and_whole_jacobians(cell, params, xs, carry)
    assert set(paths) == {*NAMES[cell]}
    assert_allclose(sum(paths.values()), whole, rtol=0, atol=1e-13)
    silent = {name for name, path in paths.items() if np.abs(path).max() < 1e-3}
    truncated = "truncated" in cell.name
    assert silent == ({*NAMES[cell]} - {"cell"} if truncated else set())


@pytest.mark.slow
@in_float64
def test_any_number_of_batch_axes():
    params, xs = make_params(lj.cells.PEEPHOLE_LSTM), draw(2, 2, 3, INPUT)
    whole = path_jacobians(lj.cells.PEEPHOLE_LSTM, params, xs)
    one = lambda leaf: leaf[:, 1, 2]
    found = path_jacobians(lj.cells.PEEPHOLE_LSTM, params, one(xs))
    assert_trees_close(found, jax.tree.map(one, whole), rtol=0, atol=1e-14)


def silent_columns(params, gate, order, name="w_hh"):
    """Params in which the columns of one gate, of those in `order`, are zero."""
    blocks = np.split(np.asarray(getattr(params, name)), len(order), axis=-1)
    blocks[order.index(gate)] = 0 * blocks[order.index(gate)]
    return params._replace(**{name: np.concatenate(blocks, axis=-1)})


def silent_peephole(params, gate, order):
    params = silent_columns(params, gate, order)
    peeping = order.replace("g", "")
    return params if gate == "g" else silent_columns(params, gate, peeping, "p")


def silent_full_gate(params, gate, order):
    params = silent_peephole(params, gate, order)
    return params if gate == "g" else silent_columns(params, gate, "ifo", "w_gates")


def silent_lesson(params, gate, order):
    if gate in order:
        return silent_columns(params, gate, order, "w_ifv")
    return silent_one(params, gate, order)


def silent_one(params, gate, _):
    name = f"w_{gate}"
    return params._replace(**{name: 0 * np.asarray(getattr(params, name))})


MEMORIES = [
    cell for cell in (*lj.CELLS.values(), LSTM2000) if cell.memory and cell.gates
]
SILENT: dict[Any, Any] = {
    **{cell: (cell.gates, silent_columns) for cell in MEMORIES},
    lj.cells.LAYER_NORM_LSTM: ("ifgo", partial(silent_columns, name="scale_hh")),
    lj.cells.PEEPHOLE_LSTM: ("ifgo", silent_peephole),
    lj.cells.peephole_lstm("NFG"): ("igo", silent_peephole),
    lj.cells.peephole_lstm("FGR"): ("ifgo", silent_full_gate),
    lj.cells.LESSON_PEEPHOLE_LSTM: ("ifv", silent_lesson),
    lj.FOUR_GATE: ("nifuv", silent_one),
}
del SILENT[lj.cells.ANTISYMMETRIC_RNN]  # it reads its memory also without weights
del SILENT[lj.cells.CO_RNN]  # velocities are kept as well
del SILENT[lj.cells.SLSTM]  # the weight of its memory is kept as well
"""How the gates of a cell stop reading its memory: mostly, as columns of w_hh."""


@in_float64
@pytest.mark.parametrize(
    "cell",
    slow_but([lj.GRU, lj.FOUR_GATE], SILENT),
    ids=lambda cell: cell.name,
)
def test_a_gate_that_reads_no_memory_has_no_path(cell):
    """So each path is that of the gate of its name, and the rest is what is kept."""
    order, silent = SILENT[cell]
    params, xs = make_params(cell), draw(1, INPUT, seed=100)
    carry = drawn_like(cell.init_carry(params), seed=200)
    weights = drawn_like(cell.init_carry(params), seed=300)

    @jax.jit
    def paths_of(params):
        jacobians = path_jacobians(cell, params, xs, carry)
        row = jnp.concatenate(jax.tree.leaves(weights))
        return {name: row @ jacobian[0] for name, jacobian in jacobians.items()}

    ends = np.cumsum([leaf.size for leaf in carry])[:-1]
    for gate in cell.gates:
        paths = paths_of(silent(params, gate, order))
        kept = dict(zip(carry._fields, np.split(paths["cell"], ends), strict=True))
        for field, part in kept.items():
            assert np.all(part != 0) == np.any(part) == (field == cell.memory)
        assert not np.any(paths[gate]), gate


@in_float64
def test_what_is_kept_is_kept_unit_by_unit():
    """The cell path of the antisymmetric RNN is all of it; of a GRU, z."""
    cell, xs = lj.cells.ANTISYMMETRIC_RNN, draw(1, INPUT, seed=100)
    params = make_params(cell)
    kept = np.asarray(compiled(path_jacobians, cell)(params, xs)["cell"])[0]
    assert_allclose(kept, np.eye(HIDDEN), 1e-14)
    params = make_params(lj.GRU)
    carry = drawn_like(lj.GRU.init_carry(params), seed=200)
    kept = np.asarray(compiled(path_jacobians, lj.GRU)(params, xs, carry)["cell"])[0]
    read, held, params = np.asarray(xs[0]), np.asarray(carry.h), map(np.asarray, params)
    w_ih, w_hh, b, _ = params
    z = 1 / (1 + np.exp(-(read @ w_ih + held @ w_hh + b)))
    assert_allclose(kept, np.diag(z[HIDDEN : 2 * HIDDEN]), rtol=1e-13)


@pytest.mark.slow
@in_float64
def test_what_zoneout_keeps_is_on_the_cell_path():
    cell = lj.zoneout(lj.LSTM, 0.5)
    params = make_params(cell)
    xs = lj.with_keys(jax.random.key(0), draw(1, INPUT, seed=100))
    carry = drawn_like(cell.init_carry(params), seed=200)
    paths = path_jacobians(cell, params, xs, carry)
    of_h = paths["cell"][0][:HIDDEN, :HIDDEN]
    assert np.any(of_h) and not np.all(np.diag(of_h))
    assert np.all(np.diag(paths["cell"][0][HIDDEN:, HIDDEN:]))
    for gate in "ifgo":
        assert np.any(paths[gate]) and not np.any(paths[gate][..., HIDDEN:])


@in_float64
def test_a_layer_reads_what_the_one_below_makes_and_not_its_memory():
    """Also where the lower one is zoned out, and shows a choice of old and new."""
    cell = lj.stack(lj.zoneout(lj.cells.MGU, 0.5), lj.RNN)
    params = make_params(lj.cells.MGU), make_params(lj.RNN, HIDDEN)
    xs = lj.with_keys(jax.random.key(0), draw(1, INPUT, seed=100))
    carry = drawn_like(cell.init_carry(params), seed=200)
    paths = compiled(path_jacobians, cell)(params, xs, carry)
    assert set(paths) == {"0.cell", "0.f", "0.n", "1.h"}
    for name, path in paths.items():
        below, above = np.split(np.asarray(path)[0], 2, axis=-1)
        assert (np.any(below), np.any(above)) == ((True, False), (False, True))[
            int(name[0])
        ]


def test_jacobians_of_a_saturated_unit_keep_their_slope():
    """tanh'(12) = 4 e^-24 = 1.5e-10, where 1 - tanh² is 0 in float32."""
    params = lj.RNNParams(jnp.zeros((1, 1)), jnp.ones((1, 1)), jnp.full(1, 12.0))
    found = path_jacobians(lj.RNN, params, jnp.zeros((1, 1)))["h"]
    assert_allclose(found, 4 * np.exp(-24.0), rtol=1e-5)
