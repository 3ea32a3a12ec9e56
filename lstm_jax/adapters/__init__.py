"""Cells and weights from other libraries, and weights for them."""

from lstm_jax.adapters.equinox import from_equinox
from lstm_jax.adapters.function import from_function
from lstm_jax.adapters.haiku import from_haiku
from lstm_jax.adapters.linen import from_linen, to_linen
from lstm_jax.adapters.loading import Loaded, load, load_cudnn, run
from lstm_jax.adapters.nnx import from_nnx, to_nnx
from lstm_jax.adapters.onnx import to_onnx
from lstm_jax.adapters.stablehlo import to_stablehlo
from lstm_jax.adapters.torch import from_torch, to_torch
from lstm_jax.adapters.writing import (
    to_equinox,
    to_flax,
    to_flax_nnx,
    to_haiku,
    to_keras,
)
from lstm_jax.cells.wrappers.directions import Directions

__all__ = [
    "load",
    "load_cudnn",
    "run",
    "Loaded",
    "from_torch",
    "to_torch",
    "to_flax",
    "to_flax_nnx",
    "to_haiku",
    "to_equinox",
    "to_keras",
    "to_onnx",
    "to_stablehlo",
    "Directions",
    "from_linen",
    "to_linen",
    "from_nnx",
    "to_nnx",
    "from_haiku",
    "from_equinox",
    "from_function",
]
