"""Files of every format, published ones and those that the libraries write here."""

import json
from pathlib import Path
from typing import Any

import flax.linen as nn
import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from adapters.loading import originals
from flax import serialization, traverse_util

import lstm_jax as lj
from lstm_jax.training.checkpoints import named_arrays

FILES = Path(__file__).parents[2] / "files"


def shown(loaded, xs):
    """Outputs, through the readout if there is one."""
    ys = np.asarray(jax.jit(lambda xs: lj.adapters.run(loaded, xs)[1])(xs))
    if loaded.readout is None:
        return ys
    return ys @ np.asarray(loaded.readout.w) + np.asarray(loaded.readout.b)


@pytest.mark.parametrize("suffix", ["safetensors", "onnx"])
def test_an_lstm_with_its_readout(suffix):
    loaded = lj.adapters.load(FILES / f"airline_lstm.{suffix}")
    stored = np.load(FILES / "airline_lstm_io.npz")
    assert loaded.cell is lj.LSTM
    np.testing.assert_allclose(
        shown(loaded, stored["inputs"]), stored["outputs"], rtol=0, atol=2e-6
    )


def test_a_gru_of_keras_3():
    loaded = lj.adapters.load(FILES / "ao_gru_model.keras")
    stored = np.load(FILES / "ao_gru_io.npz")
    _, ys = lj.adapters.run(loaded, jnp.asarray(stored["gru_inputs"]))
    np.testing.assert_allclose(ys[-1], stored["gru_output"], rtol=0, atol=1e-5)
    assert loaded.readout is not None
    assert loaded.readout.w.shape == (32, 2)


def test_matrices_in_the_memory_order_of_cudnn_are_put_right():
    loaded = lj.adapters.load(FILES / "textgenrnn_rnn_1.hdf5")
    stored = np.load(FILES / "textgenrnn_rnn_1_io.npz")
    np.testing.assert_allclose(
        shown(loaded, stored["inputs"]), stored["outputs"], rtol=0, atol=1e-5
    )
    assert any("cuDNN" in note for note in loaded.notes)


def test_a_gru_of_flax_under_keys_with_commas():
    path = FILES / "jaxmarl_vdn_spread.safetensors"
    loaded = lj.adapters.load(path)
    flat = safetensors.numpy.load_file(path)
    tree = traverse_util.unflatten_dict({tuple(k.split(",")): flat[k] for k in flat})
    params = {"params": tree["params"]["ScannedRNN_0"]["GRUCell_0"]}
    cell = nn.GRUCell(64)
    carry, xs = jnp.zeros((2, 64)), np.random.default_rng(0).standard_normal((4, 2, 64))
    run = originals.stepped(lambda c, x: cell.apply(params, c, x), carry)
    both = jax.jit(lambda xs: (run(xs), lj.adapters.run(loaded, xs)[1]))
    ys, found = both(np.float32(xs))
    np.testing.assert_allclose(found, ys, rtol=0, atol=1e-5)


def test_a_flat_list_with_its_own_first_memory_is_used_up():
    loaded = lj.adapters.load(FILES / "nam_lstm.nam")
    used = jax.tree.leaves((loaded.params, loaded.readout))
    flat = json.loads((FILES / "nam_lstm.nam").read_text())["weights"]
    assert sum(leaf.size for leaf in used) == len(flat)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([np.ravel(leaf) for leaf in used])),
        np.sort(np.asarray(flat, np.float32)),
    )


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LSTM(3, 2, num_layers=2))


def assert_equals(loaded, module, tolerance=0.0):
    assert (loaded.layers, loaded.cell) == (2, lj.stack(lj.LSTM, lj.LSTM))
    wanted = lj.from_torch(module[1].float().state_dict())
    for got, want in zip(
        jax.tree.leaves(loaded.params), jax.tree.leaves(wanted), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)


@pytest.mark.parametrize("suffix", ["pt", "pth"])
def test_a_state_dict_that_torch_saved(tmp_path, module, suffix):
    path = tmp_path / f"model.{suffix}"
    torch.save({"model": module.state_dict(), "epoch": 3}, path)
    assert_equals(lj.adapters.load(path), module)
    assert_equals(lj.adapters.load(path, "model.1"), module)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(tmp_path, module, dtype):
    half = {k: v.to(dtype) for k, v in module.state_dict().items()}
    safetensors.torch.save_file(half, tmp_path / "a.safetensors")
    loaded = lj.adapters.load(tmp_path / "a.safetensors")
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.params)} == {
        np.dtype("float32")
    }
    assert_equals(loaded, module, 0.01)


def test_arrays_of_torch_in_a_numpy_archive(tmp_path, module):
    arrays = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    np.savez(tmp_path / "a.npz", **arrays)
    assert_equals(lj.adapters.load(str(tmp_path / "a.npz")), module)


def test_params_of_flax_as_msgpack_and_as_a_folder_of_orbax(tmp_path):
    import orbax.checkpoint

    cell = nn.OptimizedLSTMCell(3)
    carry, xs = (jnp.zeros((2, 3)),) * 2, jnp.ones((2, 3))
    params = originals.drawn(jax.eval_shape(cell.init, jax.random.key(0), carry, xs))
    wanted = lj.adapters.load(params).params
    (tmp_path / "a.msgpack").write_bytes(serialization.to_bytes(params))
    with orbax.checkpoint.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "orbax", params)
    for name in ("a.msgpack", "orbax"):
        found = lj.adapters.load(tmp_path / name).params
        jax.tree.map(np.testing.assert_array_equal, found, wanted)


# Keras 3.15 converts its own variables in a way that NumPy 2.4 calls deprecated.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize("name", ["a.keras", "a.h5", "a.weights.h5"])
def test_a_model_that_keras_saved(tmp_path, name):
    import keras

    layers = [
        keras.layers.Bidirectional(
            keras.layers.LSTM(3, return_sequences=True), name="ears"
        ),
        keras.layers.Dense(2, name="head"),
    ]
    model = keras.Sequential([keras.Input((5, 3)), *layers])
    save = model.save_weights if "weights" in name else model.save
    save(str(tmp_path / name))
    loaded = lj.adapters.load(tmp_path / name)
    assert loaded.directions == 2
    xs = originals.inputs(np.float32)
    wanted = np.swapaxes(jax.jit(model)(np.swapaxes(xs, 0, 1)), 0, 1)
    np.testing.assert_allclose(shown(loaded, xs), wanted, rtol=0, atol=1e-5)
    module = "bidirectional" if "weights" in name else "ears"  # a name only if it says
    assert lj.adapters.load(tmp_path / name, module).cell is loaded.cell


@pytest.mark.parametrize(
    ("version", "cell"),
    [
        ("2.1.5", "lstm_hard_sigmoid_keras2"),
        ("2.2.4-tf", "lstm"),
        ("2.3.1", "lstm"),
        ("2.10.0", "lstm"),
    ],
)
def test_weights_alone_have_the_gates_of_the_keras_that_wrote_them(
    tmp_path, version, cell
):
    shapes = {"kernel": (2, 12), "recurrent_kernel": (3, 12), "bias": (12,)}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["layer_names"] = [b"lstm"]
        names = [f"lstm/{name}:0".encode() for name in shapes]
        file.create_group("lstm").attrs["weight_names"] = names
        for name, shape in shapes.items():
            file[f"lstm/lstm/{name}:0"] = np.ones(shape, np.float32)
    assert lj.adapters.load(tmp_path / "a.h5").cell.name == cell


@pytest.mark.parametrize("within", ["", "cell"])
def test_a_memory_that_was_learned_comes_with_its_cell(tmp_path, within):
    cell = lj.learned_carry(lj.GRU)
    params = originals.drawn(cell.init(jax.random.key(0), 2, 3))
    arrays: Any = named_arrays({within: params} if within else params)
    np.savez(tmp_path / "a.npz", **arrays)
    loaded = lj.adapters.load(tmp_path / "a.npz")
    assert loaded.cell == cell
    jax.tree.map(np.testing.assert_array_equal, loaded.params, params)


@pytest.mark.parametrize("layers", [1, 2])
def test_both_directions_of_a_run_come_back(tmp_path, layers):
    one = lj.cells.bidirectional(lj.GRU)
    cell = one if layers == 1 else lj.stack(*[one] * layers)
    params = originals.drawn(cell.init(jax.random.key(0), 2, 3))
    arrays: Any = named_arrays({"cell": params})
    np.savez(tmp_path / "a.npz", **arrays)
    loaded = lj.adapters.load(tmp_path / "a.npz")
    assert (loaded.cell, loaded.layers, loaded.directions) == (lj.GRU, layers, 2)
    jax.tree.map(np.testing.assert_array_equal, loaded.params, params)
    del arrays["cell/backward/b" if layers == 1 else "cell/1/backward/b"]
    with pytest.raises(ValueError, match="it holds b_hn"):
        lj.adapters.load(arrays)
    half = {k: v for k, v in arrays.items() if "backward" not in k}
    with pytest.raises(ValueError, match="forward; it must have forward and backward"):
        lj.adapters.load(half)


def test_a_state_dict_in_the_json_of_an_audio_plug_in(tmp_path):
    module = torch.nn.ModuleDict(
        {"rec": torch.nn.LSTM(1, 4), "lin": torch.nn.Linear(4, 1)}
    )
    stored = {
        "model_data": {"unit_type": "LSTM", "skip": 1},
        "state_dict": {k: v.tolist() for k, v in module.state_dict().items()},
    }
    (tmp_path / "a.json").write_text(json.dumps(stored))
    loaded = lj.adapters.load(tmp_path / "a.json")
    xs = np.random.default_rng(0).standard_normal((6, 1)).astype(np.float32)
    with torch.no_grad():
        wanted = module["lin"](module["rec"](torch.tensor(xs))[0]).numpy()
    np.testing.assert_allclose(shown(loaded, xs), wanted, rtol=0, atol=1e-6)
    assert any("skip" in note for note in loaded.notes)
