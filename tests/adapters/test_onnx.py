"""to_onnx: ONNX Runtime gives what unroll and the readout give."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from adapters.networks import HIDDEN, INPUT, READOUT, Directions, drawn, network
from problems import slow_but

import lstm_jax as lj
from lstm_jax.readouts import linear

HARD = "hard_sigmoid_keras2"
CELLS = {
    "rnn": lj.RNN,
    "rnn of relu": lj.rnn("relu"),
    "rnn of logistic": lj.rnn("logistic"),
    "irnn": lj.cells.IRNN,
    "lstm": lj.LSTM,
    "lstm, hard": lj.cells.lstm(HARD),
    "gru": lj.GRU,
    "gru, hard": lj.cells.gru(HARD),
    "gru_reset_before": lj.cells.GRU_RESET_BEFORE,
}


def inputs(one, time, batch):
    """x, and a memory to begin with, of every layer and direction."""
    rng = np.random.default_rng(5)
    shapes = {"x": (time, batch, INPUT)}
    for name in ("h0", "c0") if "lstm" in one.cell.name else ("h0",):
        shapes[name] = (one.layers * one.directions, batch, HIDDEN)
    return {n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}


def ours(one, given):
    """The same outputs, of our own run from the same memory."""
    cell = one.cell.layers[0] if one.cell.layers else one.cell
    first = jax.tree.leaves(one.params, is_leaf=lambda part: hasattr(part, "w_hh"))[0]
    kind = type(cell.init_carry(first))
    memories = [array for name, array in given.items() if name != "x"]
    rows = [kind(*parts) for parts in zip(*memories, strict=True)]
    if one.directions == 2:
        rows = [Directions(*rows[at : at + 2]) for at in range(0, len(rows), 2)]
    entering = tuple(rows) if one.layers > 1 else rows[0]
    carry, ys = lj.adapters.run(one, jnp.asarray(given["x"]), entering)
    y = ys if one.readout is None else linear(one.readout, ys)
    leaving = jax.tree.leaves(carry, is_leaf=lambda part: type(part) is kind)
    return y, *(jnp.stack(part) for part in zip(*leaving, strict=True))


def assert_same(one, path, time=5, batch=2):
    onnx.save(lj.adapters.to_onnx(one.cell, one.params, one.readout), path)
    session = onnxruntime.InferenceSession(str(path))
    for sizes in ((time, batch), (1, 3)):
        given = inputs(one, *sizes)
        found: Any = session.run(None, given)
        for theirs, mine in zip(found, ours(one, given), strict=True):
            np.testing.assert_allclose(theirs, mine, rtol=0, atol=1e-5)
    return session


@pytest.mark.parametrize("name", CELLS)
def test_one_layer(name, tmp_path):
    one = network(CELLS[name], readout=READOUT)
    session = assert_same(one, tmp_path / "a.onnx")
    wanted = [["y", "hn", "cn"], ["y", "hn"]]["lstm" not in name]
    assert [output.name for output in session.get_outputs()] == wanted
    assert session.get_inputs()[0].shape == ["time", "batch", INPUT]


def test_it_loads_as_it_was(tmp_path):
    one = network(lj.GRU, readout=READOUT)
    onnx.save(lj.adapters.to_onnx(one.cell, one.params, READOUT), tmp_path / "a.onnx")
    loaded = lj.adapters.load(tmp_path / "a.onnx")
    assert loaded.cell == lj.GRU
    found, wanted = (loaded.params, loaded.readout), (one.params, READOUT)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


STACKS = [("lstm", 2, 1), ("gru", 1, 2), ("lstm", 2, 2), ("rnn", 3, 2)]
STACKS += [("gru_reset_before", 3, 1)]


@pytest.mark.parametrize(("name", "layers", "directions"), slow_but(STACKS[:3], STACKS))
def test_layers_and_directions(name, layers, directions, tmp_path):
    assert_same(network(CELLS[name], layers, directions), tmp_path / "a.onnx")


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "four_gate": (
        lj.FOUR_GATE,
        drawn(lj.FOUR_GATE),
        "'four_gate'.* StableHLO takes",
    ),
    "hard of Keras 3": (
        lj.cells.lstm("hard_sigmoid"),
        drawn(lj.LSTM),
        "'lstm_hard_sigmoid', which ONNX does not have",
    ),
    "two kinds": (
        lj.stack(lj.LSTM, lj.GRU),
        (drawn(lj.LSTM), drawn(lj.GRU, HIDDEN)),
        "which ONNX does not have; .* StableHLO",
    ),
    "widths": (
        lj.stack(lj.RNN, lj.RNN),
        (drawn(lj.RNN), drawn(lj.RNN)),
        "params: layer 1 reads 3 features and has 4 units; .* must be 4 and 4",
    ),
    "other params": (lj.LSTM, lj.FOUR_GATE, "params: got Cell; it must be LSTMParams"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_onnx_lacks_is_refused(case):
    cell, params, message = REFUSED[case]
    with pytest.raises((TypeError, ValueError), match=message):
        lj.adapters.to_onnx(cell, params)
