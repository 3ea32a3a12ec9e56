"""unroll: a cell over a sequence; and the Python loop that says what it means.

The rules for time, which every measurement shares:

* A step that does not count (`mask` False, or beyond `lengths`) holds the carry and
  emits zeros. Nothing is computed from its input, so NaN in the padding is harmless.
* A reset at t begins a new sequence at step t in time order, from `cell.init_carry`
  (not from the `carry` argument, which may come from an earlier piece), also where step
  t does not count. In reverse, the carry is therefore renewed after step t.
* Choices are made by `where`, never by multiplication: 0 * NaN is NaN.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Bool

from lstm_jax.backward import cut_backward
from lstm_jax.cells.cell import Cell
from lstm_jax.scanning import described, scan
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


def unroll(
    cell: Cell,
    params: Params,
    xs: ArrayLike | Keyed,
    carry: Carry | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
    checkpoint_every: int | None = None,
    scan_unroll: int = 1,
    implementation: str = "auto",
) -> tuple[Carry, Any]:
    """Runs a cell over a sequence.

        carry = cell.init_carry(params, batch_shape)
        for t in range(time):
            carry, ys[t] = cell.step(params, carry, xs[t])
        return carry, ys

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating; or `Keyed(xs, keys)` of `with_keys` for a
        cell that draws random numbers.
      carry: what enters the first step; `cell.init_carry` by default.
      lengths: (*batch,) integers in [0, time]: steps at and beyond them do not count.
        Under `jit` their values cannot be refused and are clipped instead.
      mask: (time, *batch) bool, True where the step counts; and-ed with `lengths`.
      resets: (time, *batch) bool, True where step t begins a new sequence.
      reverse: from the last step to the first; ys stay in time order.
      checkpoint_every: stores the carry of every k-th step only, see `scan`.
      scan_unroll: steps per iteration of the compiled loop.
      implementation: "auto" or "plain", see `scan`.

    Returns:
      The carry that leaves the last step run, and ys (time, *batch, output).

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument has a shape, structure or value that is not allowed.
    """
    masks = Masks(lengths=lengths, mask=mask, resets=resets, reverse=reverse)
    how = How(checkpoint_every, scan_unroll, implementation)
    if cell.layers:
        return _unroll_layers(cell, params, xs, carry, masks, how)
    return _run(prepare(cell, params, xs, carry, **masks), params, how)


class How(NamedTuple):
    """The keyword arguments of `scan` that change no value."""

    checkpoint_every: int | None
    unroll: int
    implementation: str


def _unroll_layers(
    cell: Cell, params: Params, xs: Any, carry: Any, masks: Masks, how: How
) -> tuple[Carry, Any]:
    """Layer after layer: a whole layer's inputs are then known before it begins."""
    carries = _start(cell, params, xs, carry)
    leaving = []
    for layer, of_layer, entering in zip(cell.layers, params, carries, strict=True):
        left, xs = unroll(
            layer,
            of_layer,
            xs,
            entering,
            **masks,
            checkpoint_every=how.checkpoint_every,
            scan_unroll=how.unroll,
            implementation=how.implementation,
        )
        leaving.append(left)
    return tuple(leaving), xs


def _start(cell: Cell, params: Params, xs: Any, carry: Any) -> Any:
    return _checked_carry(cell, params, carry, _checked_inputs(xs).shape[1:-1])


def _run(steps: Steps, params: Params, how: How) -> tuple[Carry, Any]:
    return _compiled_scan(
        steps.step, params, steps.carry, steps.inputs, steps.reverse, how
    )


# Compiled once per cell and shapes, also when nobody put a `jit` around it.
@partial(jax.jit, static_argnums=(0, 4, 5), inline=True)
def _compiled_scan(
    step: Callable, params: Params, carry: Carry, inputs: Any, reverse: bool, how: How
) -> tuple[Carry, Any]:
    return scan(step, params, carry, inputs, reverse=reverse, **how._asdict())


def unroll_truncated(
    cell: Cell,
    params: Params,
    xs: ArrayLike | Keyed,
    carry: Carry | None = None,
    *,
    window: int,
    **masks: Unpack[Masks],
) -> tuple[Carry, Any]:
    """Runs a cell over a sequence whose gradient does not leave its window.

    Values are those of `unroll`. Backwards, the carry that enters steps 0, window,
    2 window, ... (in reverse: that leaves them) is a constant, so the gradient is the
    exact one of the loss in which every window begins with a given carry: truncated
    back-propagation through time.

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating.
      carry: what enters the first step; `cell.init_carry` by default.
      window: steps per window, at least 1; the last window may be shorter.
      **masks: lengths, mask, resets, reverse, as for `unroll`.

    Returns:
      As `unroll`.

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument has a shape, structure or value that is not allowed.

    References:
      Williams & Peng (1990), https://doi.org/10.1162/neco.1990.2.4.490
    """
    if window < 1:
        raise ValueError(f"window: got {window}; it must be at least 1")
    steps = prepare(cell, params, xs, carry, **masks)

    def windowed(params, carry, cut_and_inputs):
        cut, inputs = cut_and_inputs
        if not steps.reverse:
            carry = cut_backward(carry, cut)
        carry, y = steps.step(params, carry, inputs)
        return (cut_backward(carry, cut) if steps.reverse else carry), y

    cuts = jnp.arange(steps.time) % window == 0
    return scan(
        windowed, params, steps.carry, (cuts, steps.inputs), reverse=steps.reverse
    )


def unroll_bidirectional(
    cells: tuple[Cell, ...],
    params: tuple[Params, ...],
    xs: ArrayLike | Keyed,
    carry: tuple[Carry, ...] | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> tuple[tuple[Carry, ...], Any]:
    """Runs one cell forwards and another backwards over the same sequence.

    Padding is on the right for both: the backward cell begins at step lengths - 1.

    Args:
      cells: two, the forward and the backward one.
      params: of the two.
      xs: (time, *batch, input), floating.
      carry: what enters their first steps; `init_carry` of each by default.
      lengths: as for `unroll`.
      mask: as for `unroll`.

    Returns:
      The two carries that leave their last steps, and ys (time, *batch, output), the
      forward cell's features first.

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument has a shape, structure or value that is not allowed.

    References:
      Schuster & Paliwal (1997), https://doi.org/10.1109/78.650093
    """
    for name, pair in {"cells": cells, "params": params, "carry": carry}.items():
        if pair is not None and len(pair) != 2:
            raise ValueError(f"{name}: got {len(pair)} entries; it must be a pair")
    starts = carry or (None, None)
    results = [
        unroll(
            cell, of_cell, xs, start, lengths=lengths, mask=mask, reverse=direction > 0
        )
        for direction, (cell, of_cell, start) in enumerate(
            zip(cells, params, starts, strict=True)
        )
    ]
    carries, ys = zip(*results, strict=True)
    return carries, jax.tree.map(lambda *y: jnp.concatenate(y, axis=-1), *ys)


def unroll_carries(
    cell: Cell,
    params: Params,
    xs: ArrayLike | Keyed,
    carry: Carry | None = None,
    *,
    scan_unroll: int = 1,
    **masks: Unpack[Masks],
) -> tuple[Carry, Any]:
    """Runs a cell over a sequence and returns the carry of every step.

    Arguments and errors as for `unroll`.

    Returns:
      Carries with leaves (time, *batch, ...), entry t the one that LEAVES step t, and
      ys (time, *batch, output).
    """
    steps = prepare(cell, params, xs, carry, **masks)

    def showing_carry(params, carry, inputs):
        carry, y = steps.step(params, carry, inputs)
        return carry, (carry, y)

    _, observed = scan(
        showing_carry,
        params,
        steps.carry,
        steps.inputs,
        reverse=steps.reverse,
        unroll=scan_unroll,
    )
    return observed


def unroll_reference(
    cell: Cell,
    params: Params,
    xs: ArrayLike | Keyed,
    carry: Carry | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Carry, Any]:
    """The same as `unroll`, as a Python loop: slow, plain, the oracle of the tests.

    It shares nothing with `unroll` but `select`, and checks nothing.
    """
    xs = jnp.asarray(xs)
    time, batch_shape = xs.shape[0], xs.shape[1:-1]
    counts = jnp.ones((time, *batch_shape), bool) if mask is None else jnp.asarray(mask)
    if lengths is not None:
        beyond = [t >= jnp.asarray(lengths) for t in range(time)]
        counts = counts & ~jnp.stack(beyond)
    begins = jnp.zeros_like(counts) if resets is None else jnp.asarray(resets)
    fresh = cell.init_carry(params, batch_shape)
    carry = fresh if carry is None else carry
    ys: list[Any] = [None] * time
    for t in reversed(range(time)) if reverse else range(time):
        if not reverse:
            carry = select(begins[t], fresh, carry)
        x = jnp.where(counts[t][..., None], xs[t], 0)
        new, y = cell.step(params, carry, x)
        carry = select(counts[t], new, carry)
        ys[t] = jnp.where(counts[t][..., None], y, 0)
        if reverse:
            carry = select(begins[t], fresh, carry)
    return carry, jnp.stack(ys)


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
    xs = jnp.asarray(xs)
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
    lengths = _checked_lengths(lengths, steps)
    times = jnp.arange(steps[0]).reshape(-1, *(1 for _ in steps[1:]))
    within = times < lengths.astype(times.dtype)
    return within if counts is None else counts & within


def _checked_lengths(lengths: ArrayLike, steps: tuple[int, ...]) -> Array:
    time, *batch_shape = steps
    lengths = jnp.asarray(lengths)
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
    flags = jnp.asarray(flags)
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
