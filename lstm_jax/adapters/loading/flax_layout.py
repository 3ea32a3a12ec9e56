"""The layouts of Flax.

flax.linen.LSTMCell, OptimizedLSTMCell, nnx.LSTMCell    ii if ig io hi hf hg ho
flax.linen.GRUCell                                      ir iz in hr hz hn
flax.linen.SimpleCell                                   i h
nnx.OptimizedLSTMCell, GRUCell, SimpleCell              dense_i dense_h

An LSTM has its bias on the side of h, the others on that of x.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from lstm_jax.adapters.loading.layouts import Fields, Layout, Module, layout
from lstm_jax.adapters.loading.weights import check_shape, params_of
from lstm_jax.cells import GRU, LSTM, rnn
from lstm_jax.cells.gru import GRUParams
from lstm_jax.cells.lstm import LSTMParams
from lstm_jax.cells.rnn import RNNParams

ASSUMED = (
    "activations are taken to be tanh and the logistic function, the defaults: the "
    "weights do not say them"
)


GATES: dict[type, tuple[str, ...]] = {
    LSTMParams: ("i", "f", "g", "o"),
    GRUParams: ("r", "z", "n"),
    RNNParams: ("",),
}


def read_gates(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns an LSTM or a GRU whose gates have a matrix each."""
    lstm = "ii/kernel" in fields
    gates = GATES[LSTMParams if lstm else GRUParams]
    fields = {field.replace("if_/", "if/"): array for field, array in fields.items()}
    w_ih, b_i = _side_by_side(fields, [f"i{gate}" for gate in gates])
    w_hh, b_h = _side_by_side(fields, [f"h{gate}" for gate in gates])
    if lstm:
        params = params_of(LSTMParams, w_ih=w_ih, w_hh=w_hh, b=b_i + b_h)
        return Module(LSTM, (params,), (ASSUMED,))
    hidden = len(w_hh)
    b = b_i + np.concatenate([b_h[: 2 * hidden], np.zeros_like(b_h[2 * hidden :])])
    params = params_of(GRUParams, w_ih=w_ih, w_hh=w_hh, b=b, b_hn=b_h[2 * hidden :])
    return Module(GRU, (params,), (ASSUMED,))


def _side_by_side(fields: Fields, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kernels of dense layers side by side, and their biases or zeros."""
    shape = fields[f"{names[0]}/kernel"].shape
    kernels = [
        check_shape(f"{name}/kernel", fields[f"{name}/kernel"], shape) for name in names
    ]
    none = np.zeros(shape[-1:], kernels[0].dtype)
    biases = [
        check_shape(f"{name}/bias", fields.get(f"{name}/bias", none), none.shape)
        for name in names
    ]
    return np.concatenate(kernels, axis=-1), np.concatenate(biases)


def write_gates(params: Any) -> dict[str, Any]:
    """Returns the params of linen's LSTMCell, GRUCell or SimpleCell."""
    gates = GATES[type(params)]
    of_side = {"i": params.w_ih, "h": params.w_hh}
    tree = {
        f"{side}{gate}": {"kernel": kernel}
        for side, w in of_side.items()
        for gate, kernel in zip(gates, jnp.split(w, len(gates), axis=-1), strict=True)
    }
    biases = jnp.split(params.b, len(gates))
    for gate, bias in zip(gates, biases, strict=True):
        tree[f"{_biased(params)}{gate}"]["bias"] = bias
    if isinstance(params, GRUParams):
        tree["hn"]["bias"] = params.b_hn
    return tree


def write_dense(params: Any) -> dict[str, Any]:
    """Returns those of nnx's OptimizedLSTMCell, SimpleCell, or GRUCell without b_hn."""
    tree = {"dense_i": {"kernel": params.w_ih}, "dense_h": {"kernel": params.w_hh}}
    tree[f"dense_{_biased(params)}"]["bias"] = params.b
    return tree


def _biased(params: Any) -> str:
    return "h" if isinstance(params, LSTMParams) else "i"


def read_dense(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns a cell with one matrix for the input and one for the memory."""
    i, h = ("dense_i", "dense_h") if "dense_i/kernel" in fields else ("i", "h")
    (w_ih, b_i), (w_hh, b_h) = _side_by_side(fields, [i]), _side_by_side(fields, [h])
    hidden = len(w_hh)
    gates = w_hh.shape[-1] // hidden
    check_shape(f"{i}/kernel", w_ih, (len(w_ih), gates * hidden))
    check_shape(f"{h}/kernel", w_hh, (hidden, gates * hidden))
    weights = {"w_ih": w_ih, "w_hh": w_hh, "b": b_i + b_h}
    if gates == 4:
        return Module(LSTM, (params_of(LSTMParams, **weights),), (ASSUMED,))
    if gates == 1:
        return Module(rnn(), (params_of(RNNParams, **weights),), (ASSUMED,))
    if gates != 3 or b_h.any():
        raise ValueError(f"{h} has shape {w_hh.shape}; it must have 1, 3 or 4 gates")
    params = params_of(GRUParams, **weights, b_hn=np.zeros_like(b_h[:hidden]))
    return Module(GRU, (params,), (ASSUMED,))


LSTM_GATES = [f"{side}{gate}/kernel" for side in "ih" for gate in "ifgo"]
FLAX: tuple[Layout, ...] = (
    layout(
        r"(?:i[ifgo]_?|h[ifgo])/(?:kernel|bias)",
        " ".join(LSTM_GATES),
        " ".join(LSTM_GATES).replace("if/", "if_/"),
        read=read_gates,
    ),
    layout(
        r"[ih][rzn]/(?:kernel|bias)",
        " ".join(f"{side}{gate}/kernel" for side in "ih" for gate in "rzn"),
        read=read_gates,
    ),
    layout(
        r"(?:dense_)?[ih]/(?:kernel|bias)",
        "dense_i/kernel dense_h/kernel",
        "i/kernel h/kernel",
        read=read_dense,
    ),
)
