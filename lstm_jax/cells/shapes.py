"""How many numbers a cell shows."""

from typing import Any

import jax

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.stochastic import without_noise
from lstm_jax.types import Params


def output_size(cell: Cell, params: Params, input_size: int) -> int:
    """Returns the features of y, in the dtype of all weights together."""
    quiet = without_noise(cell)
    carry = jax.eval_shape(quiet.init_carry, params)
    dtype = jax.numpy.result_type(*jax.tree.leaves(params))
    x = jax.ShapeDtypeStruct((input_size,), dtype)
    shown = jax.eval_shape(lambda *of: _over_one_step(quiet, *of), params, x, carry)
    return shown[1].shape[-1]


def _over_one_step(
    cell: Cell, params: Params, x: Any, carry: Any, reverse: bool = False
) -> tuple[Any, Any]:
    """Returns what the cell does with a sequence of one step, whose order is none."""
    del reverse
    if cell.over is None:
        return cell.step(params, carry, x)
    return cell.over(_over_one_step, params, x, carry)
