"""Cells that draw random numbers, and the keyed inputs they read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import as_array, check_choice, check_key
from lstm_jax.types import PRNGKey

SPANS = ("step", "sequence", "both")


@jax.tree_util.register_static
@dataclass(frozen=True, kw_only=True)
class KeyedCell(Cell):
    """A cell that draws random numbers: its step reads `Keyed(x, key)`.

    `train` makes the keys. `stack` and the other wrappers turn it into another
    `KeyedCell`, which splits its key among the parts that draw.

    Attributes:
      per: "step", "sequence" or "both": what gets its own key in training; see
        `with_keys`.
      evaluated: the cell that evaluation uses: the same without randomness, on the same
        params and carry.
    """

    per: str
    evaluated: Cell


class Keyed(NamedTuple):
    """An input x (*batch, input) and one key, or `Keys`; time comes first in both."""

    x: Any
    key: Any


class Keys(NamedTuple):
    """Two keys, for a cell in which some parts draw anew and others keep their draw.

    Attributes:
      step: a new one at every step.
      sequence: the same at every step.
    """

    step: Any
    sequence: Any


def with_keys(key: PRNGKey, xs: ArrayLike, per: str = "step") -> Keyed:
    """Returns `xs` with the randomness that a stochastic cell reads.

    Args:
      key: a typed key.
      xs: (time, *batch, input).
      per: the `per` of the cell. "step", a new key at every step (zoneout);
        "sequence", the same key at every step, so that one mask holds throughout
        (variational dropout); "both", `Keys`, for a cell with parts of either kind.

    Raises:
      ValueError: `per` is none of these.

    Example:
      >>> keyed = lj.with_keys(jax.random.key(0), jnp.ones((5, 2, 3)))
      >>> keyed.x.shape, keyed.key.shape
      ((5, 2, 3), (5,))
    """
    check_key("key", key)
    check_choice("per", per, SPANS)
    time = as_array("xs", xs, "an array (time, *batch, input)").shape[0]
    if per == "both":
        renewed, kept = jax.random.split(key)
        return Keyed(xs, Keys(_every_step(renewed, time), _the_same(kept, time)))
    return Keyed(xs, (_every_step if per == "step" else _the_same)(key, time))


def _every_step(key: PRNGKey, time: int) -> Any:
    return jax.random.split(key, time)


def _the_same(key: PRNGKey, time: int) -> Any:
    return jnp.broadcast_to(key, (time,))


def without_noise(cell: Cell) -> Cell:
    """Returns the cell that evaluation uses: the given one if it draws nothing."""
    return cell.evaluated if isinstance(cell, KeyedCell) else cell


def check_keyed(x: Any, cell: str) -> None:
    """Refuses an input without a key."""
    if not isinstance(x, Keyed):
        raise TypeError(
            f"xs: {cell!r} draws random numbers and reads Keyed(x, key), which "
            "with_keys(key, xs, per=cell.per) makes, and lj.train by itself"
        )


# Wrappers around cells that draw


def span_of(cell: Cell) -> str | None:
    """Returns what gets its own key in a cell; None if it draws nothing."""
    return cell.per if isinstance(cell, KeyedCell) else None


def joint_span(spans: Sequence[str | None]) -> str:
    """Returns the span of a cell from those of its parts, None for parts without draws.

    At least one part draws.
    """
    kinds = {span for span in spans if span is not None}
    return kinds.pop() if len(kinds) == 1 else "both"


def split_keys(key: Any, spans: Sequence[str | None]) -> list[Any]:
    """Returns the key of every part of a cell, None for those that draw nothing.

    The only part that draws reads the key as it is. A single key where the parts want
    `Keys` holds nothing over the sequence.
    """
    drawing = [span for span in spans if span is not None]
    parts = iter([key] if len(drawing) == 1 else _split(key, drawing))
    return [None if span is None else next(parts) for span in spans]


def _split(key: Any, spans: list[str]) -> list[Any]:
    if not isinstance(key, Keys):
        return [*jax.random.split(key, len(spans))]
    both = zip(*(jax.random.split(one, len(spans)) for one in key), strict=True)
    return [
        keys if span == "both" else getattr(keys, span)
        for span, keys in zip(spans, map(Keys._make, both), strict=True)
    ]


def split_over_time(xs: Any, spans: Sequence[str | None], name: str) -> Any:
    """Returns the inputs of a whole sequence without keys, and those of every part.

    They are those that `split_keys` gives at every step of the cell `name`.
    """
    if not any(spans):
        return xs, [None] * len(spans)
    check_keyed(xs, name)
    return xs.x, jax.vmap(lambda key: split_keys(key, spans))(xs.key)


def dropped(key: PRNGKey, values: Array, rate: int | float) -> Array:
    """Returns the values, of which a share is 0 and the others are scaled up."""
    if not rate:
        return values
    kept = jax.random.bernoulli(key, 1 - rate, values.shape)
    return jnp.where(kept, values / (1 - rate), 0)


def keyed_if(x: Any, key: Any) -> Any:
    """Returns what a part of a cell reads: x, with its key if it has one."""
    return x if key is None else Keyed(x, key)


def like(cell: Cell, wrapper: Callable[[Cell], Cell], **functions: Any) -> Cell:
    """Returns the cell with other functions, for a wrapper that draws nothing.

    Around a cell that draws it is a `KeyedCell`, and `wrapper` makes the cell that
    evaluation uses. Transition and edges are kept only if among the functions.
    """
    functions = {"transition": None, "edges": None} | functions
    if isinstance(cell, KeyedCell):
        functions["evaluated"] = wrapper(cell.evaluated)
    return replace(cell, layers=(), over=None, **functions)


def noisy(
    cell: Cell, name: str, step: Callable, per: str, over: Callable | None = None
) -> KeyedCell:
    """Returns the cell with a step that draws; evaluation uses the given cell."""
    return KeyedCell(
        name=name,
        init=cell.init,
        init_carry=cell.init_carry,
        step=step,
        input_axes=cell.input_axes,
        gates=cell.gates,
        memory=cell.memory,
        over=over,
        directions=cell.directions,
        per=per,
        evaluated=without_noise(cell),
    )
