"""residual: a cell that adds its input to what it shows."""

from typing import Any

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import Keyed, like
from lstm_jax.factories import factory


@factory
def residual(cell: Cell) -> Cell:
    """Returns the cell that shows y = x + y' where the given one shows y'.

    The gradient also reaches x directly. Params and carry are the cell's.

    Args:
      cell: one whose y is as wide as its x; otherwise `step` raises a ValueError.

    Example:
      >>> cell = lj.stack(lj.LSTM, lj.residual(lj.LSTM))
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> lj.unroll(cell, params, jnp.ones((5, 2, 3)))[1].shape
      (5, 2, 4)

    References:
      Wu et al. (2016), https://arxiv.org/abs/1609.08144, section 3.1
    """
    check_cell("cell", cell)

    def step(params: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        carry, y = cell.step(params, carry, x)
        x = x.x if isinstance(x, Keyed) else x
        if x.shape != y.shape:
            raise ValueError(
                f"x: the last axis is {x.shape[-1]} and {cell.name!r} shows "
                f"{y.shape[-1]}; residual adds them, so they must agree"
            )
        return carry, x + y

    functions = {"step": step, "transition": cell.transition}
    return like(cell, residual, name=f"residual({cell.name})", **functions)
