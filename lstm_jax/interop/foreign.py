"""What all adapters of other libraries' cells share."""

import importlib
from collections.abc import Callable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.types import Carry, Params, Shape


def library(module: str, package: str) -> Any:
    """Returns a library that only its adapter needs, imported now.

    Raises:
      ImportError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module}: not installed; it is part of the package {package}"
        ) from error


def check_params(name: str, params: Params, wanted: Params) -> None:
    """Refuses params whose paths and shapes are not those of the cell; dtypes may vary.

    Args:
      name: of the cell, for the message.
      params: what was given.
      wanted: arrays or `ShapeDtypeStruct`s.

    Raises:
      ValueError: names the first path, in alphabetical order, that does not fit.
    """
    got, fits = _shapes(params), _shapes(wanted)
    for path in sorted(got.keys() | fits.keys()):
        if path not in fits:
            raise ValueError(
                f"params: got {path!r}; {name!r} wants {', '.join(fits) or 'none'}"
            )
        if path not in got:
            raise ValueError(
                f"params: {path!r} is missing; {name!r} wants {', '.join(fits)}"
            )
        if got[path] != fits[path]:
            raise ValueError(
                f"params: {path!r} has shape {got[path]}; {name!r} wants {fits[path]}"
            )


def check_width(name: str, argument: str, given: int, width: int) -> None:
    """Refuses another size in `init` than the module was made with."""
    if given != width:
        raise ValueError(
            f"{argument}: got {given}; it must be {width}, with which {name!r} was made"
        )


def not_given(adapter: str, argument: str) -> Callable[..., NoReturn]:
    """Returns what stands in for a function that draws new weights, to say so."""

    def refuse(*_: Any) -> NoReturn:
        raise ValueError(
            f"{argument}: got None; {adapter} must be given one to draw new weights"
        )

    return refuse


def in_dtype_of(params: Params, carry: Carry) -> Carry:
    """Returns the carry with its real leaves in the dtype of the params.

    Libraries make it in a dtype of their own: that of the module, or JAX's default.
    """
    leaves = jax.tree.leaves(params)
    if not leaves:
        return carry
    dtype = jnp.result_type(*leaves)

    def cast(leaf):
        real = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype) if real else leaf

    return jax.tree.map(cast, carry)


def batched(carry: Carry, batch_shape: Shape) -> Carry:
    """Returns the carry of one example, once for every element of the batch."""
    return jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (*batch_shape, *leaf.shape)), carry
    )


def over_batch(step: Callable, batch_axes: int) -> Callable:
    """Returns `(params, carry, x) -> (carry, y)` of one example for a batch of them."""
    for _ in range(batch_axes):
        step = jax.vmap(step, in_axes=(None, 0, 0))
    return step


def _shapes(params: Params) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): tuple(np.shape(leaf))
        for path, leaf in leaves
    }
