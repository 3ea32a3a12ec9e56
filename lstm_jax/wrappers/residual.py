"""residual: a cell that adds its input to what it shows."""

from typing import Any

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.factories import factory
from lstm_jax.wrappers.keyed import Keyed


@factory
def residual(cell: Cell) -> Cell:
    """Returns the cell that shows y = x + y' where the given one shows y'.

    Its gradient reaches x by a road of its own. Params and carry are the cell's. What
    draws random numbers goes around it: `zoneout(residual(cell))`.

    Args:
      cell: one whose y is as wide as its x; elsewhere `step` raises a ValueError. One
        that draws random numbers raises a TypeError there.

    References:
      Wu et al. (2016), https://arxiv.org/abs/1609.08144, section 3.1
    """
    check_cell("cell", cell)

    def step(params: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        if isinstance(x, Keyed):
            raise TypeError(
                f"x: got Keyed; 'residual({cell.name})' reads x alone; a cell that "
                "draws random numbers must be around it, as in zoneout(residual(...))"
            )
        carry, y = cell.step(params, carry, x)
        if x.shape != y.shape:
            raise ValueError(
                f"x: the last axis is {x.shape[-1]} and {cell.name!r} shows "
                f"{y.shape[-1]}; residual adds them, so they must agree"
            )
        return carry, x + y

    return Cell(
        name=f"residual({cell.name})",
        init=cell.init,
        init_carry=cell.init_carry,
        step=step,
        input_axes=cell.input_axes,
    )
