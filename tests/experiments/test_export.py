"""A trained network in other hands: each reader gives the numbers of lj.unroll."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

import lstm_jax as lj
from experiments import export, train
from experiments.common.errors import ConfigError
from experiments.train.saved_run import read_run
from lstm_jax.readouts import linear
from lstm_jax.training.checkpoints import named_arrays
from lstm_jax.training.models import init_model

ROOT = Path(__file__).parents[2]
SMALL: Any = {"task": "adding", "hidden_size": 4, "length": 6, "batch_size": 3}
FEW: Any = {"num_steps": 2, "checkpoint_interval": 1, "test_size": 5}


@pytest.fixture(scope="module")
def four_gate(tmp_path_factory):
    """A run, for which nothing but this library's own cell will do."""
    out = tmp_path_factory.mktemp("runs") / "four_gate"
    train.run(train.Config(cell="four_gate", **SMALL, **FEW), out)
    return str(out)


@pytest.fixture(scope="module")
def model():
    return init_model(jax.random.key(0), lj.LSTM, 2, 1, hidden_size=4)


@pytest.fixture(scope="module")
def lstm(model, tmp_path_factory):
    """The weights that a run leaves at its end."""
    path = tmp_path_factory.mktemp("weights") / "final.npz"
    arrays: Any = named_arrays(model)
    np.savez(path, **arrays)
    return str(path)


def written(to, **options):
    export.write(export.Config(to=str(to), **options))
    return to


def close(found, wanted):
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=0, atol=1e-5)


XS = np.random.default_rng(0).standard_normal((5, 2, 2)).astype(np.float32)


def ours(cell, params):
    carry, ys = lj.unroll(cell, params.cell, jnp.asarray(XS))
    return carry, linear(params.readout, ys)


def test_torch_loads_it(lstm, model, tmp_path):
    module = torch.nn.ModuleDict(
        {"rnn": torch.nn.LSTM(2, 4), "readout": torch.nn.Linear(4, 1)}
    )
    module.load_state_dict(
        load_file(written(tmp_path / "a.safetensors", checkpoint=lstm))
    )
    with torch.no_grad():
        answers = module["readout"](module["rnn"](torch.from_numpy(XS))[0])
    close(answers, ours(lj.LSTM, model)[1])
    assert lj.adapters.load(tmp_path / "a.safetensors").readout is not None


def test_onnx_runtime_runs_it(lstm, model, tmp_path):
    path = written(tmp_path / "a.onnx", file=lstm)
    session = onnxruntime.InferenceSession(str(path))
    zeros = np.zeros((1, 2, 4), np.float32)
    found = session.run(None, {"x": XS, "h0": zeros, "c0": zeros})
    carry, answers = ours(lj.LSTM, model)
    for theirs, mine in zip(
        found, [answers, carry.h[None], carry.c[None]], strict=True
    ):
        close(theirs, mine)


@pytest.mark.slow
def test_a_program_runs_any_cell(four_gate, tmp_path):
    path = written(tmp_path / "new" / "a.stablehlo", file=four_gate)
    program = jax.export.deserialize(bytearray(path.read_bytes()))
    memory = {name: jnp.zeros((2, 4)) for name in ("ltm", "stm")}
    params = read_run(four_gate, None).params
    close(program.call(XS, memory)[0], ours(lj.FOUR_GATE, params)[1])


def test_weights_of_a_file_go_through(tmp_path):
    """Layers and directions, from torch to torch, with a note on what was assumed."""
    module = torch.nn.RNN(3, 4, num_layers=2, bidirectional=True)
    save_file(dict(module.state_dict()), tmp_path / "in.safetensors")
    to = written(tmp_path / "out.safetensors", file=str(tmp_path / "in.safetensors"))
    loaded = [lj.adapters.load(tmp_path / f"{n}.safetensors") for n in ("in", "out")]
    jax.tree.map(np.testing.assert_array_equal, *(one.params for one in loaded))
    assert to.exists()


def refused(message, **options):
    with pytest.raises(ConfigError, match=message) as caught:
        export.write(export.Config(**options))
    assert "\n" not in str(caught.value)


def test_what_a_format_lacks_is_refused_and_nothing_is_written(four_gate, tmp_path):
    for end in ("onnx", "safetensors"):
        to = str(tmp_path / "new" / f"a.{end}")
        refused("cell: got 'four_gate'.*StableHLO", file=four_gate, to=to)
    assert not any(tmp_path.iterdir())


def test_gates_that_torch_has_not_are_refused(model):
    hard = lj.cells.lstm("hard_sigmoid")
    loaded = lj.adapters.Loaded(hard, model.cell, 1, 1, None, ())
    with pytest.raises(ConfigError, match="'lstm_hard_sigmoid', which torch"):
        export.content(export.Network(loaded, 2), ".safetensors")


BAD = {
    "no end": ({"to": "model"}, "to: got 'model'; it must end in .safetensors, "),
    "another end": ({"to": "model.pt"}, "to: got 'model.pt'; it must end"),
    "no name": ({}, "to: got None; it must end"),
    "nothing to read": ({"file": None, "to": "a.onnx"}, "must be exactly one"),
    "two to read": ({"checkpoint": "b", "to": "a.onnx"}, "must be exactly one"),
    "no such file": ({"to": "a.onnx"}, "file: .*missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_flags_are_refused_in_one_line(case):
    options, message = BAD[case]
    refused(message, **({"file": "missing"} | options))


def test_flags_that_do_not_apply_are_refused(four_gate, lstm):
    refused("of_seed: got 7; ", file=four_gate, of_seed=7, to="a.onnx")
    refused("module: got 'rnn'; .*a run", file=four_gate, module="rnn", to="a.onnx")
    refused("of_seed: got 0; .*without a run", file=lstm, of_seed=0, to="a.onnx")


def test_several_modules_are_listed_and_the_file_that_is_read_is_kept(tmp_path):
    path = tmp_path / "two.safetensors"
    two = torch.nn.ModuleDict({k: torch.nn.LSTM(2, 3) for k in ("reader", "writer")})
    save_file(two.state_dict(), path)
    refused("^module: got None; .*'reader', 'writer'", file=str(path), to="a.onnx")
    refused(
        "to: got .*two.safetensors', which is what is read; it must be another file",
        file=str(path),
        module="reader",
        to=f"{tmp_path}/./two.safetensors",
    )


def test_a_folder_that_can_not_be_made_is_refused(lstm, tmp_path):
    (tmp_path / "file").touch()
    refused("to: can't write", file=lstm, to=str(tmp_path / "file" / "a.onnx"))


def test_the_command_says_what_it_wrote(lstm, tmp_path):
    to = tmp_path / "a.onnx"
    call = [sys.executable, "-m", "experiments.export", lstm, f"--to={to}"]
    ended = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (
        f"lstm, 1 layer, x (time, batch, 2), with its readout, in {to.resolve()}"
        in (ended.stdout)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


@pytest.mark.slow
def test_a_run_of_layers_in_both_directions_is_exported_whole(tmp_path):
    config = train.Config(
        cell="gru",
        hidden_size=3,
        num_layers=2,
        bidirectional=True,
        length=5,
        num_steps=1,
        batch_size=2,
        test_size=2,
    )
    train.run(config, tmp_path / "run")
    found = export.read(export.Config(file=str(tmp_path / "run"), to="a.onnx"))
    network = found.network
    assert (network.layers, network.directions, found.input_size) == (2, 2, 2)
    assert "where each direction ends" in network.notes[0]
    session = onnxruntime.InferenceSession(export.content(found, ".onnx"))
    xs = np.random.default_rng(0).normal(size=(5, 2, 2)).astype(np.float32)
    assert network.readout is not None
    wanted = linear(network.readout, lj.adapters.run(network, jnp.asarray(xs))[1])
    zeros = {i.name: np.zeros((4, 2, 3), np.float32) for i in session.get_inputs()[1:]}
    y, _ = map(np.asarray, session.run(None, {"x": xs} | zeros))
    np.testing.assert_allclose(y, wanted, atol=1e-5)
    saved = read_run(str(tmp_path / "run"), None)
    batch = saved.task.sample_test(jax.random.key(0), 2, 5)
    _, last = session.run(None, {"x": np.asarray(batch.inputs)} | zeros)
    hn = np.asarray(last)
    final = np.load(tmp_path / "run" / "final.npz")
    answer = np.concatenate([hn[-2], hn[-1]], -1) @ final["readout/w"]
    layer = lj.cells.bidirectional(lj.GRU)
    own = lj.evaluate(
        jax.random.key(0),
        lj.stack(layer, layer),
        saved.task,
        saved.params,
        batch_size=2,
        length=5,
    )
    loss = saved.task.loss(answer + final["readout/b"], batch)
    np.testing.assert_allclose(loss, own.loss, atol=1e-5)
