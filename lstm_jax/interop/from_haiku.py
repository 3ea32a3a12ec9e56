"""Recurrent cores of `haiku` as a `Cell`."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_function, check_type
from lstm_jax.factories import factory
from lstm_jax.interop.foreign import (
    batched,
    check_params,
    check_width,
    in_dtype_of,
    library,
    over_batch,
)


@factory
def from_haiku(make: Callable[[], Any]) -> Cell:
    """Returns the `Cell` of a haiku core.

        cell = lj.from_haiku(lambda: hk.LSTM(64))
        params = cell.init(key, input_size, 64)
        carry, ys = lj.unroll(cell, params, xs)

    params are those of `hk.transform`, {"lstm/linear": {"w": ..., "b": ...}}; of a
    trained model whose core lies in another module, rename them to what `init` returns.
    The carry is the core's own: LSTMState(hidden, cell) of hk.LSTM. Equal functions
    give equal cells: name the function and keep it, where you call this more than once.

    Args:
      make: makes the core, inside the transform; it has no state of its own and draws
        no random numbers. hidden_size of `init` is the width of what it shows.

    Raises:
      ImportError: haiku is not installed.
      TypeError: what is given, or what it makes, is something else.
    """
    check_function("make", make, "that makes a haiku core, as lambda: hk.LSTM(64)")
    haiku = library("haiku", "dm-haiku")

    def first_step(x):
        core = make()
        return core(x, core.initial_state(None))

    first = haiku.without_apply_rng(haiku.transform(first_step))
    one_step = haiku.without_apply_rng(haiku.transform(lambda x, s: make()(x, s)))
    empty = haiku.without_apply_rng(haiku.transform(lambda: make().initial_state(None)))
    name = haiku.testing.transform_and_run(lambda: _checked(make(), haiku))()

    @cache
    def shapes(input_size):
        x = jnp.zeros((input_size,))
        params = jax.eval_shape(lambda: first.init(jax.random.key(0), x))
        return params, jax.eval_shape(first.apply, params, x)[0]

    def init(key, input_size, hidden_size):
        _, y = shapes(input_size)
        check_width(name, "hidden_size", hidden_size, y.shape[-1])
        return first.init(key, jnp.zeros((input_size,)))

    def init_carry(params, batch_shape=()):
        if not isinstance(params, Mapping):
            raise ValueError(
                f"params: got {type(params).__name__}; {name!r} wants the dictionary "
                "of hk.transform"
            )
        return in_dtype_of(params, batched(empty.apply(params), batch_shape))

    def of_one(params, carry, x):
        y, carry = one_step.apply(params, x, carry)
        return carry, y

    def step(params, carry, x):
        check_params(name, params, shapes(x.shape[-1])[0])
        return over_batch(of_one, x.ndim - 1)(params, carry, x)

    return Cell(name=name, init=init, init_carry=init_carry, step=step)


def _checked(core: Any, haiku: Any) -> str:
    """Returns the name of a core."""
    check_type("make", core, haiku.RNNCore, "a function that makes a haiku core")
    return type(core).__name__
