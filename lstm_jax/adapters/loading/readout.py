"""Finds the linear layer that reads the outputs of a recurrent module."""

import numpy as np

from lstm_jax.adapters.loading.layouts import Candidate
from lstm_jax.adapters.loading.source import Source
from lstm_jax.adapters.loading.weights import params_of, real
from lstm_jax.readouts import LinearParams

# By the library's names of the matrix, and whether it is (output, input).
MATRICES = {"weight": ("bias", True), "kernel": ("bias", False), "w": ("b", False)}


def find(
    source: Source, modules: dict[str, Candidate], width: int
) -> tuple[LinearParams | None, str]:
    """Returns the one linear layer whose inputs are the outputs, and what was found."""
    found = {
        parent: params
        for parent, params in _linear_layers(source).items()
        if len(params.w) == width and not any(_inside(parent, m) for m in modules)
    }
    if len(found) == 1:
        name, params = found.popitem()
        activation = source.settings.get(name, {}).get("activation", "linear")
        after = f", and its {activation} is left out" * (activation != "linear")
        return params, (
            f"readout: {name!r}, the one linear layer that fits the {width} outputs; "
            f"what stands between them is not in the file{after}"
        )
    several = ", ".join(map(repr, found))
    return None, f"readout: none; {several or 'no linear layer'} fits the outputs"


def _inside(parent: str, module: str) -> bool:
    return bool(module) and (parent == module or parent.startswith(f"{module}/"))


def _linear_layers(source: Source) -> dict[str, LinearParams]:
    found = {}
    for path, array in source.arrays.items():
        parent, _, name = path.rpartition("/")
        if name not in MATRICES or np.ndim(array) != 2:
            continue
        bias, transposed = MATRICES[name]
        w = real(source.what, path, array)
        w = w.T if transposed else w
        b = source.arrays.get(f"{parent}/{bias}", np.zeros(w.shape[1], w.dtype))
        if np.shape(b) == w.shape[1:]:
            found[parent] = params_of(LinearParams, w=w, b=real(source.what, bias, b))
    return found
