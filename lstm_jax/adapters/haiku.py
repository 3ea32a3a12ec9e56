"""Recurrent cores of `haiku` as a `Cell`."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.adapters.modules import (
    batched,
    check_params,
    check_shape,
    check_width,
    in_dtype_of,
    library,
    memory_as_it_came,
    over_batch,
)
from lstm_jax.cells.cell import Cell, InputAxes
from lstm_jax.checks import check_function, check_type
from lstm_jax.factories import factory
from lstm_jax.types import Shape


@factory
def from_haiku(make: Callable[[], Any]) -> Cell:
    """Returns the `Cell` of a haiku core.

        cell = lj.from_haiku(lambda: hk.LSTM(64))
        params = cell.init(key, input_size, 64)
        carry, ys = lj.unroll(cell, params, xs)

    params are those of `hk.transform`, {"lstm/linear": {"w": ..., "b": ...}}; rename
    those of a trained model whose core is inside another module to what `init` returns.
    The carry is the core's own: LSTMState(hidden, cell) of hk.LSTM. Equal functions
    give equal cells: name the function and keep it if you call this more than once.

    In place of an hk.ResetCore, give the core inside it, and its flags to
    `lj.unroll(cell, params, xs, resets=flags)`.

    Args:
      make: makes the core, inside the transform; it has no state of its own and draws
        no random numbers. hidden_size of `init` is the width of its output. A core
        with an `input_shape` (height, width), as hk.Conv2DLSTM has, reads inputs
        (height, width, input_size).

    Raises:
      ImportError: haiku is not installed.
      TypeError: `make`, or what it returns, is of another kind; or an hk.ResetCore
        in it would read inputs without its flags.

    Example:
      >>> import haiku as hk
      >>> cell = lj.from_haiku(lambda: hk.LSTM(4))
      >>> params = cell.init(jax.random.key(0), 3, 4)
      >>> lj.unroll(cell, params, jnp.ones((5, 2, 3)))[1].shape
      (5, 2, 4)
    """
    check_function("make", make, "that makes a haiku core, as lambda: hk.LSTM(64)")
    haiku = library("haiku", "dm-haiku")

    def first_step(x):
        core = make()
        with haiku.intercept_methods(partial(_refuse_bare_resets, haiku.ResetCore)):
            return core(x, core.initial_state(None))

    first = haiku.without_apply_rng(haiku.transform(first_step))
    one_step = haiku.without_apply_rng(haiku.transform(lambda x, s: make()(x, s)))
    empty = haiku.without_apply_rng(haiku.transform(lambda: make().initial_state(None)))
    describe = haiku.testing.transform_and_run(lambda: _described(make(), haiku))
    name, space = describe()

    @cache
    def shapes(of_one):
        x = jnp.zeros(of_one)
        params = jax.eval_shape(lambda: first.init(jax.random.key(0), x))
        return params, jax.eval_shape(first.apply, params, x)[0]

    def init(key, input_size, hidden_size):
        of_one = (*space, input_size)
        _, y = shapes(of_one)
        check_width(name, "hidden_size", hidden_size, y.shape[-1])
        return first.init(key, jnp.zeros(of_one))

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
        shape = (*space, x.shape[-1])
        check_shape(name, x, shape)
        check_params(name, params, shapes(shape)[0])
        left, y = over_batch(of_one, x.ndim - len(shape))(params, carry, x)
        return memory_as_it_came(name, carry, left, y)

    return Cell(
        name=name,
        init=init,
        init_carry=init_carry,
        step=step,
        input_axes=InputAxes(None, (len(space) + 1,)) if space else None,
    )


def _described(core: Any, haiku: Any) -> tuple[str, Shape]:
    """Returns the name of a core and the axes of its inputs before the channels."""
    check_type("make", core, haiku.RNNCore, "a function that makes a haiku core")
    return type(core).__name__, tuple(getattr(core, "input_shape", ()))


def _refuse_bare_resets(
    kind: Any, call: Callable, arguments: tuple, options: dict, context: Any
) -> Any:
    """Refuses an array where a core would unpack it as inputs and flags."""
    called = isinstance(context.module, kind) and context.method_name == "__call__"
    if called and isinstance(arguments[0], jax.Array):
        raise TypeError(
            "make: got a ResetCore, which reads (x, flags); it must make the core "
            "inside, and lj.unroll(..., resets=flags) resets it"
        )
    return call(*arguments, **options)
