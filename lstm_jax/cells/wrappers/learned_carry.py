"""learned_carry: a cell whose initial memory is a parameter."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import like
from lstm_jax.factories import factory
from lstm_jax.types import PRNGKey, Shape


class LearnedCarryParams(NamedTuple):
    """The weights of the cell, and its initial carry."""

    cell: Any
    carry: Any


@factory
def learned_carry(cell: Cell) -> Cell:
    """Returns the cell whose initial carry is learned with the weights.

        init_carry(params) = params.carry, the same for every batch element

    Learning starts from the initial carry of the given cell. Resets return to it too.

    Args:
      cell: the cell; its initial carry must be floating.

    Example:
      >>> cell = lj.learned_carry(lj.LSTM)
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> params._fields, params.carry.c.shape
      (('cell', 'carry'), (4,))
    """
    check_cell("cell", cell)

    def init(
        key: PRNGKey, input_size: int, hidden_size: int, **options: Any
    ) -> LearnedCarryParams:
        params = cell.init(key, input_size, hidden_size, **options)
        return LearnedCarryParams(cell=params, carry=cell.init_carry(params))

    def init_carry(params: LearnedCarryParams, batch_shape: Shape = ()) -> Any:
        return jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (*batch_shape, *leaf.shape)),
            params.carry,
        )

    def step(params: LearnedCarryParams, carry: Any, x: Any) -> tuple[Any, Any]:
        return cell.step(params.cell, carry, x)

    def transition(params: LearnedCarryParams, x: Any) -> tuple[Any, Any]:
        return cell.transition(params.cell, x)  # pyright: ignore

    name = f"learned_carry({cell.name})"
    functions = {"init": init, "init_carry": init_carry, "step": step}
    if cell.transition is not None:
        functions["transition"] = transition
    return like(cell, learned_carry, name=name, **functions)
