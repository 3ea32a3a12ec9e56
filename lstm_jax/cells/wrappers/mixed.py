"""mixed: products in half precision, memory in full."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import like
from lstm_jax.checks import check_floating
from lstm_jax.engine.programs import Op, evaluate, interpreted, read
from lstm_jax.factories import factory


@factory
def mixed(cell: Cell, compute_dtype: Any = jnp.bfloat16) -> Cell:
    """Returns the cell that multiplies in `compute_dtype` and remembers in its own.

    Every matrix product of the step rounds its operands to `compute_dtype`; it sums in
    the dtype of the carry, and so is its result. Everything else, above all the sums of
    the carousel, stays as it was: c_t = f * c_{t-1} + i * g in bfloat16 would
    lose every contribution below 1/256 of what is remembered.

    Args:
      cell: the cell; its params keep their dtype.
      compute_dtype: a floating dtype, bfloat16 by default.

    Raises:
      TypeError: the dtype is not floating.

    Example:
      >>> cell = lj.mixed(lj.LSTM)
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> carry, ys = lj.unroll(cell, params, jnp.ones((5, 2, 3)))
      >>> carry.c.dtype, ys.dtype
      (dtype('float32'), dtype('float32'))

    References:
      Micikevicius et al. (2017), https://arxiv.org/abs/1710.03740
    """
    check_cell("cell", cell)
    check_floating("compute_dtype", compute_dtype)

    def in_half(op: Op, values: dict[int, Any]) -> list[Any]:
        if op.name != "dot_general":
            return evaluate(op, values)
        return [_product(op, values, compute_dtype)]

    in_the_same = partial(mixed, compute_dtype=compute_dtype)
    step = interpreted(cell.step, in_half)
    return like(cell, in_the_same, name=f"mixed({cell.name})", step=step)


def _product(op: Op, values: dict[int, Any], compute_dtype: Any) -> Array:
    left, right = (
        jnp.asarray(read(value, values)).astype(compute_dtype) for value in op.inputs
    )
    result: Any = op.eqn.outvars[0].aval
    return jax.lax.dot_general(
        left,
        right,
        op.eqn.params["dimension_numbers"],
        precision=op.eqn.params["precision"],
        preferred_element_type=result.dtype,
    )
