"""Shapes and dtypes of what a function returns, asked once for each kind of input."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax


def shapes_of(function: Callable, *arguments: Any) -> Any:
    """Returns `jax.eval_shape(function, *arguments)`, whose answer is remembered.

    JAX itself keeps a few kilobytes for every such question.
    """
    leaves, structure = jax.tree.flatten(arguments)
    return _shapes(function, _surroundings(), structure, *map(jax.typeof, leaves))


def _surroundings() -> tuple[Any, ...]:
    """Returns what else an answer may hang on: the default precision, and the mesh."""
    return jax.dtypes.canonicalize_dtype(float), jax.sharding.get_abstract_mesh()


@lru_cache(maxsize=1024)
def _shapes(function: Callable, _: Any, structure: Any, *kinds: Any) -> Any:
    return jax.eval_shape(function, *structure.unflatten(kinds))
