"""shortcut: a cell that shows its input beside what it shows."""

from typing import Any

import jax.numpy as jnp

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import Keyed, like
from lstm_jax.factories import factory


@factory
def shortcut(cell: Cell) -> Cell:
    """Returns the cell that shows y = [y', x] where the given one shows y'.

    A readout of it has a connection from each input to each output, past the memory,
    as in experiment 2a of Hochreiter & Schmidhuber (1997) and in the nets of Gers,
    Schmidhuber & Cummins (2000). Shapes: x (*batch, input), y' (*batch, hidden),
    y (*batch, hidden + input). Params and carry are the cell's.

    Example:
      >>> cell = lj.cells.shortcut(lj.cells.LSTM97_INPUT_GATE)
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=1)
      >>> lj.unroll(cell, params, jnp.ones((5, 2, 3)))[1].shape
      (5, 2, 4)

    References:
      Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735
      Gers, Schmidhuber & Cummins (2000), https://doi.org/10.1162/089976600300015015
    """
    check_cell("cell", cell)

    def step(params: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        carry, y = cell.step(params, carry, x)
        x = x.x if isinstance(x, Keyed) else x
        return carry, jnp.concatenate([y, x], axis=-1)

    functions = {"step": step, "transition": cell.transition}
    return like(cell, shortcut, name=f"shortcut({cell.name})", **functions)
