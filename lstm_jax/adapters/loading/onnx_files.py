"""LSTM, GRU and RNN nodes of ONNX, as layouts of their own.

LSTM   W (directions, 4 * hidden, input), R (directions, 4 * hidden, hidden),
       B (directions, 8 * hidden); gates i, o, f, c
GRU    3; gates z, r, h; `linear_before_reset` resets after the product
RNN    1; activations Tanh or Relu
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.adapters.loading.layouts import Fields, Layout, Module, layout
from lstm_jax.adapters.loading.source import Source, path_of
from lstm_jax.adapters.loading.weights import check_shape, of_gates, params_of, to_gates
from lstm_jax.adapters.modules import library
from lstm_jax.cells import gru, gru_reset_before, lstm, rnn
from lstm_jax.cells.cell import Cell
from lstm_jax.cells.gru import GRUParams
from lstm_jax.cells.gru_reset_before import GRUResetBeforeParams
from lstm_jax.cells.lstm import LSTMParams
from lstm_jax.cells.rnn import RNNParams
from lstm_jax.cells.wrappers.directions import Directions

GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
GATE_ACTIVATIONS = {"Sigmoid": "sigmoid", "HardSigmoid": "hard_sigmoid_keras2"}
RNN_ACTIVATIONS = {"Tanh": "tanh", "Relu": "relu", "Sigmoid": "logistic"}
AFTER_THE_GATES = {"LSTM": ["Tanh", "Tanh"], "GRU": ["Tanh"], "RNN": []}
PLAIN = {"clip": None, "input_forget": 0, "layout": 0, "direction": None}


def read(what: str, path: str) -> Source:
    """Returns the source of an .onnx file: its constants, and what its nodes say."""
    onnx = library("onnx", "onnx")
    try:
        graph = onnx.load(path).graph
    except library("google.protobuf.message", "protobuf").DecodeError as error:
        raise ValueError(str(error)) from error
    arrays = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    found, settings = {}, {}
    for at, node in enumerate(graph.node):
        if node.op_type == "MatMul" and node.input[1] in arrays:
            found |= _linear(graph, node, arrays)
        if node.op_type not in GATES:
            continue
        module = path_of(node.name or f"{node.op_type}_{at}").strip("/")
        named = dict(zip("XWRB", node.input, strict=False))
        missing = [name for name in "WR" if named.get(name) not in arrays]
        if missing:
            raise ValueError(f"{module}: {missing[0]} is no constant of the graph")
        for name in "WRB":
            if named.get(name):
                found[f"{module}/{name}"] = arrays[named[name]]
        settings[module] = {"op": node.op_type} | {
            attribute.name: onnx.helper.get_attribute_value(attribute)
            for attribute in node.attribute
        }
    if not settings:
        kinds = sorted({node.op_type for node in graph.node})
        raise ValueError(f"it has {', '.join(kinds)}; it must have an LSTM, GRU or RNN")
    return Source(what, found, settings)


def _linear(graph: Any, node: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    """Returns the kernel of a product, and the bias of the sum after it."""
    name = path_of(node.name or node.output[0]).strip("/")
    found = {f"{name}/kernel": arrays[node.input[1]]}
    for after in graph.node:
        if after.op_type == "Add" and node.output[0] in after.input:
            (other,) = {*after.input} - {node.output[0]}
            found |= {f"{name}/bias": arrays[other]} if other in arrays else {}
    return found


def read_node(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns the layer of a node, in one direction or in both."""
    op = settings["op"]
    for name, plain in PLAIN.items():
        given = settings.get(name, plain)
        if name == "direction" and given in (None, b"forward", b"bidirectional"):
            continue
        if given != plain:
            raise ValueError(f"{name}: got {given!r}; {op} is read without it")
    cell = _cell(op, settings)
    sides = [
        _params(op, settings, {name: array[at] for name, array in fields.items()})
        for at in range(len(fields["W"]))
    ]
    return Module(cell, (Directions(*sides) if len(sides) == 2 else sides[0],))


def _cell(op: str, settings: dict[str, Any]) -> Cell:
    first = _activation(op, settings)
    if op == "RNN":
        return rnn(RNN_ACTIVATIONS[first])
    if op == "LSTM":
        return lstm(GATE_ACTIVATIONS[first])
    after = settings.get("linear_before_reset", 0)
    return (gru if after else gru_reset_before)(GATE_ACTIVATIONS[first])


class Node(NamedTuple):
    """What a cell is in ONNX."""

    op: str
    activations: list[str]
    attributes: dict[str, int]


def node_of(cell: Cell) -> Node | None:
    """Returns the node of a cell; None if ONNX has none."""
    return next((node for known, node in _nodes() if known.step == cell.step), None)


def _nodes() -> Iterator[tuple[Cell, Node]]:
    for name, activation in RNN_ACTIVATIONS.items():
        yield rnn(activation), Node("RNN", [name], {})
    for name, gate in GATE_ACTIVATIONS.items():
        activations = {op: [name, *after] for op, after in AFTER_THE_GATES.items()}
        yield lstm(gate), Node("LSTM", activations["LSTM"], {})
        for make, after in ((gru, 1), (gru_reset_before, 0)):
            attributes = {"linear_before_reset": after}
            yield make(gate), Node("GRU", activations["GRU"], attributes)


def write(op: str, params: Any) -> dict[str, np.ndarray]:
    """Returns W, R and B of a node in one direction, in float32."""
    b_hh = np.zeros_like(params.b)
    if isinstance(params, GRUParams):
        b_hh[-len(params.b_hn) :] = params.b_hn
    fields = {"W": params.w_ih, "R": params.w_hh, "B": np.stack([params.b, b_hh])}
    arrays = {
        name: to_gates(np.asarray(array, np.float32), GATES[op])
        for name, array in fields.items()
    }
    return {"W": arrays["W"].T, "R": arrays["R"].T, "B": arrays["B"].ravel()}


def _activation(op: str, settings: dict[str, Any]) -> str:
    """Returns the activation of the gates, or of the RNN; the same both ways."""
    known = RNN_ACTIVATIONS if op == "RNN" else GATE_ACTIVATIONS
    given = [name.decode() for name in settings.get("activations", [])]
    fixed = AFTER_THE_GATES[op]
    first, *rest = given or [next(iter(known)), *fixed]
    if first not in known or rest not in (fixed, [*fixed, first, *fixed]):
        wanted = ", ".join([" or ".join(known), *fixed])
        raise ValueError(f"activations: got {given}; it must be {wanted}")
    for name in ("activation_alpha", "activation_beta"):
        if name in settings:
            raise ValueError(f"{name}: got {settings[name]}; it must not be given")
    return first


def _params(op: str, settings: dict[str, Any], one: Fields) -> Any:
    order = GATES[op]
    hidden, width = one["R"].shape[-1], len(order) * one["R"].shape[-1]
    w_hh = of_gates(check_shape("R", one["R"], (width, hidden)).T, order)
    w_ih = of_gates(check_shape("W", one["W"], (width, one["W"].shape[-1])).T, order)
    both = one.get("B", np.zeros(2 * width, w_hh.dtype))
    halves = check_shape("B", both, (2 * width,)).reshape(2, width)
    b_ih, b_hh = (of_gates(half, order) for half in halves)
    if op == "GRU" and settings.get("linear_before_reset", 0):
        inside = np.arange(width) >= 2 * hidden
        b = b_ih + np.where(inside, 0, b_hh).astype(b_hh.dtype)
        return params_of(GRUParams, w_ih=w_ih, w_hh=w_hh, b=b, b_hn=b_hh[inside])
    kinds = {"LSTM": LSTMParams, "GRU": GRUResetBeforeParams, "RNN": RNNParams}
    return params_of(kinds[op], w_ih=w_ih, w_hh=w_hh, b=b_ih + b_hh)


ONNX: tuple[Layout, ...] = (layout("[WRB]", "W R", read=read_node),)
