"""Weights in memory: modules of other libraries, and mappings of arrays."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lstm_jax.adapters.loading import keras_files
from lstm_jax.adapters.loading.formats import tensors_of
from lstm_jax.adapters.loading.source import Source, by_path, source_of
from lstm_jax.adapters.modules import library

WANTED = (
    "a path, a mapping of arrays such as module.state_dict() or Flax variables, or a "
    "module of torch, Keras, flax.nnx or Equinox"
)
BATCH_FIRST = (
    "the module takes the batch first; here, and in what is exported, time comes first"
)


def read(module: Any) -> Source:
    """Returns the source of an object; TypeError if it is none of these."""
    what, kind = type(module).__name__, _library_of(module)
    if hasattr(module, "state_dict") and hasattr(module, "named_modules"):
        return _of_torch(what, module)
    if hasattr(module, "get_weights") and hasattr(module, "get_config"):
        return keras_files.of_layers(what, module)
    if "flax" in kind and not isinstance(module, Mapping):
        return source_of(what, _arrays(library("flax.nnx", "flax").state(module)))
    if isinstance(module, Mapping) or "equinox" in kind:
        return source_of(what, _arrays(module))
    raise TypeError(f"source: got {what}; it must be {WANTED}")


def _library_of(module: Any) -> set[str]:
    """Returns the packages of a type and of its bases."""
    return {base.__module__.partition(".")[0] for base in type(module).__mro__}


def _of_torch(what: str, module: Any) -> Source:
    settings = {
        name.replace(".", "/"): {"nonlinearity": part.nonlinearity}
        for name, part in module.named_modules()
        if hasattr(part, "nonlinearity")
    }
    notes = (BATCH_FIRST,) if any(map(_is_batch_first, module.modules())) else ()
    arrays = tensors_of(module.state_dict())
    return source_of(what, arrays, settings=settings, notes=notes)


def _is_batch_first(part: Any) -> bool:
    return getattr(part, "batch_first", False) is True and hasattr(part, "mode")


def _arrays(tree: Any) -> dict[str, Any]:
    """Returns the arrays of a tree by path; tensors among them as arrays."""
    if isinstance(tree, Mapping) and any(hasattr(v, "detach") for v in tree.values()):
        return tensors_of(tree)
    leaves = by_path(tree)
    return {
        path: np.asarray(leaf)
        for path, leaf in leaves.items()
        if isinstance(leaf, jax.Array | np.ndarray)
    }
