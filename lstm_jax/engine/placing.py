"""Where arrays lie: what their types say about the axes of a mesh.

Explicit axes, and those of `jax.shard_map`, are part of an array's type. Initial zeros
lie whole on every device; what a step computes from them and from sharded arrays is
sharded. Loops and branches then have to be given one type.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from jaxtyping import Array


def lies_on_a_mesh(array: Any) -> bool:
    """Whether an array may be sharded over devices, along axes not the caller's.

    Inside `jax.shard_map` an axis is the caller's: a device sees only its own part.
    """
    mesh: Any = jax.typeof(array).sharding.mesh
    axes = zip(mesh.axis_sizes, mesh.axis_types, strict=True)
    return any(size > 1 and kind != AxisType.Manual for size, kind in axes)


def cut_alike(*arrays: Array) -> list[Array]:
    """Returns arrays of one shape, all sharded like the first that is sharded.

    Only explicit axes are part of a type and must agree before arrays are combined.
    """
    kinds = [jax.typeof(array).sharding for array in arrays]
    cut = [kind for kind in kinds if any(kind.spec)]
    if all(kind.spec == kinds[0].spec for kind in kinds):
        return [*arrays]
    return [jax.sharding.reshard(array, cut[0]) for array in arrays]


def spread_like(tree: Any, like: Any) -> Any:
    """Returns a tree, each leaf also sharded like its counterpart in `like`.

    Where structure, shape or dtype differ, it is left as it is.
    """
    if jax.tree.structure(tree) != jax.tree.structure(like):
        return tree
    return jax.tree.map(_spread, tree, like)


def _spread(leaf: Any, like: Any) -> Any:
    here, there = jax.typeof(leaf), jax.typeof(like)
    alike = here.shape == there.shape and here.dtype == there.dtype
    if here.str_short() == there.str_short() or not alike:
        return leaf
    leaf, zeros = cut_alike(leaf, jnp.zeros_like(like))
    return jnp.where(jnp.ones_like(zeros, bool), leaf, zeros)


def spread_as(array: Array, tree: Any) -> Any:
    """Returns a tree whose leaves vary over the devices that an array varies over."""
    if not inside_shard_map():
        return tree
    mark = jnp.all(jnp.ones_like(array, bool))
    return jax.tree.map(lambda leaf: jnp.where(mark, leaf, leaf), tree)


def cond(
    condition: Any, yes: Callable[..., Any], no: Callable[..., Any], *operands: Any
) -> Any:
    """Returns `lax.cond`; inside `jax.shard_map`, with branches of one type."""
    if not inside_shard_map():
        return jax.lax.cond(condition, yes, no, *operands)
    of_yes, of_no = (jax.eval_shape(branch, *operands) for branch in (yes, no))
    return jax.lax.cond(
        condition,
        lambda *operands: spread_like(yes(*operands), of_no),
        lambda *operands: spread_like(no(*operands), of_yes),
        *operands,
    )


def inside_shard_map() -> bool:
    """Whether some axis of the mesh belongs to the caller."""
    return AxisType.Manual in jax.sharding.get_abstract_mesh().axis_types
