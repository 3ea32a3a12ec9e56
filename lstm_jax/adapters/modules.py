"""What all adapters share."""

import importlib
from collections.abc import Callable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.stochastic import KeyedCell, with_keys, without_noise
from lstm_jax.types import Carry, Params, Sequences, Shape


def library(module: str, package: str) -> Any:
    """Imports a library that only its adapter needs; ImportError if it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module}: not installed; it is part of the package {package}"
        ) from error


def check_params(name: str, params: Params, wanted: Params) -> None:
    """Refuses params whose paths or shapes differ from the cell's; dtypes may vary.

    The message names the first path, in alphabetical order, that does not fit.
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
    """Refuses a size in `init` that differs from the module's."""
    if given != width:
        raise ValueError(
            f"{argument}: got {given}; it must be {width}, with which {name!r} was made"
        )


def check_shape(name: str, x: Any, wanted: Shape) -> None:
    """Refuses inputs whose shape after the batch axes is not the wanted one."""
    if x.shape[max(0, x.ndim - len(wanted)) :] != wanted:
        raise ValueError(
            f"x: the shape is {x.shape}; {name!r} wants {wanted} after time and batch"
        )


def not_given(adapter: str, argument: str) -> Callable[..., NoReturn]:
    """Returns a stand-in for a function that draws new weights, which refuses calls."""

    def refuse(*_: Any) -> NoReturn:
        raise ValueError(
            f"{argument}: got None; {adapter} must be given one to draw new weights"
        )

    return refuse


def in_dtype_of(params: Params, carry: Carry) -> Carry:
    """Returns the carry with its real leaves in the dtype of the params.

    Libraries use the dtype of the module or JAX's default instead.
    """
    leaves = jax.tree.leaves(params)
    if not leaves:
        return carry
    dtype = jnp.result_type(*leaves)

    def cast(leaf):
        real = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype) if real else leaf

    return jax.tree.map(cast, carry)


def memory_as_it_came(
    name: str, entering: Carry, leaving: Carry, y: Any
) -> tuple[Carry, Any]:
    """Returns (carry, y) of a step, the carry in the dtypes that it entered with.

    A module may compute in a narrower dtype than its weights'; widening its memory
    changes no number. Narrowing would, and is refused with a TypeError.
    """

    def kept(before, after):
        bits = [jnp.finfo(leaf.dtype).bits for leaf in (before, after)]
        if bits[1] < bits[0]:
            return after.astype(before.dtype)
        raise TypeError(
            f"carry: {name!r} makes {after.dtype} of its {before.dtype} memory; xs, "
            f"params and what the module computes in must have one dtype: give "
            f"xs.astype({before.dtype}), or params in {after.dtype}"
        )

    def as_before(before, after):
        floating = jnp.issubdtype(after.dtype, jnp.floating)
        return (
            kept(before, after) if floating and before.dtype != after.dtype else after
        )

    if jax.tree.structure(entering) != jax.tree.structure(leaving):
        return leaving, y
    return jax.tree.map(as_before, entering, leaving), y


def batched(carry: Carry, batch_shape: Shape) -> Carry:
    """Returns the carry of one example, repeated over the batch."""
    return jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (*batch_shape, *leaf.shape)), carry
    )


def over_batch(step: Callable, batch_axes: int) -> Callable:
    """Returns a step `(params, carry, x) -> (carry, y)` of one example for batches."""
    for _ in range(batch_axes):
        step = jax.vmap(step, in_axes=(None, 0, 0))
    return step


def with_noise_of(key: Any, cell: Cell, xs: Sequences) -> tuple[Cell, Any]:
    """Returns the cell and what it reads: without noise where there is no key."""
    if key is None or not isinstance(cell, KeyedCell):
        return without_noise(cell), xs
    return cell, with_keys(key, xs, cell.per)


def _shapes(params: Params) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): tuple(np.shape(leaf))
        for path, leaf in leaves
    }
