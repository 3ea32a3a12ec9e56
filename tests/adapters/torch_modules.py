"""Modules of torch and the same weights as ours."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import torch

import lstm_jax as lj

TIME, BATCH, INPUT, HIDDEN = 5, 3, 3, 3  # square, so a forgotten transpose has to show

KINDS = {
    "rnn": (torch.nn.RNN, lj.RNN),
    "rnn_relu": (torch.nn.RNN, lj.rnn("relu")),
    "lstm": (torch.nn.LSTM, lj.LSTM),
    "gru": (torch.nn.GRU, lj.GRU),
}
OURS: Any = {"rnn": lj.RNNParams, "gru": lj.GRUParams, "lstm": lj.LSTMParams}
GATES = {"rnn": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}


def make_module(kind, *, input_size=INPUT, hidden_size=HIDDEN, seed=0, **options):
    """A module of torch with every parameter drawn, the biases too."""
    if kind == "rnn_relu":
        options["nonlinearity"] = "relu"
    module = KINDS[kind][0](input_size, hidden_size, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-0.8, 0.8, generator=generator)
    return module


def state_dict(kind="lstm", **options):
    return dict(make_module(kind, **options).state_dict())


def draw(kind, *, input_size=INPUT, hidden_size=HIDDEN, seed=0) -> Any:
    """Weights of our own for one layer and direction, b drawn too."""
    rng = np.random.default_rng(seed)
    width = GATES[kind] * hidden_size
    shapes = [(input_size, width), (hidden_size, width), (width,)]
    shapes += [(hidden_size,)] if kind == "gru" else []
    params = [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]
    return OURS[kind.removesuffix("_relu")](*params)
