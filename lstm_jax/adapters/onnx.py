"""A whole network as a graph of ONNX.

    x, h0, c0 -> LSTM -> Transpose -> Reshape -> LSTM ... -> MatMul -> Add -> y
                   |                               |
                   +---------------- Concat -------+------------------> hn, cn

A node shows (time, direction, batch, hidden); its directions become features, the
forward's first. Gate orders and biases: `lstm_jax.adapters.loading.onnx_files`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_jax.adapters.loading import Loaded, onnx_files
from lstm_jax.adapters.loading.onnx_files import Node
from lstm_jax.adapters.modules import library
from lstm_jax.adapters.networks import layers_of, network_of
from lstm_jax.adapters.writing import ONNX, checked_layer
from lstm_jax.cells.cell import Cell
from lstm_jax.readouts import LinearParams
from lstm_jax.types import Params

# The LSTM, GRU and RNN of opset 14 are those that every runtime of today has.
OPSET, IR_VERSION = 14, 8
FEATURES = "features_of_a_step"  # the shape (time, batch, directions * hidden)


def to_onnx(cell: Cell, params: Params, readout: LinearParams | None = None) -> Any:
    """Returns a network as an `onnx.ModelProto`, in float32.

        model = lj.adapters.to_onnx(lj.LSTM, params.cell, params.readout)
        onnx.save(model, "model.onnx")

    Its inputs are x (time, batch, input) and the first memories h0 and, of an LSTM, c0
    (layers * directions, batch, hidden), zeros where a sequence begins; its outputs y
    (time, batch, output) of every step, and the last memories hn and cn, which are h0
    and c0 where it goes on. Time and batch may have any size.

    Args:
      cell: `lj.rnn` with "tanh", "relu" or "logistic", `lj.cells.lstm`, `gru` or
        `gru_reset_before` with "sigmoid" or "hard_sigmoid_keras2", or an `lj.stack` of
        several that are the same.
      params: of that cell; `Directions` of two, or a tuple of them over layers, for a
        network that reads in both directions.
      readout: makes y of the outputs; None if y are the outputs.

    Raises:
      ImportError: the package onnx is not installed.
      TypeError: params are not those of the cell.
      ValueError: ONNX has no such cell, or shapes do not fit one another.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> graph = lj.adapters.to_onnx(lj.LSTM, params).graph
      >>> [one.name for one in graph.input], [one.name for one in graph.output]
      (['x', 'h0', 'c0'], ['y', 'hn', 'cn'])
    """
    network = network_of(cell, params, readout)
    layers = layers_of(network)
    node = onnx_files.node_of(layers[0][0])
    if node is None or len({one.step for one, _ in layers}) > 1:
        raise ValueError(
            f"cell: got {cell.name!r}, which ONNX does not have; it must be an rnn, "
            "lstm, gru or gru_reset_before, or a stack of one of them; StableHLO takes "
            "any cell whose memory begins with zeros"
        )
    weights = [_weights(node.op, sides) for _, sides in layers]
    _check_stack(weights)
    return _model(library("onnx", "onnx"), network, node, weights)


def _weights(op: str, sides: tuple[Params, ...]) -> dict[str, np.ndarray]:
    """Returns W, R and B of a layer, (direction, ...)."""
    arrays = [onnx_files.write(op, checked_layer(one, ONNX)) for one in sides]
    return {name: np.stack([one[name] for one in arrays]) for name in "WRB"}


def _check_stack(weights: list[dict[str, np.ndarray]]) -> None:
    """Refuses layers that do not read one another, or can't share h0."""
    directions, _, hidden = weights[0]["R"].shape
    for k, layer in enumerate(weights[1:], start=1):
        found = {name: layer[name].shape for name in "WR"}
        wanted = {"W": directions * hidden, "R": hidden}
        if {name: shape[-1] for name, shape in found.items()} != wanted:
            raise ValueError(
                f"params: layer {k} reads {found['W'][-1]} features and has "
                f"{found['R'][-1]} units; above {hidden} units in {directions} "
                f"directions it must be {wanted['W']} and {hidden}"
            )


def _model(
    onnx: Any, network: Loaded, node: Node, weights: list[dict[str, np.ndarray]]
) -> Any:
    constants = {
        f"{name}_l{at}": array
        for at, arrays in enumerate(weights)
        for name, array in arrays.items()
    } | {FEATURES: np.array([0, 0, -1])}
    if network.readout is not None:
        w, b = (np.asarray(leaf, np.float32) for leaf in network.readout)
        constants |= {"readout_w": w, "readout_b": b}
    graph = onnx.helper.make_graph(
        _nodes(onnx.helper.make_node, network, node, weights),
        network.cell.name,
        *_ends(onnx, network, node, weights),
        [onnx.numpy_helper.from_array(a, name) for name, a in constants.items()],
    )
    model = onnx.helper.make_model(
        graph,
        producer_name="lstm_jax",
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _memories(node: Node) -> tuple[str, ...]:
    return ("h", "c") if node.op == "LSTM" else ("h",)


def _nodes(
    make: Callable, network: Loaded, node: Node, weights: list[dict[str, np.ndarray]]
) -> list[Any]:
    """Returns the nodes in the order in which they run."""
    layers, memories, made = range(len(weights)), _memories(node), []
    hidden = weights[0]["R"].shape[-1]
    for m in memories:
        made.append(make("Split", [f"{m}0"], [f"{m}0_l{k}" for k in layers], axis=0))
    for k in layers:
        made += _layer(make, node, k, network.directions, hidden)
    for m in memories:
        made.append(make("Concat", [f"{m}n_l{k}" for k in layers], [f"{m}n"], axis=0))
    last = f"x_l{len(weights)}"
    if network.readout is None:
        return [*made, make("Identity", [last], ["y"])]
    product = make("MatMul", [last, "readout_w"], ["product"], name="readout")
    return [*made, product, make("Add", ["product", "readout_b"], ["y"])]


def _layer(
    make: Callable, node: Node, k: int, directions: int, hidden: int
) -> list[Any]:
    """Returns the nodes that make the inputs of layer k + 1 of those of layer k."""
    memories = _memories(node)
    read = [f"x_l{k}" if k else "x", *(f"{name}_l{k}" for name in "WRB"), ""]
    recurrent = make(
        node.op,
        [*read, *(f"{m}0_l{k}" for m in memories)],
        [f"shown_l{k}", *(f"{m}n_l{k}" for m in memories)],
        name=f"rnn_{k}",
        hidden_size=hidden,
        direction="bidirectional" if directions == 2 else "forward",
        activations=node.activations * directions,
        **node.attributes,
    )
    turn = make("Transpose", [f"shown_l{k}"], [f"turned_l{k}"], perm=[0, 2, 1, 3])
    join = make("Reshape", [f"turned_l{k}", FEATURES], [f"x_l{k + 1}"])
    return [recurrent, turn, join]


def _ends(
    onnx: Any, network: Loaded, node: Node, weights: list[dict[str, np.ndarray]]
) -> tuple[list[Any], list[Any]]:
    """Returns the inputs and the outputs of the graph; time and batch have any size."""

    def tensor(name, *shape):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    directions, _, hidden = weights[0]["R"].shape
    memory = (len(weights) * directions, "batch", hidden)
    readout = network.readout
    width = directions * hidden if readout is None else readout.w.shape[1]
    x = tensor("x", "time", "batch", weights[0]["W"].shape[-1])
    y = tensor("y", "time", "batch", width)
    entering = [tensor(f"{m}0", *memory) for m in _memories(node)]
    return [x, *entering], [y, *(tensor(f"{m}n", *memory) for m in _memories(node))]
