"""A bare function as a `Cell`."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.adapters.modules import not_given
from lstm_jax.cells.cell import Cell, InputAxes
from lstm_jax.checks import check_function
from lstm_jax.engine.shapes import shapes_of
from lstm_jax.factories import factory
from lstm_jax.types import Carry, Params


def from_function(
    step: Callable[[Params, Carry, Any], tuple[Carry, Any]],
    init_carry: Callable[[Params, tuple[int, ...]], Carry],
    init: Callable[..., Params] | None = None,
    *,
    input_axes: Any = None,
) -> Cell:
    """Returns the `Cell` of your own step function.

        def step(params, carry, x):
            h = jnp.tanh(x @ params["u"] + carry @ params["w"])
            return h, h

        def init_carry(params, batch_shape):
            return jnp.zeros((*batch_shape, len(params["w"])), params["w"].dtype)

        cell = lj.from_function(step, init_carry)

    x may be any pytree of arrays, integers among them. In a run its leaves are (time,
    *batch, ...), and `input_axes` says how many of the last axes belong to one element:

        lj.from_function(step, init_carry, input_axes={"image": 3, "word": 0})

    Equal functions give equal cells: keep yours if you call this more than once.

    Args:
      step: `(params, carry, x) -> (carry, y)` with x (*batch, input) and leaves of the
        carry (*batch, ...), for any number of batch axes. For one written for a single
        example, `jax.vmap(step, in_axes=(None, 0, 0))` adds one.
      init_carry: `(params, batch_shape) -> carry`, what enters the first step. Leaves
        are (*batch, ...); integers and keys may have no batch axes and are then the
        same for the whole batch.
      init: `(key, input_size, hidden_size) -> params`, to train from new weights.
      input_axes: axes of one element, one number for all leaves of x or a pytree of
        them; 1 by default, and 0 for leaves that hold integers. Where `unroll` is given
        a carry, the batch axes are those of the carry.

    Raises:
      TypeError: one of them can't be called.
      ValueError: a function has no hash, or input_axes holds anything but whole
        numbers from 0.

    Example:
      >>> step = lambda w, h, x: (0.5 * h + x @ w, h)
      >>> init_carry = lambda w, batch_shape: jnp.zeros((*batch_shape, w.shape[1]))
      >>> cell = lj.from_function(step, init_carry)
      >>> lj.unroll(cell, jnp.ones((3, 4)), jnp.ones((5, 2, 3)))[1].shape
      (5, 2, 4)
    """
    check_function("step", step, "(params, carry, x) -> (carry, y)")
    check_function("init_carry", init_carry, "(params, batch_shape) -> carry")
    if init is not None:
        check_function("init", init, "(key, input_size, hidden_size) -> params")
    functions = {"step": step, "init_carry": init_carry, "init": init}
    for name, function in functions.items():
        _check_hash(name, function)
    return _from_function(step, init_carry, init, _axes(input_axes))


def _axes(input_axes: Any) -> InputAxes:
    numbers, structure = jax.tree.flatten(input_axes)
    for number in numbers:
        if not isinstance(number, Integral) or number < 0:
            raise ValueError(
                f"input_axes: got {input_axes!r}; it must hold whole numbers from 0"
            )
    one = jax.tree_util.treedef_is_leaf(structure)
    return InputAxes(None if one or not numbers else structure, tuple(numbers))


def _check_hash(name: str, function: Callable | None) -> None:
    """Refuses a callable without a hash, by which its cell is found again."""
    try:
        hash(function)
    except TypeError as error:
        raise ValueError(
            f"{name}: got a {type(function).__name__}, which has no hash; it must have "
            "one, as functions do: cells of equal functions are compiled once"
        ) from error


# Beside `from_function`, so that every way of calling it returns the same cell.
@factory
def _from_function(
    step: Callable, init_carry: Callable, init: Callable | None, input_axes: InputAxes
) -> Cell:
    name = getattr(step, "__name__", type(step).__name__)

    def begin_one(params):
        return init_carry(params, ())

    def checked_carry(params, batch_shape=()):
        carry = init_carry(params, batch_shape)
        one = shapes_of(begin_one, params)
        for leaf, of_one in zip(*map(jax.tree.leaves, (carry, one)), strict=True):
            counts = not jnp.issubdtype(of_one.dtype, jnp.inexact)
            if counts and jnp.shape(leaf) == of_one.shape:
                continue
            if jnp.shape(leaf)[: len(batch_shape)] != tuple(batch_shape):
                raise ValueError(
                    f"init_carry: got a leaf of shape {jnp.shape(leaf)} for the "
                    f"batch_shape {tuple(batch_shape)}; it must be (*batch, ...); "
                    "counters and keys may have no batch axes"
                )
        return carry

    return Cell(
        name=name,
        init=not_given("from_function", "init") if init is None else init,
        init_carry=checked_carry,
        step=step,
        input_axes=input_axes,
    )
