"""RNN cells of `flax.linen` as a `Cell`, and cells as modules of it."""

from functools import cache
from typing import Any, Unpack

import jax
import jax.numpy as jnp

from lstm_jax.adapters.modules import (
    check_params,
    check_shape,
    check_width,
    in_dtype_of,
    library,
    memory_as_it_came,
    with_noise_of,
)
from lstm_jax.cells.cell import Cell, InputAxes, check_cell
from lstm_jax.checks import check_type, check_whole
from lstm_jax.masking import Masks
from lstm_jax.types import Shape, at_least_float32
from lstm_jax.unrolling import unroll, unroll_carries


def from_linen(module: Any, space: Any = ()) -> Cell:
    """Returns the `Cell` of a flax.linen RNN cell.

        cell = lj.from_linen(nn.LSTMCell(features=64))
        params = cell.init(key, input_size, 64)        or your own: module.init(...)
        carry, ys = lj.unroll(cell, params, xs)

    params are the variables of the module, {"params": {...}}, and the carry is the
    module's own: (c, h) of an LSTM cell. A random `carry_init` is drawn from one fixed
    key. Weights of half precision are drawn in float32 and rounded.

    An nn.ConvLSTMCell remembers an image, whose height and width it has to know:

        cell = lj.from_linen(nn.ConvLSTMCell(8, (3, 3)), space=(28, 28))
        params = cell.init(key, channels, 8)
        carry, ys = lj.unroll(cell, params, xs)        (time, *batch, 28, 28, channels)

    Args:
      module: an RNN cell of flax.linen, or one of your own with `initialize_carry`;
        hidden_size of `init` is its features.
      space: axes of one input before its channels; none for most cells.

    Raises:
      TypeError: the module is of another kind, or a size is not a whole number.
      ValueError: the module reads inputs with another number of axes.

    Example:
      >>> import flax.linen as nn
      >>> cell = lj.from_linen(nn.LSTMCell(features=4))
      >>> params = cell.init(jax.random.key(0), 3, 4)
      >>> lj.unroll(cell, params, jnp.ones((5, 2, 3)))[1].shape
      (5, 2, 4)
    """
    linen = library("flax.linen", "flax")
    wanted = "an RNN cell of flax.linen, such as nn.LSTMCell(features=64)"
    check_type("module", module, linen.RNNCellBase, wanted)
    return _cell(module, _checked_space(module, space))


def _checked_space(module: Any, space: Any) -> Shape:
    """Returns the checked axes of one input before its channels."""
    check_type("space", space, tuple | list, "a tuple, such as (28, 28)")
    try:
        wanted = module.num_feature_axes - 1
    except NotImplementedError:  # your own cell need not define it
        wanted = len(space)
    if len(space) != wanted:
        raise ValueError(
            f"space: got {tuple(space)}; it must have {wanted} sizes, of the axes that "
            f"one input of {type(module).__name__} has before its channels"
        )
    return tuple(check_whole("space", size, 1) for size in space)


# Cached, so that equal modules give equal cells and are compiled once.
@cache
def _cell(module: Any, space: Shape) -> Cell:
    name = type(module).__name__
    dtype = getattr(module, "param_dtype", jnp.float32)
    drawing = module
    if dtype != at_least_float32(dtype):  # orthogonal weights need float32 at least
        drawing = module.clone(param_dtype=at_least_float32(dtype))

    def empty(module, batch_shape=()):
        # Cells read only the axes before the channels from this shape.
        return module.initialize_carry(jax.random.key(0), (*batch_shape, *space, 1))

    def begin(key, input_size):
        carry = empty(drawing)
        x = jnp.zeros((*space, input_size), jax.tree.leaves(carry)[0].dtype)
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
        return in_dtype_of(params, empty(module, batch_shape))

    def step(params, carry, x):
        check_params(name, params, wanted(x.shape[-1]))
        check_shape(name, x, (*space, x.shape[-1]))
        return memory_as_it_came(name, carry, *module.apply(params, carry, x))

    return Cell(
        name=name,
        init=init,
        init_carry=init_carry,
        step=step,
        input_axes=InputAxes(None, (len(space) + 1,)) if space else None,
    )


def to_linen(cell: Cell) -> Any:
    """Returns a class of flax.linen modules that run the cell over sequences.

        layer = lj.adapters.to_linen(lj.LSTM)(features=64)
        variables = layer.init(key, xs)                 xs (time, batch, input)
        carry, ys = layer.apply(variables, xs, lengths=lengths)
        carries, ys = layer.apply(variables, xs, method="carries")

    A call `(xs, carry=None, **masks)` is `lj.unroll` with its lengths, mask, resets and
    reverse, and `carries` is `lj.unroll_carries`, the memory of every step. variables
    are {"params": {"cell": params}} with the params of the cell, so those of this
    library go in as they are. A cell that draws random numbers, such as
    `lj.cells.zoneout`, draws them where `apply` has rngs={"dropout": key}, and runs as
    in evaluation where it has none. Both directions are two layers, one called with
    reverse=True. Fields: features, the hidden size, and init_options, the keyword
    options of `cell.init`.

    Args:
      cell: any.

    Raises:
      ImportError: flax is not installed.
      TypeError: it is no cell; those of linen need none of this.

    Example:
      >>> layer = lj.adapters.to_linen(lj.LSTM)(features=4)
      >>> variables = layer.init(jax.random.key(0), jnp.ones((5, 2, 3)))
      >>> xs, lengths = jnp.ones((5, 2, 3)), jnp.array([5, 2])
      >>> carries, ys = layer.apply(variables, xs, lengths=lengths, method="carries")
      >>> carries.c.shape
      (5, 2, 4)
    """
    check_cell("cell", cell)
    return _layer(cell)


@cache
def _layer(cell: Cell) -> Any:
    linen = library("flax.linen", "flax")

    class Layer(linen.Module):
        features: int
        init_options: Any = None

        @linen.compact
        def _parts(self, xs):
            options = dict(self.init_options or {})
            sizes = xs.shape[-1], self.features
            params = self.param("cell", lambda key: cell.init(key, *sizes, **options))
            key = self.make_rng("dropout") if self.has_rng("dropout") else None
            of_run, xs = with_noise_of(key, cell, xs)
            return of_run, params, xs

        def __call__(self, xs, carry=None, **masks: Unpack[Masks]):
            of_run, params, xs = self._parts(xs)
            return unroll(of_run, params, xs, carry, **masks)

        def carries(self, xs, carry=None, **masks: Unpack[Masks]):
            of_run, params, xs = self._parts(xs)
            return unroll_carries(of_run, params, xs, carry, **masks)

    return Layer
