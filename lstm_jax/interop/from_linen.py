"""RNN cells of `flax.linen` as a `Cell`."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_whole, shown
from lstm_jax.interop.foreign import (
    axes_of,
    check_params,
    check_shape,
    check_width,
    in_dtype_of,
    library,
    memory_as_it_came,
)
from lstm_jax.types import Shape, at_least_float32


def from_linen(module: Any, input_shape: Shape | None = None) -> Cell:
    """Returns the `Cell` of a flax.linen RNN cell.

        cell = lj.from_linen(nn.LSTMCell(features=64))
        params = cell.init(key, input_size, 64)        or your own: module.init(...)
        carry, ys = lj.unroll(cell, params, xs)

    params are the variables of the module, {"params": {...}}, and the carry is the
    module's own: (c, h) of an LSTM cell. A random `carry_init` is drawn from one fixed
    key. Weights of half precision are drawn in float32 and rounded.

    The memory of an nn.ConvLSTMCell is as large as its images, which you give too:

        cell = lj.from_linen(nn.ConvLSTMCell(8, (3, 3)), input_shape=(28, 28, 1))
        params = cell.init(key, 1, 8)

    Args:
      module: an RNN cell of flax.linen, or one of your own with `initialize_carry`;
        hidden_size of `init` is its features.
      input_shape: of one input, (height, width, channels), where it has more than one
        axis.

    Raises:
      TypeError: the module is something else, or a size no whole number.
      ValueError: the module wants inputs of another number of axes.
    """
    linen = library("flax.linen", "flax")
    if not isinstance(module, linen.RNNCellBase):
        raise TypeError(
            f"module: got {shown(module)}; it must be an RNN cell of flax.linen, "
            "such as nn.LSTMCell(features=64)"
        )
    return _cell(module, _checked_shape(module, input_shape))


def _checked_shape(module: Any, input_shape: Shape | None) -> Shape | None:
    """Returns the shape of one input, None for one axis of any size."""
    try:
        axes = module.num_feature_axes
    except NotImplementedError:  # a cell of one's own need not say
        axes = 1 if input_shape is None else len(input_shape)
    if input_shape is None and axes == 1:
        return None
    if input_shape is None or len(input_shape) != axes:
        raise ValueError(
            f"input_shape: got {input_shape}; it must be the shape of one input of "
            f"{type(module).__name__}, with {axes} axes, the channels last"
        )
    return tuple(check_whole("input_shape", size, 1) for size in input_shape)


# Cached, so that equal modules give equal cells and are compiled once.
@cache
def _cell(module: Any, input_shape: Shape | None) -> Cell:
    name = type(module).__name__
    dtype = getattr(module, "param_dtype", jnp.float32)
    drawing = module
    if dtype != at_least_float32(dtype):  # in which nothing orthogonal can be drawn
        drawing = module.clone(param_dtype=at_least_float32(dtype))

    def empty(batch_shape):
        # Cells with one feature axis read nothing but the batch axes of this shape.
        of_one = (1,) if input_shape is None else input_shape
        return module.initialize_carry(jax.random.key(0), (*batch_shape, *of_one))

    def shape_of(input_size):
        if input_shape is None:
            return (input_size,)
        check_width(name, "input_size", input_size, input_shape[-1])
        return input_shape

    def begin(key, input_size):
        carry = empty(())
        x = jnp.zeros(shape_of(input_size), jax.tree.leaves(carry)[0].dtype)
        (_, y), params = drawing.init_with_output(key, carry, x)
        if drawing is not module:
            params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
        return y, params

    @cache
    def wanted(input_size):
        return jax.eval_shape(lambda: begin(jax.random.key(0), input_size))[1]

    def init(key, input_size, hidden_size):
        y, params = begin(key, input_size)
        check_width(name, "hidden_size", hidden_size, y.shape[-1])
        return params

    def init_carry(params, batch_shape=()):
        return in_dtype_of(params, empty(batch_shape))

    def step(params, carry, x):
        check_params(name, params, wanted(x.shape[-1]))
        check_shape(name, x, input_shape)
        return memory_as_it_came(name, carry, *module.apply(params, carry, x))

    return Cell(
        name=name,
        init=init,
        init_carry=init_carry,
        step=step,
        input_axes=axes_of(input_shape),
    )
