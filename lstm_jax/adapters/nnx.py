"""RNN cells of `flax.nnx` as a `Cell`."""

from collections.abc import Callable
from typing import Any

import jax

from lstm_jax.adapters.modules import (
    check_params,
    check_width,
    in_dtype_of,
    library,
    memory_as_it_came,
    not_given,
)
from lstm_jax.cells.cell import Cell, check_input
from lstm_jax.checks import check_type


def from_nnx(module: Any, make: Callable[[Any], Any] | None = None) -> Cell:
    """Returns the `Cell` of a flax.nnx RNN cell; its weights stay in your hands.

        module = nnx.LSTMCell(3, 64, rngs=nnx.Rngs(0))            perhaps trained
        cell, params = lj.from_nnx(module), nnx.state(module, nnx.Param)
        carry, ys = lj.unroll(cell, params, xs)

    or the module itself for params, which `nnx.grad` differentiates.
    The carry is the module's own: (c, h) of an LSTM cell. All but its `nnx.Param`s is
    fixed. Call it once and keep the cell: another call gives another
    cell, which is compiled anew.

    Args:
      module: an RNN cell of flax.nnx, or one of your own with `initialize_carry`.
      make: `key -> module` of the same sizes, such as
        `lambda key: nnx.LSTMCell(3, 64, rngs=nnx.Rngs(key))`; `init` calls it, to
        train from new weights.

    Raises:
      TypeError: the module is of another kind.

    Example:
      >>> from flax import nnx
      >>> module = nnx.GRUCell(3, 4, rngs=nnx.Rngs(0))
      >>> cell, params = lj.from_nnx(module), nnx.state(module, nnx.Param)
      >>> lj.unroll(cell, params, jnp.ones((5, 2, 3)))[1].shape
      (5, 2, 4)
    """
    nnx = library("flax.nnx", "flax")
    wanted = "an RNN cell of flax.nnx, such as nnx.LSTMCell(3, 64, rngs=nnx.Rngs(0))"
    check_type("module", module, nnx.RNNCellBase, wanted)
    graph, own, rest = nnx.split(module, nnx.Param, ...)
    name, shapes = type(module).__name__, jax.eval_shape(lambda: own)

    def own_of(params):
        module = isinstance(params, nnx.Module)
        params = nnx.state(params, nnx.Param) if module else params
        check_params(name, params, shapes)
        return params

    def with_params(params):
        # Copied into this trace: a state of another trace can't be written to.
        return nnx.merge(graph, params, jax.tree.map(lambda leaf: leaf, rest))

    draw = not_given("from_nnx", "make") if make is None else make

    def init(key, input_size, hidden_size):
        # Your own cell may keep its sizes under other names, or not at all.
        fixed = getattr(module, "in_features", input_size)
        check_width(name, "input_size", input_size, fixed)
        fixed = getattr(module, "hidden_features", hidden_size)
        check_width(name, "hidden_size", hidden_size, fixed)
        params = nnx.state(draw(key), nnx.Param)
        check_params(name, params, shapes)
        return params

    def init_carry(params, batch_shape=()):
        params = own_of(params)
        empty = with_params(params).initialize_carry((*batch_shape, 1), nnx.Rngs(0))
        return in_dtype_of(params, empty)

    def step(params, carry, x):
        params = own_of(params)
        check_input(x, getattr(module, "in_features", x.shape[-1]))
        return memory_as_it_came(name, carry, *with_params(params)(carry, x))

    return Cell(
        name=name,
        init=init,
        init_carry=init_carry,
        step=step,
    )
