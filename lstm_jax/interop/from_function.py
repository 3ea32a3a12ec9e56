"""A bare function as a `Cell`."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_function
from lstm_jax.interop.foreign import not_given
from lstm_jax.types import Carry, Params


def from_function(
    step: Callable[[Params, Carry, Any], tuple[Carry, Any]],
    init_carry: Callable[[Params, tuple[int, ...]], Carry],
    init: Callable[..., Params] | None = None,
) -> Cell:
    """Returns the `Cell` of your own step function.

        def step(params, carry, x):
            h = jnp.tanh(x @ params["u"] + carry @ params["w"])
            return h, h

        def init_carry(params, batch_shape):
            return jnp.zeros((*batch_shape, len(params["w"])), params["w"].dtype)

        cell = lj.from_function(step, init_carry)

    Equal functions give equal cells: keep yours, where you call this more than once.

    Args:
      step: `(params, carry, x) -> (carry, y)` with x (*batch, input) and leaves of the
        carry (*batch, ...), for any number of batch axes. One written for a single
        example is brought there by `jax.vmap(step, in_axes=(None, 0, 0))` for one.
      init_carry: `(params, batch_shape) -> carry`, what enters the first step.
      init: `(key, input_size, hidden_size) -> params`, to train from new weights.

    Raises:
      TypeError: one of them can't be called.
      ValueError: a function has no hash, so nobody can tell whether it is the same.
    """
    check_function("step", step, "(params, carry, x) -> (carry, y)")
    check_function("init_carry", init_carry, "(params, batch_shape) -> carry")
    if init is not None:
        check_function("init", init, "(key, input_size, hidden_size) -> params")
    functions = {"step": step, "init_carry": init_carry, "init": init}
    for name, function in functions.items():
        _check_hash(name, function)
    return _from_function(step, init_carry, init)


def _check_hash(name: str, function: Callable | None) -> None:
    """Refuses an object that can be called and not be found again, as a list."""
    try:
        hash(function)
    except TypeError as error:
        raise ValueError(
            f"{name}: got a {type(function).__name__}, which has no hash; it must have "
            "one, as functions do: cells of equal functions are compiled once"
        ) from error


# Beside `from_function`, so that every way of calling it returns the same cell.
@cache
def _from_function(step: Callable, init_carry: Callable, init: Callable | None) -> Cell:
    name = getattr(step, "__name__", type(step).__name__)

    def checked_carry(params, batch_shape=()):
        carry = init_carry(params, batch_shape)
        for leaf in jax.tree.leaves(carry):
            if jnp.shape(leaf)[: len(batch_shape)] != tuple(batch_shape):
                raise ValueError(
                    f"init_carry: got a leaf of shape {jnp.shape(leaf)} for the "
                    f"batch_shape {tuple(batch_shape)}; it must be (*batch, ...)"
                )
        return carry

    return Cell(
        name=name,
        init=not_given("from_function", "init") if init is None else init,
        init_carry=checked_carry,
        step=step,
    )
