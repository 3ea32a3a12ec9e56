"""LSTMCell and GRUCell of `equinox.nn` as a `Cell`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.adapters.modules import (
    batched,
    check_params,
    check_width,
    in_dtype_of,
    library,
    memory_as_it_came,
    not_given,
    over_batch,
)
from lstm_jax.cells.cell import Cell, check_input
from lstm_jax.checks import check_type


def from_equinox(module: Any, make: Callable[[Any], Any] | None = None) -> Cell:
    """Returns the `Cell` of an equinox cell; its weights stay in your hands.

        module = eqx.nn.LSTMCell(3, 64, key=key)                  perhaps trained
        cell, params = lj.from_equinox(module), eqx.filter(module, eqx.is_inexact_array)
        carry, ys = lj.unroll(cell, params, xs)

    The carry is the module's own: (h, c) of an LSTMCell, h of a GRUCell; y is h. The
    cell serves any number of batch axes, by vmap. Call it once and keep the cell:
    another call gives another cell, which is compiled anew.

    Args:
      module: an `equinox.nn.LSTMCell` or `GRUCell`. Your own goes through
        `from_function`, which is told how its memory begins.
      make: `key -> module` of the same sizes, such as
        `lambda key: eqx.nn.LSTMCell(3, 64, key=key)`; `init` calls it, to train from
        new weights.

    Raises:
      ImportError: equinox is not installed.
      TypeError: the module is of another kind.

    Example:
      >>> import equinox as eqx
      >>> module = eqx.nn.GRUCell(3, 4, key=jax.random.key(0))
      >>> cell = lj.from_equinox(module)
      >>> params = eqx.filter(module, eqx.is_inexact_array)
      >>> lj.unroll(cell, params, jnp.ones((5, 2, 3)))[1].shape
      (5, 2, 4)
    """
    eqx = library("equinox", "equinox")
    wanted = "an equinox.nn.LSTMCell or GRUCell; lj.from_function takes any other"
    check_type("module", module, eqx.nn.LSTMCell | eqx.nn.GRUCell, wanted)
    name, two = type(module).__name__, isinstance(module, eqx.nn.LSTMCell)
    own, rest = eqx.partition(module, eqx.is_inexact_array)
    shapes = jax.eval_shape(lambda: own)

    draw = not_given("from_equinox", "make") if make is None else make

    def init(key, input_size, hidden_size):
        check_width(name, "input_size", input_size, module.input_size)
        check_width(name, "hidden_size", hidden_size, module.hidden_size)
        params = eqx.filter(draw(key), eqx.is_inexact_array)
        check_params(name, params, shapes)
        return params

    def init_carry(params, batch_shape=()):
        check_params(name, params, shapes)
        h = jnp.zeros((module.hidden_size,))
        return in_dtype_of(params, batched((h, h) if two else h, batch_shape))

    def of_one(params, carry, x):
        carry = eqx.combine(params, rest)(x, carry)
        return carry, carry[0] if two else carry

    def step(params, carry, x):
        check_params(name, params, shapes)
        check_input(x, module.input_size)
        left, y = over_batch(of_one, x.ndim - 1)(params, carry, x)
        return memory_as_it_came(name, carry, left, y)

    return Cell(
        name=name,
        init=init,
        init_carry=init_carry,
        step=step,
    )
