"""What a function returns, traced once per kind of input; and what it changes."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax


def shapes_of(function: Callable, *arguments: Any) -> Any:
    """Returns `jax.eval_shape(function, *arguments)`, cached.

    JAX itself keeps a few kilobytes for every such call.
    """
    leaves, structure = jax.tree.flatten(arguments)
    return _shapes(function, _surroundings(), structure, *map(jax.typeof, leaves))


def _surroundings() -> tuple[Any, ...]:
    """Returns what else the result may depend on: default precision and mesh."""
    return jax.dtypes.canonicalize_dtype(float), jax.sharding.get_abstract_mesh()


@lru_cache(maxsize=1024)
def _shapes(function: Callable, _: Any, structure: Any, *kinds: Any) -> Any:
    return jax.eval_shape(function, *structure.unflatten(kinds))


def with_params_kept(function: Callable, params: Any, *arguments: Any) -> Any:
    """Returns `function(params, *arguments)`; refuses a function that changes params.

    Modules are mutable: nnx.Dropout counts its draws and nnx.BatchNorm keeps averages.
    In a loop that is traced once, such a change reaches no later step.

    Raises:
      TypeError: names the first leaf that it changed in place, or added.
    """
    with_paths = jax.tree_util.tree_leaves_with_path
    before = dict(with_paths(params))
    returned = function(params, *arguments)
    for path, leaf in with_paths(params):
        if before.get(path) is not leaf:
            raise TypeError(
                f"params: a step changes leaf {jax.tree_util.keystr(path)}; it must "
                "leave them as they are: what changes belongs to the carry (an nnx "
                "module: nnx.split takes it out, and eval() stops most of it)"
            )
    return returned
