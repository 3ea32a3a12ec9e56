"""What load can't take ends in one line that says what it holds and what it wants."""

import json
import os
import pickle
import zipfile
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy
import torch
from adapters.loading import originals

import lstm_jax as lj

LSTM = {key: tensor.numpy() for key, tensor in torch.nn.LSTM(2, 3).state_dict().items()}


class NeedsCode:
    """Unpickling it would call a function."""

    def __reduce__(self):
        return os.getcwd, ()


def write(path, content: Any):
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        safetensors.numpy.save_file(content, path)
    return path


def refused(source: Any, module=None, kind: type[Exception] = ValueError):
    with pytest.raises(kind) as caught:
        lj.adapters.load(source, module)
    message = str(caught.value)
    assert "\n" not in message
    return message


ARRAYS = {
    "none": ({"head.weight": np.ones((2, 3))}, "holds head/weight; it must hold a rec"),
    "integers": (
        {k: np.ones(v.shape, np.int32) for k, v in LSTM.items()},
        "bias_hh_l0 is int32; it must be one of float16, bfloat16, float32, float64",
    ),
    "shapes": (
        LSTM | {"weight_ih_l0": np.ones((5, 2), np.float32)},
        "weight_ih_l0 has shape (5, 2); it must be (12, 2) to fit",
    ),
    "half a direction": (
        LSTM | {"weight_ih_l0_reverse": LSTM["weight_ih_l0"]},
        "weight_hh_l0_reverse is missing",
    ),
    "keras, an odd bias": (
        {
            "kernel": np.ones((2, 12), np.float32),
            "recurrent_kernel": np.ones((3, 12), np.float32),
            "bias": np.ones(11, np.float32),
        },
        "bias has shape (11,); it must be (12,) to fit",
    ),
    "keras, five gates": (
        {
            "kernel": np.ones((2, 15), np.float32),
            "recurrent_kernel": np.ones((3, 15), np.float32),
        },
        "recurrent_kernel has shape (3, 15); it must be (hidden, hidden), 3 * hidden",
    ),
    "ours, of three gates and no b_hn": (
        {
            "w_ih": np.ones((2, 9), np.float32),
            "w_hh": np.ones((3, 9), np.float32),
            "b": np.ones(9, np.float32),
        },
        "it holds b (9,), w_hh (3, 9), w_ih (2, 9); it must be an LSTM, w_ih (input,",
    ),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_are_no_network(tmp_path, case):
    arrays, found = ARRAYS[case]
    path = write(tmp_path / "w.safetensors", arrays)
    message = refused(path)
    assert repr(str(path)) in message
    assert found in message
    assert found in refused(arrays)  # and so in memory


FILES = {
    "a.txt": (
        b"hello there",
        "begins with b'hello th'; it must be a file of weights",
    ),
    "a.pt": (b"\x89PNG junk", "begins with b'\\x89PNG jun'; it must be a file of"),
    "a.npz": (b"PK junk", "is a damaged zip file; it must be whole"),
    "a.safetensors": (b"junk" * 10, "can't be read as a .safetensors file"),
    "a.h5": (b"\x89HDF junk", "can't be read as a .h5 file"),
    "a.onnx": (b"junk" * 10, "can't be read as an .onnx file"),
    "a.msgpack": (b"\xc1", "can't be read as a .msgpack file of Flax"),
    "a.json": (b'{"a": 1}', 'it must have "architecture": "LSTM" and "weights"'),
    "b.json": (b'{"a": ', "can't be read as JSON of weights"),
    "a.nam": (
        b'{"architecture": "LSTM", "config": {"input_size": 1, "hidden_size": 3, '
        b'"num_layers": 1}, "weights": [1, 2]}',
        '"weights" holds 2 numbers; it must be 70',
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_another_kind_and_damaged_ones(tmp_path, name):
    content, found = FILES[name]
    message = refused(write(tmp_path / name, content))
    assert name in message
    assert found in message


def test_a_pickle_is_never_run(tmp_path):
    torch.save(NeedsCode(), tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(NeedsCode(), protocol=4))
    for path in (tmp_path / "a.pt", tmp_path / "b.pt"):
        needs = "needs code to be unpickled; it must be a state dict"
        assert needs in refused(path)
    torch.save(torch.nn.LSTM(2, 3), tmp_path / "module.pt")
    assert "needs code" in refused(tmp_path / "module.pt")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("w.npy", np.lib.format.MAGIC_PREFIX + b"junk")
    assert "can't be read as a .npz file" in refused(tmp_path / "a.npz")


def test_a_file_that_is_not_there_or_no_file(tmp_path):
    assert "can't be read (No such file" in refused(
        tmp_path / "a.pt", kind=FileNotFoundError
    )
    assert "a folder of Orbax" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in refused(tmp_path / "pipe")


def test_objects_of_another_kind():
    message = refused(3, kind=TypeError)
    assert message.startswith("source: got int; it must be a path, a mapping of arrays")
    assert "holds bias, weight; it must hold a recurrent" in refused(
        torch.nn.Linear(2, 3)
    )


def test_a_module_that_takes_the_batch_first_is_noted():
    says = "the module takes the batch first; here"
    for first in (True, False):
        notes = lj.adapters.load(torch.nn.LSTM(2, 3, batch_first=first)).notes
        assert any(note.startswith(says) for note in notes) == first


def test_an_activation_behind_the_readout_is_noted():
    import keras

    layers = keras.layers
    for name in ("softmax", "linear"):
        model = keras.Sequential([layers.GRU(3), layers.Dense(2, activation=name)])
        model.build((None, None, 2))
        note = lj.adapters.load(model).notes[-1]
        assert note.endswith(", and its softmax is left out") == (name == "softmax")


def test_several_modules_are_listed(tmp_path):
    both = {f"{m}.{k}": v for m in ("enc", "dec") for k, v in LSTM.items()}
    path = write(tmp_path / "w.safetensors", both)
    for module in (None, "head"):
        message = refused(path, module)
        assert message.startswith(f"module: got {module!r}; it must be one of those in")
        assert "'enc'" in message
        assert "'dec'" in message
    assert lj.adapters.load(path, "dec").cell is lj.LSTM
    message = refused(path, ("enc", "dec"), kind=TypeError)
    assert message.startswith("module: got tuple; it must be the path of one module")


def test_layers_that_keras_has_and_this_library_has_not():
    import keras

    strange = keras.layers.LSTM(3, activation="relu")
    strange.build((None, None, 2))
    assert "activation: got 'relu'; it must be 'tanh'" in refused(strange)
    back = keras.layers.GRU(3, go_backwards=True)
    back.build((None, None, 2))
    assert "go_backwards: got True; it must be False" in refused(back)
    summed = keras.layers.Bidirectional(keras.layers.LSTM(3), merge_mode="sum")
    summed.build((None, None, 2))
    assert "merge_mode: got 'sum'; it must be 'concat'" in refused(summed)


def test_a_node_of_onnx_with_what_is_not_read(tmp_path):
    original = originals.of_onnx("LSTM", tmp_path / "a.onnx", input_forget=1)
    assert "input_forget: got 1; LSTM is read without it" in refused(original.source)


def test_carries_enter_and_leave_in_pieces():
    module = torch.nn.GRU(2, 3, num_layers=2, bidirectional=True)
    loaded = lj.adapters.load(module)
    xs = np.random.default_rng(0).standard_normal((6, 4, 2)).astype(np.float32)
    lengths = np.array([6, 3, 1, 0])
    run = jax.jit(partial(lj.adapters.run, loaded))
    carry, ys = jax.tree.map(np.asarray, run(xs, lengths=lengths))
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(xs[:, :3]), lengths[:3].tolist(), enforce_sorted=False
    )
    with torch.no_grad():
        out, last = module(packed)
    wanted = torch.nn.utils.rnn.pad_packed_sequence(out, total_length=6)[0]
    np.testing.assert_allclose(ys[:, :3], wanted, rtol=0, atol=1e-6)
    found = [side.h[:3] for layer in carry for side in layer]
    np.testing.assert_allclose(np.stack(found), last, rtol=0, atol=1e-6)
    entering, _ = run(xs[:3], carry)
    with torch.no_grad():
        state = torch.tensor(np.stack([side.h for layer in carry for side in layer]))
        wanted = module(torch.tensor(xs[:3]), state)[1]
    found = np.stack([side.h for layer in entering for side in layer])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_json_that_says_nothing_is_not_guessed(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"weights": [1.0] * 70}))
    assert "as GuitarML does" in refused(tmp_path / "a.json")
