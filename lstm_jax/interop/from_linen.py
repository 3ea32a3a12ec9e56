"""RNN cells of `flax.linen` as a `Cell`."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import shown
from lstm_jax.interop.foreign import check_params, check_width, in_dtype_of, library


def from_linen(module: Any) -> Cell:
    """Returns the `Cell` of a flax.linen RNN cell.

        cell = lj.from_linen(nn.LSTMCell(features=64))
        params = cell.init(key, input_size, 64)        or your own: module.init(...)
        carry, ys = lj.unroll(cell, params, xs)

    params are the variables of the module, {"params": {...}}, and the carry is the
    module's own: (c, h) of an LSTM cell. A random `carry_init` is drawn from one fixed
    key.

    Args:
      module: an RNN cell of flax.linen, or one of your own with `initialize_carry`,
        whose inputs have one feature axis; hidden_size of `init` is its features.

    Raises:
      TypeError: the module is something else.
    """
    linen = library("flax.linen", "flax")
    if not isinstance(module, linen.RNNCellBase):
        raise TypeError(
            f"module: got {shown(module)}; it must be an RNN cell of flax.linen, "
            "such as nn.LSTMCell(features=64)"
        )
    return _cell(module)


# Cached, so that equal modules give equal cells and are compiled once.
@cache
def _cell(module: Any) -> Cell:
    name = type(module).__name__

    def empty(batch_shape):
        # Cells with one feature axis read nothing but the batch axes of this shape.
        return module.initialize_carry(jax.random.key(0), (*batch_shape, 1))

    def begin(key, input_size):
        carry = empty(())
        x = jnp.zeros((input_size,), jax.tree.leaves(carry)[0].dtype)
        return module.init_with_output(key, carry, x)

    @cache
    def wanted(input_size):
        return jax.eval_shape(lambda: begin(jax.random.key(0), input_size))[1]

    def init(key, input_size, hidden_size):
        (_, y), params = begin(key, input_size)
        check_width(name, "hidden_size", hidden_size, y.shape[-1])
        return params

    def init_carry(params, batch_shape=()):
        return in_dtype_of(params, empty(batch_shape))

    def step(params, carry, x):
        check_params(name, params, wanted(x.shape[-1]))
        return module.apply(params, carry, x)

    return Cell(name=name, init=init, init_carry=init_carry, step=step)
