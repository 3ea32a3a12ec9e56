"""Files of weights: what is read from them, and what is refused."""

from typing import Any

import jax
import numpy as np
import pytest
import torch
from weight_files import (
    HIDDEN,
    INPUT,
    gru_params,
    lstm_params,
    module_arrays,
    refusal,
    save_npz,
    save_torch,
)

import lstm_jax as lj
from experiments import explain
from experiments.explain.network import Block, names, sizes
from experiments.explain.weights_file import read


@pytest.mark.parametrize("make", [torch.nn.LSTM, torch.nn.GRU])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_torch_come_out_of_a_model_in_any_dtype(tmp_path, make, dtype):
    from safetensors.torch import save_file

    module = make(INPUT, HIDDEN, num_layers=2).to(dtype)
    tensors = {f"encoder.rnn.{k}": v for k, v in module.state_dict().items()}
    path = str(tmp_path / "model.safetensors")
    save_file(tensors | {"head.weight": torch.ones(2)}, path)
    weights = read("file", path, None)
    wanted = lj.from_torch(module.float().state_dict())
    assert read("file", path, "encoder.rnn").network == weights.network
    for got, want in zip(
        jax.tree.leaves(weights.params), jax.tree.leaves(wanted), strict=True
    ):
        np.testing.assert_array_equal(got, want)
    assert sizes(weights.network, weights.params) == (INPUT, HIDDEN, HIDDEN)


def test_layers_of_npz_are_in_the_order_of_their_numbers(tmp_path):
    layers = tuple(lstm_params([k, k]) for k in range(12))
    path = save_npz(tmp_path / "w.npz", {"a": {"cell": layers}})
    weights = read("file", path, None)
    assert [float(layer.b[2]) for layer in weights.params[0]] == list(range(12))


LSTM = module_arrays(torch.nn.LSTM(INPUT, HIDDEN))
TWO_LAYERS = module_arrays(torch.nn.LSTM(INPUT, HIDDEN, num_layers=2))
BAD_TORCH: dict[str, Any] = {
    "no rnn": (
        {"head.weight": np.ones(2)},
        "holds head/weight; it must hold a recurrent",
    ),
    "empty": (
        {},
        "holds nothing; it must hold a recurrent module, such as weight_ih_l0",
    ),
    "shapes": (
        LSTM | {"weight_ih_l0": np.ones((5, INPUT), np.float32)},
        "state_dict: weight_ih_l0 has shape (5, 2); it must be (12, 2) to fit",
    ),
    "mixed layers": (
        TWO_LAYERS | {"weight_hh_l1": np.ones((9, HIDDEN), np.float32)},
        "state_dict: weight_hh_l1 has shape (9, 3); it must be (12, 3) to fit",
    ),
    "nan": (
        LSTM | {"bias_ih_l0": np.full(12, np.nan, np.float32)},
        "bias_ih_l0 holds nan; weights must be finite in float32",
    ),
    "beyond float32": (
        {k: v.astype(np.float64) for k, v in LSTM.items()}
        | {"weight_hh_l0": np.full((12, 3), 1e39)},
        "weight_hh_l0 holds 1e+39; weights must be finite in float32",
    ),
    "a sum beyond float32": (
        LSTM | {b: np.full(12, 3e38, np.float32) for b in ("bias_ih_l0", "bias_hh_l0")},
        "holds weights that are NaN or infinite in float32; they must be finite",
    ),
    "integers": (
        {key: np.ones(value.shape, np.int32) for key, value in LSTM.items()},
        "is int32; it must be one of float16, bfloat16, float32, float64",
    ),
}
GOOD = {f: np.asarray(v) for f, v in lstm_params([1.0, 1.0])._asdict().items()}
BAD_NPZ: dict[str, Any] = {
    "nothing": (
        {"readout/w": np.ones(3)},
        "holds readout/w; it must hold a recurrent module",
    ),
    "cifg": (
        {k: v[..., :6] for k, v in GOOD.items()},
        "holds b (6,), w_hh (2, 6), w_ih (2, 6); it must be an LSTM, w_ih (input, 4 *",
    ),
    "layer norm": (
        GOOD | {"scale_ih": np.ones(8)},
        "holds b (8,), scale_ih (8,), w_hh (2, 8), w_ih (2, 8); it must be an LSTM",
    ),
    "a number": (GOOD | {"w_hh": np.float32(1)}, "w_hh (), w_ih (2, 8); it must be"),
    "integers": (
        {k: v.astype(np.int32) for k, v in GOOD.items()},
        "is int32; it must be one of float16, bfloat16",
    ),
    "infinite": (
        GOOD | {"b": np.full(8, np.inf)},
        "b holds inf; weights must be finite",
    ),
    "beyond float32": (GOOD | {"b": np.full(8, 1e39)}, "b holds 1e+39; weights must"),
    "mixed layers": (
        {f"0/{k}": v for k, v in GOOD.items()}
        | {f"1/{k}": v for k, v in gru_params([1.0, 1.0])._asdict().items()},
        "its layers are gru, lstm; they must be of one cell",
    ),
    "layers that do not fit": (
        {f"0/{k}": v for k, v in GOOD.items()}
        | {f"1/{k}": v for k, v in (GOOD | {"w_ih": np.ones((3, 8))}).items()},
        "w_ih of an upper layer has shape (3, 8); it must be (2, 8) to fit",
    ),
}


@pytest.mark.parametrize("case", BAD_TORCH)
def test_other_weights_of_torch_are_refused_in_one_line(tmp_path, case):
    arrays, found = BAD_TORCH[case]
    path = save_torch(tmp_path / "w.safetensors", arrays)
    message = refusal(lambda: explain.run(explain.Config(torch=path)))
    assert message.startswith(f"torch: {path!r}")
    assert found in message


@pytest.mark.parametrize("case", BAD_NPZ)
def test_other_params_are_refused_in_one_line(tmp_path, case):
    arrays, found = BAD_NPZ[case]
    np.savez(tmp_path / "w.npz", **arrays)
    path = str(tmp_path / "w.npz")
    message = refusal(lambda: explain.run(explain.Config(weights=path)))
    assert message.startswith(f"weights: {path!r}")
    assert found in message


def test_files_of_another_kind_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3))
    found = {"a.safetensors": "can't be read as a", "a.npz": "begins with b'junk"}
    for name, flag in (("a.safetensors", "torch"), ("a.npz", "weights")):
        (tmp_path / name).write_bytes(b"junk" * 10)
        options: Any = {flag: str(tmp_path / name)}
        config = explain.Config(**options)
        message = refusal(lambda config=config: explain.run(config))
        assert f"{name}' {found[name]}" in message
    path = str(tmp_path / "a.npy")
    assert "begins with" in refusal(lambda: read("file", path, None))


def test_one_of_several_is_asked_for_by_name(tmp_path):
    path = save_torch(
        tmp_path / "w.safetensors",
        {f"{m}.{k}": v for m in ("enc", "dec") for k, v in LSTM.items()},
    )
    message = refusal(lambda: read("file", path, None))
    assert message.startswith("module: got None; it must be one of those in ")
    assert message.endswith(": 'dec', 'enc'")
    assert read("torch", path, "dec").network == (Block((lj.LSTM,)),)
    both: Any = {f"{m}/{k}": v for m in "ab" for k, v in GOOD.items()}
    np.savez(tmp_path / "w.npz", **both)
    npz = str(tmp_path / "w.npz")
    message = refusal(lambda: read("weights", npz, "c"))
    assert message.startswith("module: got 'c'; it must")
    assert read("weights", npz, "b").network == (Block((lj.LSTM,)),)


def test_several_modules_are_one_stack_where_they_fit(tmp_path):
    arrays = {
        **module_arrays(torch.nn.GRU(INPUT, 4, bidirectional=True), "bottom."),
        **module_arrays(torch.nn.LSTM(8, 5), "middle."),
        **module_arrays(torch.nn.GRU(5, HIDDEN, num_layers=2), "top."),
    }
    path = save_torch(tmp_path / "w.safetensors", arrays)
    found = read("file", path, "bottom, middle,top")
    assert found.network == (
        Block((lj.GRU, lj.GRU), both=True),
        Block((lj.LSTM, lj.GRU, lj.GRU)),
    )
    assert names(found.network) == ("0 forward", "0 backward", 1, 2, 3)
    assert sizes(found.network, found.params) == (INPUT, HIDDEN, HIDDEN)
    one_by_one = [lj.adapters.load(path, name) for name in ("bottom", "middle", "top")]
    wanted = jax.tree.leaves([one.params for one in one_by_one])
    for got, want in zip(jax.tree.leaves(found.params), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
    assert refusal(lambda: read("file", path, "middle,bottom")) == (
        "module: got 'middle,bottom'; each must read what the one before shows, but "
        "'middle' shows 5 features and 'bottom' reads 2"
    )
    message = refusal(lambda: read("file", path, "bottom,up"))
    assert message.startswith("module: got 'up'; it must be one of those in ")
