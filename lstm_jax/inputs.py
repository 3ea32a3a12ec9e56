"""What enters a run, checked: params, inputs with or without keys, the first carry.

Most cells read one floating array (time, *batch, input). A cell of `from_function` may
read any pytree: its leaves share time and batch axes, and the other axes belong to one
element.
"""

from collections.abc import Callable
from functools import cache
from numbers import Number
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.stochastic import Keyed, Keys, span_of
from lstm_jax.checks import as_array, shown
from lstm_jax.engine.carry_types import first_difference, shape_of
from lstm_jax.engine.shapes import shapes_of
from lstm_jax.types import Carry, Params, Shape


def checked_inputs(cell: Cell, xs: Any) -> Any:
    """Returns the inputs as arrays; refuses those that the cell can't read."""
    if isinstance(xs, Keyed):
        x = _checked(cell, xs.x)
        _check_keys(cell, xs.key, jax.tree.leaves(x)[0].shape[0])
        return Keyed(x, xs.key)
    return _checked(cell, xs)


def without_keys(xs: Any) -> Any:
    """Returns the inputs alone."""
    return xs.x if isinstance(xs, Keyed) else xs


def with_inputs(xs: Any, x: Any) -> Any:
    """Returns xs with other inputs, the keys as they were."""
    return Keyed(x, xs.key) if isinstance(xs, Keyed) else x


def _checked(cell: Cell, xs: Any) -> Any:
    if cell.input_axes is None:
        return _one_array(cell, xs)
    leaves = jax.tree.leaves(xs)
    if not leaves or any(jnp.ndim(leaf) == 0 for leaf in leaves):
        shapes = [jnp.shape(leaf) for leaf in leaves]
        raise ValueError(f"xs: shapes are {shapes}; leaves must be (time, *batch, ...)")
    times = {jnp.shape(leaf)[0] for leaf in leaves}
    if len(times) > 1 or times == {0}:
        raise ValueError(
            f"xs: leaves have {sorted(times)} steps; all must have the same, at least 1"
        )
    return jax.tree.map(jnp.asarray, xs)


def _one_array(cell: Cell, xs: Any) -> Array:
    if not jax.tree_util.all_leaves([xs]):
        raise TypeError(
            f"xs: got {shown(xs)}; it must be an array, as {cell.name!r} reads one; a "
            "cell of from_function may read several"
        )
    xs = as_array("xs", xs)
    if not jnp.issubdtype(xs.dtype, jnp.floating):
        raise TypeError(f"xs: dtype is {xs.dtype}; it must be floating")
    if xs.ndim < 2 or xs.shape[0] == 0:
        raise ValueError(
            f"xs: shape is {xs.shape}; it must be (time, *batch, input) with time >= 1"
        )
    return xs


def _check_keys(cell: Cell, key: Any, time: int) -> None:
    if isinstance(key, Keys) and span_of(cell) != "both":
        raise TypeError(
            f"xs.key: got Keys; {cell.name!r} reads one key per step, which "
            "with_keys(key, xs, per=cell.per) makes"
        )
    for one in jax.tree.leaves(key):
        if not is_key(one) or one.shape != (time,):
            raise ValueError(
                f"xs.key: got {jax.typeof(one).str_short()}; it must hold one typed "
                f"key per step, shape {(time,)}, as with_keys makes them"
            )


def is_key(leaf: Any) -> bool:
    """Whether a leaf holds typed keys."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def batch_shape_of(cell: Cell, params: Params, xs: Any, carry: Carry | None) -> Shape:
    """Returns the batch axes of checked inputs; refuses leaves that disagree.

    They are those of the carry if it is given; otherwise the axes after time without
    those of one element (`cell.input_axes`).
    """
    x = without_keys(xs)
    if cell.input_axes is None:
        return x.shape[1:-1]
    paths = [jax.tree_util.keystr(path) for path, _ in _with_paths(x)]
    shapes = [leaf.shape[1:] for _, leaf in _with_paths(x)]
    if carry is None:
        axes = cell.input_axes.of(x)
        found = [_without_last(*pair) for pair in zip(shapes, axes, strict=True)]
    else:
        batch_axes = _batch_axes(cell, params, carry)
        found = [shape[:batch_axes] for shape in shapes]
    for path, batch_shape, shape in zip(paths, found, shapes, strict=True):
        if batch_shape != found[0]:
            raise ValueError(
                f"xs: leaf {path} has shape {shape} after time and so the batch axes "
                f"{batch_shape}; leaf {paths[0]} has {found[0]}; input_axes of "
                "from_function says how many axes belong to one element"
            )
    return found[0]


def _without_last(shape: Shape, axes: int) -> Shape:
    if axes > len(shape):
        raise ValueError(
            f"xs: a leaf has shape {shape} after time; input_axes wants {axes} axes or "
            "more"
        )
    return shape[: len(shape) - axes]


def _with_paths(x: Any) -> list[tuple[Any, Any]]:
    return jax.tree_util.tree_leaves_with_path(x)


def _batch_axes(cell: Cell, params: Params, carry: Carry) -> int:
    """Returns how many batch axes the leaves of a carry have."""
    one = jax.tree.leaves(shapes_of(cell.init_carry, params))
    given = jax.tree.leaves(carry)
    return max(
        (jnp.ndim(a) - b.ndim for a, b in zip(given, one, strict=False)), default=0
    )


def check_params(cell: Cell, params: Params) -> None:
    """Refuses params of another cell, if the types of `cell.step` name its own."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not (hasattr(leaf, "dtype") or isinstance(leaf, Number)):
            raise TypeError(
                f"params: leaf {jax.tree_util.keystr(path)} is {shown(leaf)}; it must "
                "be an array: keep the rest out, as eqx.partition(module, eqx.is_array)"
                " does, and put it back in the step; lj.scan takes it as it is"
            )
    wanted = getattr(cell.step, "__annotations__", {}).get("params")
    if not isinstance(wanted, type) or not hasattr(wanted, "_fields"):
        return
    if not isinstance(params, wanted):
        raise TypeError(
            f"params: got {type(params).__name__}; {cell.name!r} wants "
            f"{wanted.__name__}"
        )


def starting_carry(cell: Cell, params: Params, xs: Any, carry: Carry | None) -> Carry:
    """Returns the carry that enters the first step: a new one, or the one given."""
    check_params(cell, params)
    batch_shape = batch_shape_of(cell, params, checked_inputs(cell, xs), carry)
    return checked_carry(cell, params, carry, batch_shape)


def unbatched_leaves(
    cell: Cell, params: Params, batch_shape: Shape
) -> tuple[bool, ...]:
    """Returns which leaves of the carry have no batch axes although x has."""
    if not batch_shape:
        return (False,) * len(jax.tree.leaves(shapes_of(cell.init_carry, params)))
    one = shapes_of(cell.init_carry, params)
    many = shapes_of(_init_carry(cell, batch_shape), params)
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True)
    return tuple(a.shape == b.shape for a, b in pairs)


# Cached, so that `jax.eval_shape` gets the same function again.
@cache
def _init_carry(cell: Cell, batch_shape: Shape) -> Callable:
    def begin(params):
        return cell.init_carry(params, batch_shape)

    return begin


def checked_carry(
    cell: Cell, params: Params, carry: Carry | None, batch_shape: Shape
) -> Carry:
    """Returns the carry given, or a new one; refuses other leaves or shapes."""
    fresh = cell.init_carry(params, batch_shape)
    if carry is None:
        return fresh
    difference = first_difference(carry, fresh, shape_of)
    if difference:
        leaf, given, wanted = difference
        raise ValueError(
            f"carry: {leaf} is {given or 'missing'}; {cell.name!r} wants "
            f"{wanted or 'no such leaf'} for these params and xs"
        )
    return carry
