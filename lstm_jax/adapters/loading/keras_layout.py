"""The layouts of Keras: kernel, recurrent_kernel, bias; two of each if bidirectional.

LSTM        gates i, f, c, o
GRU         gates z, r, h; bias (2, 3 * hidden) where it resets after the product
SimpleRNN   one
CuDNNLSTM   bias (8 * hidden,), that of the input first; each gate's matrices are in
CuDNNGRU    bias (6 * hidden,)    the memory order of cuDNN, in the shape of Keras
"""

import re
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.adapters.loading.layouts import Fields, Layout, Module, layout
from lstm_jax.adapters.loading.weights import check_shape, of_gates, params_of, to_gates
from lstm_jax.cells import gru, gru_reset_before, lstm, rnn
from lstm_jax.cells.cell import Cell
from lstm_jax.cells.gru import GRUParams
from lstm_jax.cells.gru_reset_before import GRUResetBeforeParams
from lstm_jax.cells.lstm import LSTMParams
from lstm_jax.cells.rnn import RNNParams
from lstm_jax.cells.wrappers.directions import Directions

ACTIVATIONS = {
    "tanh": "tanh",
    "relu": "relu",
    "sigmoid": "logistic",
    "linear": "linear",
}
GRU_ORDER = (1, 0, 2)
MERGED = (
    "merge_mode: got {!r}; it must be 'concat', the outputs of both directions side by "
    "side"
)
BACKWARDS = (
    "go_backwards: got True; it must be False: its outputs run from the last step to "
    "the first; load the weights of the layer forwards and give it xs[::-1]"
)


class Weights(NamedTuple):
    """One layer in one direction."""

    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray | None
    gates: int
    cudnn: bool


def read(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns a layer of Keras, or both of a Bidirectional."""
    if "forward/kernel" not in fields:
        if settings.get("go_backwards"):
            raise ValueError(BACKWARDS)
        cell, params = _one(fields, settings)
        return Module(cell, (params,), _notes(cell, fields, settings))
    if settings.get("merge_mode", "concat") != "concat":
        raise ValueError(MERGED.format(settings["merge_mode"]))
    sides = [_one(_within(fields, side), settings) for side in Directions._fields]
    if sides[0][0] != sides[1][0]:
        names = " and ".join(cell.name for cell, _ in sides)
        raise ValueError(f"its directions are {names}; they must be of one cell")
    cell, notes = sides[0][0], _notes(sides[0][0], _within(fields, "forward"), settings)
    return Module(cell, (Directions(*(params for _, params in sides)),), notes)


def _within(fields: Fields, side: str) -> Fields:
    start = f"{side}/"
    return {
        field.removeprefix(start): array
        for field, array in fields.items()
        if field.startswith(start)
    }


def _notes(cell: Cell, fields: Fields, settings: dict[str, Any]) -> tuple[str, ...]:
    if _weights(fields).cudnn:
        return ("its matrices are in the memory order of cuDNN, put right here",)
    if "activation" in settings:
        return ()
    return (
        f"read as {cell.name}, by the defaults of Keras: the weights do not say "
        "activations",
    )


def _one(fields: Fields, settings: dict[str, Any]) -> tuple[Cell, Any]:
    weights = _weights(fields)
    if weights.gates == 1:
        return _simple_rnn(weights, settings)
    activation = settings.get("activation", "tanh")
    if activation != "tanh":
        raise ValueError(f"activation: got {activation!r}; it must be 'tanh'")
    make = _lstm if weights.gates == 4 else _gru
    return make(weights, _gate_activation(weights, settings), settings)


def _weights(fields: Fields) -> Weights:
    kernel, recurrent = fields["kernel"], fields["recurrent_kernel"]
    hidden, bias = len(recurrent), fields.get("bias")
    gates = recurrent.shape[-1] // hidden
    check_shape("recurrent_kernel", recurrent, (hidden, gates * hidden))
    check_shape("kernel", kernel, (len(kernel), gates * hidden))
    if gates not in (1, 3, 4):
        raise ValueError(
            f"recurrent_kernel has shape {recurrent.shape}; it must be (hidden, "
            "hidden), 3 * hidden of a GRU or 4 * hidden of an LSTM"
        )
    if bias is not None and bias.shape == (2 * gates * hidden,):
        kernel = _gate_by_gate(kernel, gates, lambda k: k.reshape(k.shape[::-1]).T)
        recurrent = _gate_by_gate(recurrent, gates, np.transpose)
        return Weights(kernel, recurrent, bias.reshape(2, -1), gates, cudnn=True)
    return Weights(kernel, recurrent, bias, gates, cudnn=False)


def _gate_by_gate(matrix: np.ndarray, gates: int, change: Any) -> np.ndarray:
    return np.hstack([change(part) for part in np.hsplit(matrix, gates)])


def _gate_activation(weights: Weights, settings: dict[str, Any]) -> str:
    version = settings.get("keras", "3")
    major, minor = (int(part) for part in re.findall(r"\d+", f"{version}.0")[:2])
    old = major < 3
    # tf.keras writes 2.2.4-tf; the Keras of before changed its default with 2.3.
    first = (major, minor) < (2, 3) and "tf" not in version
    default = "hard_sigmoid" if first and not weights.cudnn else "sigmoid"
    name = settings.get("recurrent_activation", default)
    if name not in ("sigmoid", "hard_sigmoid"):
        raise ValueError(
            f"recurrent_activation: got {name!r}; it must be 'sigmoid' or "
            "'hard_sigmoid'"
        )
    return f"{name}_keras2" if old and name == "hard_sigmoid" else name


def _lstm(weights: Weights, gate_activation: str, _: Any) -> tuple[Cell, Any]:
    b = _bias(weights, weights.bias)
    if weights.cudnn:
        b = b.sum(axis=0)
    width = weights.recurrent.shape[-1:]
    params = params_of(
        LSTMParams,
        w_ih=weights.kernel,
        w_hh=weights.recurrent,
        b=check_shape("bias", b, width),
    )
    return lstm(gate_activation), params


def _gru(
    weights: Weights, gate_activation: str, settings: dict[str, Any]
) -> tuple[Cell, Any]:
    hidden = len(weights.recurrent)
    b = of_gates(_bias(weights, weights.bias), GRU_ORDER)
    matrices = {
        "w_ih": of_gates(weights.kernel, GRU_ORDER),
        "w_hh": of_gates(weights.recurrent, GRU_ORDER),
    }
    after = settings.get("reset_after", weights.bias is None or b.ndim == 2)
    if not after:
        b = check_shape("bias", b, (3 * hidden,))
        params = params_of(GRUResetBeforeParams, **matrices, b=b)
        return gru_reset_before(gate_activation), params
    b = np.stack([b, np.zeros_like(b)]) if weights.bias is None else b
    b_ih, b_hh = check_shape("bias", b, (2, 3 * hidden))
    inside = np.arange(3 * hidden) >= 2 * hidden
    b = b_ih + np.where(inside, 0, b_hh).astype(b.dtype)
    params = params_of(GRUParams, **matrices, b=b, b_hn=b_hh[inside])
    return gru(gate_activation), params


def _simple_rnn(weights: Weights, settings: dict[str, Any]) -> tuple[Cell, Any]:
    activation = settings.get("activation", "tanh")
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation: got {activation!r}; it must be {', '.join(ACTIVATIONS)}"
        )
    params = params_of(
        RNNParams,
        w_ih=weights.kernel,
        w_hh=weights.recurrent,
        b=_bias(weights, weights.bias),
    )
    return rnn(ACTIVATIONS[activation]), params


def _bias(weights: Weights, bias: np.ndarray | None) -> np.ndarray:
    """Returns the bias, or zeros where there is none."""
    if bias is not None:
        return bias
    return np.zeros(weights.recurrent.shape[-1], weights.recurrent.dtype)


def write(params: Any) -> list[Any]:
    """Returns kernel, recurrent kernel and bias; of both directions, forward first."""
    if isinstance(params, Directions):
        return [*write(params.forward), *write(params.backward)]
    if not isinstance(params, GRUParams | GRUResetBeforeParams):
        return list(params)
    b = params.b
    if isinstance(params, GRUParams):
        inside = jnp.pad(params.b_hn, (2 * len(params.b_hn), 0))
        b = jnp.stack([b, inside])
    return [to_gates(weights, GRU_ORDER) for weights in (params.w_ih, params.w_hh, b)]


KERAS: tuple[Layout, ...] = (
    layout(
        "(?:(?:forward|backward)/)?(?:kernel|recurrent_kernel|bias)",
        "kernel recurrent_kernel",
        "forward/kernel forward/recurrent_kernel backward/kernel "
        "backward/recurrent_kernel",
        read=read,
    ),
)
