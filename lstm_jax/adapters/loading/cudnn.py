"""Flat weights of cuDNN's LSTM, which say nothing of their sizes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from lstm_jax.checks import check_whole
from lstm_jax.types import Shape

KINDS = ("weight_ih", "weight_hh"), ("bias_ih", "bias_hh")


def state_dict_of(
    weights: Any,
    *,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    bidirectional: bool = False,
) -> dict[str, np.ndarray]:
    """Returns a flat array as the state dict of a torch.nn.LSTM.

    All matrices come first, layer by layer, direction by direction, that of the input
    before that of the memory; then all biases likewise, two of each.

    Raises:
      ValueError: a size is below 1, or the array has another length.
    """
    sizes = {"input_size": input_size, "hidden_size": hidden_size}
    for name, size in (sizes | {"num_layers": num_layers}).items():
        check_whole(name, size, 1)
    flat = np.asarray(weights)
    shapes = dict(_shapes(input_size, hidden_size, num_layers, bidirectional))
    wanted = sum(map(math.prod, shapes.values()))
    if flat.shape != (wanted,):
        raise ValueError(
            f"weights: shape is {flat.shape}; it must be ({wanted},) for an LSTM of "
            f"input_size={input_size}, hidden_size={hidden_size}, "
            f"num_layers={num_layers}, bidirectional={bidirectional}"
        )
    cuts = np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1]
    parts = zip(shapes.items(), np.split(flat, cuts), strict=True)
    return {name: part.reshape(shape) for (name, shape), part in parts}


def _shapes(
    inputs: int, hidden: int, num_layers: int, bidirectional: bool
) -> Iterator[tuple[str, Shape]]:
    ends = ("", "_reverse") if bidirectional else ("",)
    for kinds in KINDS:
        for layer in range(num_layers):
            read = inputs if layer == 0 else hidden * len(ends)
            for end in ends:
                for kind in kinds:
                    width = {"weight_ih": (read,), "weight_hh": (hidden,)}.get(kind, ())
                    yield f"{kind}_l{layer}{end}", (4 * hidden, *width)
