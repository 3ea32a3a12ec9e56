"""RNN cells of `flax.nnx` as a `Cell`, and cells as modules of it."""

from collections.abc import Callable
from functools import cache
from typing import Any, Unpack

import jax

from lstm_jax.adapters.modules import (
    check_params,
    check_width,
    in_dtype_of,
    library,
    memory_as_it_came,
    not_given,
    with_noise_of,
)
from lstm_jax.cells.cell import Cell, check_cell, check_input
from lstm_jax.checks import check_type
from lstm_jax.masking import Masks
from lstm_jax.unrolling import unroll, unroll_carries


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


def to_nnx(cell: Cell) -> Any:
    """Returns a class of flax.nnx modules that run the cell over sequences.

        layer = lj.adapters.to_nnx(lj.LSTM)(3, 64, rngs=nnx.Rngs(0))
        carry, ys = layer(xs, lengths=lengths)           xs (time, batch, input)
        carries, ys = layer.carries(xs)

    A call `(xs, carry=None, *, rngs=None, **masks)` is `lj.unroll` with its lengths,
    mask, resets and reverse, and `carries` is `lj.unroll_carries`, the memory of every
    step. layer.cell are the params of the cell, an nnx.Param each. A cell that draws
    random numbers, such as `lj.cells.zoneout`, draws them from rngs.dropout(), and runs
    as in evaluation without rngs. Both directions are two layers, one called with
    reverse=True. A module is made by `(in_features, hidden_features, *, rngs,
    init_options=None)`, the last being keyword options of `cell.init`.

    Args:
      cell: any.

    Raises:
      ImportError: flax is not installed.
      TypeError: it is no cell; those of nnx need none of this.

    Example:
      >>> from flax import nnx
      >>> layer = lj.adapters.to_nnx(lj.LSTM)(3, 4, rngs=nnx.Rngs(0))
      >>> xs, lengths = jnp.ones((5, 2, 3)), jnp.array([5, 2])
      >>> carries, ys = layer.carries(xs, lengths=lengths)
      >>> carries.c.shape
      (5, 2, 4)
    """
    check_cell("cell", cell)
    return _layer(cell)


@cache
def _layer(cell: Cell) -> Any:
    nnx = library("flax.nnx", "flax")

    class Layer(nnx.Module):
        def __init__(self, in_features, hidden_features, *, rngs, init_options=None):
            options = dict(init_options or {})
            params = cell.init(rngs.params(), in_features, hidden_features, **options)
            self.cell = nnx.data(jax.tree.map(nnx.Param, params))

        def _parts(self, xs, rngs):
            is_param = lambda node: isinstance(node, nnx.Param)
            params = jax.tree.map(lambda p: p[...], self.cell, is_leaf=is_param)
            key = None if rngs is None else rngs.dropout()
            of_run, xs = with_noise_of(key, cell, xs)
            return of_run, params, xs

        def __call__(self, xs, carry=None, *, rngs=None, **masks: Unpack[Masks]):
            return unroll(*self._parts(xs, rngs), carry, **masks)

        def carries(self, xs, carry=None, *, rngs=None, **masks: Unpack[Masks]):
            return unroll_carries(*self._parts(xs, rngs), carry, **masks)

    return Layer
