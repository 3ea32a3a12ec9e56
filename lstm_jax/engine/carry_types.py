"""Types of carries: what enters a step must also leave it, leaf by leaf."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.checks import shown
from lstm_jax.types import Carry

SMALL = 4  # most leaves of a carry that a message shows whole


class Difference(NamedTuple):
    """The first difference of two carries; None where one of them lacks the leaf."""

    leaf: str
    first: str | None
    second: str | None


def kind_of(leaf: Any) -> str:
    """Returns dtype, shape and sharding, "float32[4@data,8]"."""
    kind = _typeof(leaf)
    return kind.str_short() if kind else shown(leaf)


def shape_of(leaf: Any) -> str:
    """Returns dtype and shape, "float32[4,8]"."""
    kind = _typeof(leaf)
    return (
        f"{kind.dtype.name}[{','.join(map(str, kind.shape))}]" if kind else shown(leaf)
    )


def _typeof(leaf: Any) -> Any:
    """Returns the type of an array or a number, None for anything else."""
    try:
        return jax.typeof(leaf)
    except TypeError:
        return None


def first_difference(
    first: Carry, second: Carry, describe: Callable[[Any], str] = kind_of
) -> Difference | None:
    """Returns the first difference of two carries, None if they agree.

    Small ones of different structure are returned whole.
    """
    structures = [jax.tree.structure(tree) for tree in (first, second)]
    if (
        structures[0] != structures[1]
        and max(s.num_leaves for s in structures) <= SMALL
    ):
        whole = [str(jax.tree.map(describe, tree)) for tree in (first, second)]
        return Difference("it", *whole)
    one, other = _by_path(first, describe), _by_path(second, describe)
    for path in [*one, *other]:
        if one.get(path) != other.get(path):
            return Difference(path, one.get(path), other.get(path))
    if structures[0] != structures[1]:
        return Difference("the structure", *map(str, structures))
    return None


def _by_path(carry: Carry, describe: Callable[[Any], str]) -> dict[str, str]:
    leaves = jax.tree_util.tree_leaves_with_path(carry)
    return {
        f"leaf {jax.tree_util.keystr(path)}" if path else "it": describe(leaf)
        for path, leaf in leaves
    }


def check_kept(entering: Carry, leaving: Carry, of: str = "the step") -> None:
    """Refuses a step that changes the structure, a shape or a dtype of the carry."""
    found = first_difference(entering, leaving)
    if found is None:
        return
    leaf, enters, leaves = found
    if leaves is None:
        said = f"{leaf} enters {of} as {enters} and does not leave it"
    elif enters is None:
        said = f"{leaf} leaves {of} as {leaves} and does not enter it"
    else:
        said = f"{leaf} enters {of} as {enters} and leaves it as {leaves}"
    raise TypeError(f"carry: {said}; the two must agree")


def with_weak_types_promoted(entering: Carry, leaving: Carry) -> Carry:
    """Returns the carry with Python numbers in the dtype in which they leave a step.

    As in `lax.scan`, a carry that begins with 0 may go on as a float.
    """

    def promoted(enters, leaves):
        kind = jax.typeof(enters)
        if not kind.weak_type or kind.dtype == leaves.dtype:
            return enters
        return jax.lax.convert_element_type(enters, jnp.result_type(enters, leaves))

    if jax.tree.structure(entering) != jax.tree.structure(leaving):
        return entering
    return jax.tree.map(promoted, entering, leaving)
