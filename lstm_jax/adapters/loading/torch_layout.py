"""The layout of torch, which many others use; `lstm_jax.adapters.torch` has its table.

torch.nn.LSTM, GRU, RNN   weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ...
torch.nn.LSTMCell, ...    weight_ih, weight_hh, bias_ih, bias_hh
equinox.nn.LSTMCell       weight_ih, weight_hh, bias
equinox.nn.GRUCell        weight_ih, weight_hh, bias, bias_n
"""

from typing import Any

import numpy as np

from lstm_jax.adapters.loading.layouts import Fields, Layout, Module, layout
from lstm_jax.adapters.loading.weights import TANH_ASSUMED
from lstm_jax.adapters.torch import from_torch
from lstm_jax.cells import GRU, LSTM, PROJECTION_LSTM, rnn
from lstm_jax.cells.cell import Cell
from lstm_jax.cells.gru import GRUParams
from lstm_jax.cells.lstm import LSTMParams
from lstm_jax.cells.projection_lstm import ProjectionLSTMParams
from lstm_jax.cells.wrappers.directions import Directions

CELLS = {LSTMParams: LSTM, GRUParams: GRU, ProjectionLSTMParams: PROJECTION_LSTM}


def read(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns the module of torch's arrays; errors as of `from_torch`."""
    of_cell = not any("_l" in field for field in fields)
    named = {f"{f}_l0" if of_cell else f: array for f, array in fields.items()}
    wide = {array.dtype for array in named.values()} == {np.dtype(np.float64)}
    dtype = np.float64 if wide else np.float32
    with np.errstate(over="ignore"):  # of summed biases; whoever cares looks
        params = from_torch({key: array.astype(dtype) for key, array in named.items()})
    layers = params if type(params) is tuple else (params,)
    first = layers[0]
    kind = type(first.forward if isinstance(first, Directions) else first)
    if kind in CELLS:
        return Module(CELLS[kind], layers)
    activation = settings.get("nonlinearity")
    return Module(_rnn(activation), layers, () if activation else (TANH_ASSUMED,))


def read_equinox(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns the module of Equinox's arrays, which keep one bias."""
    weights = {f: fields[f] for f in ("weight_ih", "weight_hh")}
    bias = fields["bias"]
    second = np.zeros_like(bias)
    if "bias_n" in fields:
        second[..., len(bias) - len(fields["bias_n"]) :] = fields["bias_n"]
    return read(weights | {"bias_ih": bias, "bias_hh": second}, settings)


def write_equinox(params: Any) -> dict[str, Any]:
    """Returns the arrays of eqx.nn.LSTMCell or GRUCell by name."""
    arrays = {"weight_ih": params.w_ih.T, "weight_hh": params.w_hh.T, "bias": params.b}
    return arrays | ({"bias_n": params.b_hn} if isinstance(params, GRUParams) else {})


def _rnn(activation: str | None) -> Cell:
    return rnn(activation or "tanh")


TORCH: tuple[Layout, ...] = (
    layout(
        r"(?:weight_(?:ih|hh|hr)|bias_(?:ih|hh))_l(?:0|[1-9]\d*)(?:_reverse)?",
        "weight_hh_l0",
        read=read,
    ),
    layout(
        "weight_ih|weight_hh|bias|bias_n", "weight_ih weight_hh bias", read=read_equinox
    ),
    layout("weight_ih|weight_hh|bias_ih|bias_hh", "weight_ih weight_hh", read=read),
)
