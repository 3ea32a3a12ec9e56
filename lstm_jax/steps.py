"""Steps: a sequence made ready for `scan`, every argument checked, every rule built in.

The rules for time, which every measurement shares:

* A step that does not count (`mask` False, or beyond `lengths`) holds the carry and
  emits zeros. Nothing is computed from its input, so NaN in the padding is harmless.
* A reset at t begins a new sequence at step t in time order, from `cell.init_carry`
  (not from the `carry` argument, which may come from an earlier piece), also where step
  t does not count. In reverse, the carry is therefore renewed after step t.
* Choices are made by `where`, never by multiplication: 0 * NaN is NaN.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Bool

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.checks import as_array, check_flag
from lstm_jax.scanning import described
from lstm_jax.types import Carry, Params
from lstm_jax.wrappers.keyed import Keyed


class Masks(TypedDict, total=False):
    """The keyword arguments of `unroll` that say which steps count, and which way."""

    lengths: ArrayLike | None
    mask: ArrayLike | None
    resets: ArrayLike | None
    reverse: bool


class Steps(NamedTuple):
    """A sequence made ready for `scan`: every argument checked, every rule built in.

    Attributes:
      step: `(params, carry, inputs_t) -> (carry, y)`.
      carry: what enters the first step.
      inputs: what the steps read, leaves (time, ...).
      reverse: whether the last step comes first.
    """

    step: Callable[[Params, Carry, Any], tuple[Carry, Any]]
    carry: Carry
    inputs: "StepInput"
    reverse: bool

    @property
    def time(self) -> int:
        """How many steps there are."""
        return jax.tree.leaves(self.inputs)[0].shape[0]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The batch axes of x."""
        x = self.inputs.x
        return (x.x if isinstance(x, Keyed) else x).shape[1:-1]


class StepInput(NamedTuple):
    """What one step reads; None where nobody asked for masks or resets."""

    x: Array | Keyed
    counts: Bool[Array, "*batch"] | None
    resets: Bool[Array, "*batch"] | None


def select(condition: Bool[Array, "*batch"], yes: Any, no: Any) -> Any:
    """Returns `yes` where the condition holds and `no` elsewhere, leaf by leaf."""

    def choose(a, b):
        trailing = tuple(range(condition.ndim, a.ndim))
        return jnp.where(jnp.expand_dims(condition, trailing), a, b)

    return jax.tree.map(choose, yes, no)


def prepare(
    cell: Cell,
    params: Params,
    xs: ArrayLike | Keyed,
    carry: Carry | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
) -> Steps:
    """Checks the arguments of `unroll` and builds the step that `scan` repeats.

    For functions that run the same sequence in another way (with probes, backwards);
    everybody else calls `unroll`.
    """
    check_cell("cell", cell)
    check_flag("reverse", reverse)
    _check_params(cell, params)
    x = _checked_inputs(xs)
    steps, batch_shape = x.shape[:-1], x.shape[1:-1]
    carry = _checked_carry(cell, params, carry, batch_shape)
    counts = _counting_steps(steps, lengths, mask)
    if resets is not None:
        resets = _checked_flags("resets", resets, steps)
    if counts is not None:
        x = jnp.where(counts[..., None], x, 0)
    step = _ruled_step(cell, batch_shape, reverse)
    inputs = StepInput(
        x=Keyed(x, xs.key) if isinstance(xs, Keyed) else x,
        counts=counts,
        resets=resets,
    )
    _check_step(cell, step, params, carry, inputs)
    return Steps(step=step, carry=carry, inputs=inputs, reverse=reverse)


# Cached, so that equal cells give one function and are compiled once.
@cache
def _ruled_step(cell: Cell, batch_shape: tuple[int, ...], reverse: bool) -> Callable:
    def renewed(params, resets, carry):
        if resets is None:
            return carry
        return select(resets, cell.init_carry(params, batch_shape), carry)

    def held(counts, new, carry, y):
        if counts is None:
            return new, y
        return select(counts, (new, y), (carry, jax.tree.map(jnp.zeros_like, y)))

    def step(params, carry, inputs):
        if not reverse:
            carry = renewed(params, inputs.resets, carry)
        new, y = cell.step(params, carry, inputs.x)
        carry, y = held(inputs.counts, new, carry, y)
        if reverse:
            carry = renewed(params, inputs.resets, carry)
        return carry, y

    return step


def _checked_inputs(xs: Any) -> Array:
    if isinstance(xs, Keyed):
        _check_keys(xs)
        xs = xs.x
    xs = as_array("xs", xs)
    if not jnp.issubdtype(xs.dtype, jnp.floating):
        raise TypeError(f"xs: dtype is {xs.dtype}; it must be floating")
    if xs.ndim < 2 or xs.shape[0] == 0:
        raise ValueError(
            f"xs: shape is {xs.shape}; it must be (time, *batch, input) with time >= 1"
        )
    return xs


def _check_params(cell: Cell, params: Params) -> None:
    """Refuses params of another cell, where a cell's types say what it wants."""
    wanted = getattr(cell.step, "__annotations__", {}).get("params")
    if not isinstance(wanted, type) or not hasattr(wanted, "_fields"):
        return
    if not isinstance(params, wanted):
        raise TypeError(
            f"params: got {type(params).__name__}; {cell.name!r} wants "
            f"{wanted.__name__}"
        )


def _check_keys(xs: Keyed) -> None:
    time = jnp.shape(xs.x)[:1]
    if not jnp.issubdtype(xs.key.dtype, jax.dtypes.prng_key) or xs.key.shape != time:
        raise ValueError(
            f"xs.key: got {jax.typeof(xs.key).str_short()}; it must hold one typed key "
            f"per step, shape {time}, as with_keys makes them"
        )


def starting_carry(cell: Cell, params: Params, xs: Any, carry: Carry | None) -> Carry:
    """Returns the carry that enters the first step: the one given, checked, or new."""
    return _checked_carry(cell, params, carry, _checked_inputs(xs).shape[1:-1])


def _checked_carry(
    cell: Cell, params: Params, carry: Carry | None, batch_shape: tuple[int, ...]
) -> Carry:
    fresh = cell.init_carry(params, batch_shape)
    if carry is None:
        return fresh
    given, wanted = described(carry), described(fresh)
    if given != wanted:
        raise ValueError(
            f"carry: got {given}; {cell.name!r} wants {wanted} for these params and xs"
        )
    return carry


def _counting_steps(
    steps: tuple[int, ...], lengths: ArrayLike | None, mask: ArrayLike | None
) -> Bool[Array, " time *batch"] | None:
    counts = None if mask is None else _checked_flags("mask", mask, steps)
    if lengths is None:
        return counts
    lengths = checked_lengths(lengths, steps)
    times = jnp.arange(steps[0]).reshape(-1, *(1 for _ in steps[1:]))
    within = times < lengths.astype(times.dtype)
    return within if counts is None else counts & within


def checked_lengths(lengths: ArrayLike, steps: tuple[int, ...]) -> Array:
    """Returns lengths for (time, *batch); refuses values where they are known."""
    time, *batch_shape = steps
    lengths = as_array("lengths", lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(f"lengths: dtype is {lengths.dtype}; it must be integer")
    if lengths.shape != tuple(batch_shape):
        raise ValueError(
            f"lengths: shape is {lengths.shape}; it must be {tuple(batch_shape)}, "
            "the batch axes of xs"
        )
    if not isinstance(lengths, Tracer):
        values = np.asarray(lengths)
        wrong = values[(values < 0) | (values > time)]
        if wrong.size:
            raise ValueError(
                f"lengths: found {wrong.flat[0]}; each must be in [0, {time}], "
                "the time axis of xs"
            )
    return lengths


def _checked_flags(name: str, flags: ArrayLike, steps: tuple[int, ...]) -> Array:
    flags = as_array(name, flags)
    if flags.dtype != jnp.bool_:
        raise TypeError(f"{name}: dtype is {flags.dtype}; it must be bool")
    if flags.shape != steps:
        raise ValueError(
            f"{name}: shape is {flags.shape}; it must be {steps}, (time, *batch) of xs"
        )
    return flags


def _check_step(
    cell: Cell, step: Callable, params: Params, carry: Carry, inputs: Any
) -> None:
    first = jax.tree.map(lambda leaf: leaf[0], inputs)
    after, _ = jax.eval_shape(step, params, carry, first)
    enters, leaves = described(carry), described(after)
    if enters != leaves:
        raise TypeError(
            f"carry: it enters a step of {cell.name!r} as {enters} and leaves it as "
            f"{leaves}; the two must agree (xs is {jax.tree.leaves(inputs.x)[0].dtype})"
        )
