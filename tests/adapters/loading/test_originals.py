"""Every layout against the library it comes from: values, and gradients of inputs."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from adapters.loading import originals
from flax import nnx
from problems import slow_but

import lstm_jax as lj

TORCH = {
    "lstm": (torch.nn.LSTM, {}),
    "lstm, no bias": (torch.nn.LSTM, {"bias": False}),
    "gru of 2 layers": (torch.nn.GRU, {"num_layers": 2}),
    "lstm both ways, 2 layers": (
        torch.nn.LSTM,
        {"num_layers": 2, "bidirectional": True},
    ),
    "projection": (torch.nn.LSTM, {"proj_size": 2, "num_layers": 2}),
    "projection both ways": (
        torch.nn.LSTM,
        {"proj_size": 2, "num_layers": 2, "bidirectional": True},
    ),
    "rnn": (torch.nn.RNN, {}),
    "rnn of relu, both ways": (
        torch.nn.RNN,
        {"nonlinearity": "relu", "bidirectional": True},
    ),
    "lstm cell": (torch.nn.LSTMCell, {"cells": True}),
    "gru cell": (torch.nn.GRUCell, {"cells": True}),
    "rnn cell of relu": (torch.nn.RNNCell, {"cells": True, "nonlinearity": "relu"}),
}
OTHERS = {
    "linen.LSTMCell": (originals.of_linen, nn.LSTMCell),
    "linen.OptimizedLSTMCell": (originals.of_linen, nn.OptimizedLSTMCell),
    "linen.GRUCell": (originals.of_linen, nn.GRUCell),
    "linen.SimpleCell": (originals.of_linen, nn.SimpleCell),
    "nnx.LSTMCell": (originals.of_nnx, nnx.LSTMCell),
    "nnx.OptimizedLSTMCell": (originals.of_nnx, nnx.OptimizedLSTMCell),
    "nnx.GRUCell": (originals.of_nnx, nnx.GRUCell),
    "nnx.SimpleCell": (originals.of_nnx, nnx.SimpleCell),
    "hk.LSTM": (originals.of_haiku, hk.LSTM),
    "hk.GRU": (originals.of_haiku, hk.GRU),
    "hk.VanillaRNN": (originals.of_haiku, hk.VanillaRNN),
    "eqx.nn.LSTMCell": (originals.of_equinox, eqx.nn.LSTMCell),
    "eqx.nn.GRUCell": (originals.of_equinox, eqx.nn.GRUCell),
}


def assert_same(original, dtype, tolerance):
    loaded = lj.adapters.load(original.source)
    xs = jnp.asarray(originals.inputs(dtype))
    ys, wanted = original.ys, original.input_gradient
    if original.run is not None:
        wanted, ys = slope_and_value(original.run)(xs)
    run = lambda xs: lj.adapters.run(loaded, xs)[1]
    if wanted is None:
        shown = jax.jit(run)(xs)
    else:
        found, shown = slope_and_value(run)(xs)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    np.testing.assert_allclose(shown, ys, rtol=0, atol=tolerance)
    assert jax.tree.leaves(loaded.params)[0].dtype == dtype
    return loaded


def slope_and_value(run):
    """Of inputs, in one program; compiled, as a user would."""

    def loss(xs):
        ys = run(xs)
        return jnp.sum(ys * originals.weighting(ys.shape).astype(ys.dtype)), ys

    return jax.jit(jax.grad(loss, has_aux=True))


FEW_OF_TORCH = ["lstm both ways, 2 layers", "projection both ways", "gru of 2 layers"]
FEW_OF_TORCH += ["rnn"]


@pytest.mark.parametrize("case", slow_but(FEW_OF_TORCH, TORCH))
def test_a_module_of_torch(case, x64):
    make, options = TORCH[case]
    original = originals.of_torch(make, **options)
    loaded = assert_same(original, np.float64, 1e-12)
    assert loaded.layers == options.get("num_layers", 1)
    assert loaded.directions == 1 + options.get("bidirectional", False)


FEW = ["linen.LSTMCell", "nnx.GRUCell", "hk.LSTM", "eqx.nn.GRUCell"]


@pytest.mark.parametrize("case", slow_but(FEW, OTHERS))
def test_a_cell_of_flax_haiku_or_equinox(case, x64):
    make, kind = OTHERS[case]
    assert_same(make(kind), np.float64, 1e-12)


@pytest.mark.parametrize("bidirectional", slow_but([True], [False, True]))
def test_flat_weights_of_cudnn(bidirectional):
    from jax.experimental import rnn

    time, batch, inputs, hidden, layers = 5, 2, 3, 3, 2
    sizes = {"input_size": inputs, "hidden_size": hidden, "num_layers": layers}
    number = rnn.get_num_params_in_lstm(inputs, hidden, layers, bidirectional)
    flat = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, number), jnp.float32)
    loaded = lj.adapters.load_cudnn(flat, **sizes, bidirectional=bidirectional)

    @jax.jit
    def both(xs, flat):
        empty = jnp.zeros((layers * (1 + bidirectional), batch, hidden))
        parts = rnn.unpack_lstm_weights(flat, inputs, hidden, layers, bidirectional)
        ys, *_ = rnn.lstm_ref(
            xs.swapaxes(0, 1),
            empty,
            empty,
            *parts,
            jnp.full(batch, time, jnp.int32),
            inputs,
            hidden,
            layers,
            0.0,
            bidirectional,
        )
        return lj.adapters.run(loaded, xs)[1], ys.swapaxes(0, 1)

    found, ys = both(originals.inputs(np.float32), flat)
    np.testing.assert_allclose(found, ys, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"weights: shape is .*; it must be "):
        lj.adapters.load_cudnn(flat[1:], **sizes, bidirectional=bidirectional)


def keras_layer(case):
    from keras import layers

    sequences: Any = {"return_sequences": True}
    hard: Any = {"recurrent_activation": "hard_sigmoid"}
    if case == "Bidirectional":
        return layers.Bidirectional(layers.GRU(3, **sequences), name="both")
    make, options = {
        "LSTM": (layers.LSTM, {}),
        "LSTM, hard": (layers.LSTM, hard),
        "GRU": (layers.GRU, {}),
        "GRU, reset before, hard": (layers.GRU, {"reset_after": False} | hard),
        "GRU without bias": (layers.GRU, {"use_bias": False}),
        "SimpleRNN": (layers.SimpleRNN, {"activation": "relu"}),
    }[case]
    return make(3, **options, **sequences)


KERAS = ["LSTM, hard", "GRU", "GRU, reset before, hard", "Bidirectional"]
KERAS += ["LSTM", "GRU without bias", "SimpleRNN"]


@pytest.mark.parametrize("case", slow_but(["GRU", "Bidirectional"], KERAS))
def test_a_layer_of_keras(case):
    original = originals.of_keras(keras_layer(case))
    assert_same(original, np.float32, 1e-5)


ONNX = {
    "LSTM": {},
    "LSTM both ways": {"directions": 2},
    "LSTM, hard": {"activations": ["HardSigmoid", "Tanh", "Tanh"]},
    "GRU": {},
    "GRU, reset after": {"linear_before_reset": 1, "directions": 2},
    "RNN": {},
    "RNN of relu": {"activations": ["Relu"]},
}


@pytest.mark.parametrize("case", ONNX)
def test_a_node_of_onnx(case, tmp_path):
    original = originals.of_onnx(
        case[:4].strip(", "), tmp_path / "a.onnx", **ONNX[case]
    )
    assert_same(original, np.float32, 1e-5)
