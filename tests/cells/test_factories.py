"""Cells made by factories: equal ones are one, and wirings no cell has are refused."""

import dataclasses
import inspect
import re
from typing import Any

import jax
import pytest
from cells.sequences import EVERY_WIRING, for_every_cell, make_params

import lstm_jax as lj
from lstm_jax.cells.lstm2000 import LSTM2000, lstm2000

# ---------------------------------------------------------------------------
# Promises of every cell
# ---------------------------------------------------------------------------


@for_every_cell
def test_equal_cells_hash_equal_and_share_one_trace(cell):
    twin = dataclasses.replace(cell)
    traced = []

    @jax.jit
    def start(cell, params):
        traced.append(cell.name)
        return cell.init_carry(params)

    assert twin is not cell and twin == cell and hash(twin) == hash(cell)
    params = make_params(cell)
    start(cell, params)
    start(twin, params)
    assert traced == [cell.name]


def test_cells_with_other_wiring_are_not_equal():
    cells = [*EVERY_WIRING, lj.cells.lstm97(3), lj.cells.layer_norm_lstm(1e-3)]
    cells += [lj.cells.antisymmetric_rnn(gamma=0.1), lj.cells.peephole_lstm("NP")]
    assert len(set(cells)) == len({cell.name for cell in cells}) == len(cells)


SPELLINGS = {
    "rnn": [lj.RNN, lj.rnn(), lj.rnn("tanh"), lj.rnn(activation="tanh")],
    "rnn_relu": [lj.rnn("relu"), lj.rnn(activation="relu")],
    "four_gate": [lj.FOUR_GATE, lj.four_gate(), lj.four_gate(use_input="kept")],
    "four_gate_ltm": [lj.four_gate("ltm"), lj.four_gate(use_input="ltm")],
    "lstm97": [
        lj.cells.LSTM97,
        lj.cells.lstm97(),
        lj.cells.lstm97(1, truncated=False, biased="all"),
    ],
    "lstm2000": [LSTM2000, lstm2000(), lstm2000(1, truncated=False)],
    "peephole_lstm": [
        lj.cells.PEEPHOLE_LSTM,
        lj.cells.peephole_lstm(),
        lj.cells.peephole_lstm("V"),
    ],
    "layer_norm_lstm": [
        lj.cells.LAYER_NORM_LSTM,
        lj.cells.layer_norm_lstm(epsilon=1e-5),
    ],
    "antisymmetric_rnn": [
        lj.cells.ANTISYMMETRIC_RNN,
        lj.cells.antisymmetric_rnn(0.01),
        lj.cells.antisymmetric_rnn(epsilon=0.01, gamma=0.01),
    ],
    "co_rnn": [lj.cells.CO_RNN, lj.cells.co_rnn(), lj.cells.co_rnn(0.042, gamma=2.7)],
    "sco_rnn": [lj.cells.SCO_RNN, lj.cells.sco_rnn(), lj.cells.sco_rnn(negative=0.5)],
    "lstm": [lj.LSTM, lj.cells.block_diagonal(lj.LSTM, 1)],
    "slstm_2_heads": [
        lj.cells.slstm(2),
        lj.cells.slstm(heads=2, forget_gate="sigmoid"),
        lj.cells.block_diagonal(cell=lj.cells.SLSTM, heads=2),
    ],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_factory_returns_the_same_cell_however_it_is_called(name):
    first, *others = SPELLINGS[name]
    assert first.name == name
    assert all(cell is first for cell in others)


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        (
            lj.rnn,
            {"activation": "sine"},
            "activation: got 'sine'; allowed: tanh, relu, logistic, linear",
        ),
        (lj.four_gate, {"use_input": "stm"}, "use_input: .*; allowed: kept, ltm"),
        (lj.cells.peephole_lstm, {"variant": "v"}, "variant: got 'v'; allowed: V, NIG"),
        (
            lj.cells.lstm97,
            {"biased": "g"},
            "biased: got 'g'; allowed: all, gates, none",
        ),
        (
            lj.cells.layer_norm_lstm,
            {"epsilon": 0},
            "epsilon: got 0; it must be above 0",
        ),
        (
            lj.cells.antisymmetric_rnn,
            {"epsilon": 0},
            "epsilon: got 0; it must be above 0",
        ),
        (
            lj.cells.antisymmetric_rnn,
            {"gamma": -1},
            "gamma: got -1; it must be at least 0",
        ),
        (lj.cells.co_rnn, {"dt": 0}, "dt: got 0; it must be above 0"),
        (lj.cells.co_rnn, {"epsilon": -1}, "epsilon: got -1; it must be at least 0"),
        (lj.cells.sco_rnn, {"negative": 2}, r"negative: got 2; it must be in \[0, 1\]"),
    ],
)
def test_a_factory_refuses_a_wiring_that_no_cell_has(factory, options, message):
    with pytest.raises(ValueError, match=message):
        factory(**options)


@pytest.mark.parametrize("factory", [lj.cells.lstm97, lstm2000])
@pytest.mark.parametrize("block_size", [0, 2.0, 1.5, True, "2"])
def test_blocks_are_of_a_whole_number_of_cells(factory, block_size):
    # As outside the tests, where no type checker stands before the function.
    unchecked = inspect.unwrap(factory)
    message = f"block_size: got {block_size!r}; it must be "
    error = ValueError if block_size == 0 else TypeError
    with pytest.raises(error, match=re.escape(message)):
        unchecked(block_size)


def takes_heads(what):
    """Whether it makes cells, of one head unless it is told otherwise."""
    heads = inspect.signature(what).parameters.get("heads") if callable(what) else None
    return heads is not None and heads.default == 1


PUBLIC = [getattr(lj.cells, name) for name in lj.cells.__all__]
WITH_HEADS = [*filter(takes_heads, PUBLIC)]


def test_the_dense_gated_cells_take_heads():
    assert {lj.cells.lstm, lj.cells.gru, lj.cells.slstm} < {*WITH_HEADS}
    assert len(WITH_HEADS) == 10


@pytest.mark.parametrize("factory", WITH_HEADS, ids=lambda factory: factory.__name__)
def test_heads_of_a_factory_are_the_wrapper(factory, key):
    cell = factory()
    split = factory(heads=2)
    assert factory(heads=1) is cell and cell is lj.CELLS[cell.name]
    assert split is lj.cells.block_diagonal(cell, 2) is not cell
    with pytest.raises(ValueError, match=r"^heads: got 0; it must be at least 1$"):
        factory(heads=0)
    with pytest.raises(TypeError, match=r"^heads: got 1\.5; it must be a whole number"):
        factory(heads=1.5)
    with pytest.raises(ValueError, match=r"^hidden_size: got 3; .* of heads=2$"):
        split.init(key, 2, 3)


def test_heads_keep_what_else_a_factory_is_asked_for():
    name = lj.cells.gru_reset_before("hard_sigmoid", heads=2).name
    assert name == "gru_reset_before_hard_sigmoid_2_heads"
    assert lj.four_gate("ltm", heads=2).name == "four_gate_ltm_2_heads"


# ---------------------------------------------------------------------------
# Initial weights
# ---------------------------------------------------------------------------


def test_a_cell_is_made_by_name_and_never_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(lj.LSTM, "name", "another")  # noqa: B010
    of_cell: Any = lj.Cell
    with pytest.raises(TypeError, match="positional"):
        of_cell("mine", lj.LSTM.init, lj.LSTM.init_carry, lj.LSTM.step)
