"""The layouts of Flax and Haiku.

flax.linen.LSTMCell, OptimizedLSTMCell, nnx.LSTMCell    ii if ig io hi hf hg ho
flax.linen.GRUCell                                      ir iz in hr hz hn
flax.linen.SimpleCell                                   i h
nnx.OptimizedLSTMCell, GRUCell, SimpleCell              dense_i dense_h
hk.LSTM     linear: x and h in one matrix, gates i, g, f, o, and 1 added to f
hk.GRU      w_i, w_h, b: gates z, r, a; resets before the product; z is what is NEW
hk.VanillaRNN    linear, linear_1; its activation is relu
"""

from typing import Any

import numpy as np

from lstm_jax.adapters.loading.layouts import Fields, Layout, Module, layout
from lstm_jax.adapters.loading.weights import check_shape, of_gates, params_of
from lstm_jax.cells import GRU, GRU_RESET_BEFORE, LSTM, rnn
from lstm_jax.cells.gru import GRUParams
from lstm_jax.cells.gru_reset_before import GRUResetBeforeParams
from lstm_jax.cells.lstm import LSTMParams
from lstm_jax.cells.rnn import RNNParams

ASSUMED = (
    "activations are taken to be tanh and the logistic function, the defaults: the "
    "weights do not say them"
)


def read_gates(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns an LSTM or a GRU whose gates have a matrix each."""
    lstm = "ii/kernel" in fields
    gates = ("i", "f", "g", "o") if lstm else ("r", "z", "n")
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


def read_haiku_lstm(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns hk.LSTM: one matrix for x and h."""
    both, b = fields["linear/w"], fields["linear/b"]
    hidden = both.shape[-1] // 4
    check_shape("linear/b", b, (4 * hidden,))
    inputs = len(both) - hidden
    if both.shape[-1] % 4 or inputs < 1:
        raise ValueError(
            f"linear/w has shape {both.shape}; it must be (input + hidden, 4 * hidden)"
        )
    forget = np.repeat(np.array([0, 1, 0, 0], b.dtype), hidden)
    order = (0, 2, 1, 3)
    params = params_of(
        LSTMParams,
        w_ih=of_gates(both[:inputs], order),
        w_hh=of_gates(both[inputs:], order),
        b=of_gates(b, order) + forget,
    )
    return Module(LSTM, (params,))


def read_haiku_gru(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns hk.GRU: z there is the share that is new, so its weights change sign."""
    hidden = len(fields["w_h"])
    sign = np.repeat(np.array([1, -1, 1], fields["b"].dtype), hidden)
    weights = {}
    for name, field in {"w_ih": "w_i", "w_hh": "w_h", "b": "b"}.items():
        shape = (*fields[field].shape[:-1], 3 * hidden)
        array = check_shape(field, fields[field], shape)
        weights[name] = of_gates(array, (1, 0, 2)) * sign
    return Module(GRU_RESET_BEFORE, (params_of(GRUResetBeforeParams, **weights),))


def read_haiku_rnn(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns hk.VanillaRNN, whose activation is relu."""
    b = fields["linear/b"] + fields.get("linear_1/b", 0)
    params = params_of(
        RNNParams, w_ih=fields["linear/w"], w_hh=fields["linear_1/w"], b=b
    )
    return Module(rnn("relu"), (params,))


def _within(module: str) -> str:
    """Matches what stands inside a Haiku module of this default name."""
    return rf"(?:(?<={module}/)|(?<={module}_\d/)|(?<={module}_\d\d/))"


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
HAIKU: tuple[Layout, ...] = (
    layout(f"{_within('lstm')}linear/[wb]", "linear/w linear/b", read=read_haiku_lstm),
    layout("w_i|w_h|b", "w_i w_h b", read=read_haiku_gru),
    layout(
        f"{_within('vanilla_rnn')}linear(?:_1)?/[wb]",
        "linear/w linear/b linear_1/w",
        read=read_haiku_rnn,
    ),
)
