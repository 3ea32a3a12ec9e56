"""Cells that draw random numbers, and the inputs with keys that they read."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import as_array, check_choice, check_key
from lstm_jax.types import PRNGKey

SPANS = ("step", "sequence")


@jax.tree_util.register_static
@dataclass(frozen=True, kw_only=True)
class KeyedCell(Cell):
    """A cell that draws random numbers: its step reads `Keyed(x, key)`.

    `train` makes the keys. A wrapper around it that returns a plain `Cell` hides that
    from `train`, so what draws random numbers comes last.

    Attributes:
      per: "step" or "sequence", what has a key of its own in training; see `with_keys`.
      evaluated: the cell without randomness, on the same params and carry, that
        evaluation uses.
    """

    per: str
    evaluated: Cell


class Keyed(NamedTuple):
    """An input and a key: x (*batch, input) and one key.

    As a sequence: x (time, *batch, input) and key (time,).
    """

    x: Any
    key: Any


def with_keys(key: PRNGKey, xs: ArrayLike, per: str = "step") -> Keyed:
    """Returns `xs` with the randomness that a stochastic wrapper reads.

    Args:
      key: a typed key.
      xs: (time, *batch, input).
      per: "step", a key of its own for every step (zoneout); or "sequence", the same
        key at every step, so that one mask holds from the first to the last
        (variational dropout).

    Raises:
      ValueError: `per` is neither.
    """
    check_key("key", key)
    check_choice("per", per, SPANS)
    time = as_array("xs", xs, "an array (time, *batch, input)").shape[0]
    if per == "step":
        return Keyed(xs, jax.random.split(key, time))
    return Keyed(xs, jnp.broadcast_to(key, (time,)))


def without_noise(cell: Cell) -> Cell:
    """Returns the cell that evaluation uses: the given one, if it draws nothing."""
    return cell.evaluated if isinstance(cell, KeyedCell) else cell


def check_keyed(x: Any, cell: str) -> None:
    """Refuses an input without a key."""
    if not isinstance(x, Keyed):
        raise TypeError(
            f"xs: {cell!r} draws random numbers and reads Keyed(x, key); make it by "
            "with_keys(key, xs). lj.train does, for the outermost cell: a cell that "
            "draws must be that one, as in zoneout(stack(...))"
        )
