"""Steps: a sequence prepared for `scan`, every argument checked, every rule built in.

The rules for time, which every measurement shares:

* A step that does not count (`mask` False, or beyond `lengths`) holds the carry and
  emits zeros. There the cell gets a stand-in, the carry and input of the first step of
  the batch that counts, and its results are dropped: NaN in the padding is harmless,
  and so is a cell without a derivative at an input of zeros. If no step of the batch
  counts, the cell is not run at all (`unless_idle`).
* A reset at t begins a new sequence at step t in time order, from `cell.init_carry`
  (not from the `carry` argument, which may come from an earlier piece), even if step t
  does not count. In reverse, the carry is therefore renewed after step t.
* A leaf of the carry without batch axes, such as a counter, belongs to the whole batch:
  it moves on at every step that counts for at least one sequence.
* Choices are made by `where`, never by multiplication: 0 * NaN is NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Bool

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.checks import as_array, check_flag
from lstm_jax.engine.carry_types import check_kept, with_weak_types_promoted
from lstm_jax.engine.placing import cond, cut_alike, spread_like
from lstm_jax.engine.scanning import first_entries, scan
from lstm_jax.engine.shapes import shapes_of, with_params_kept
from lstm_jax.inputs import (
    batch_shape_of,
    check_params,
    checked_carry,
    checked_inputs,
    is_key,
    unbatched_leaves,
    with_inputs,
    without_keys,
)
from lstm_jax.types import Carry, Params, Sequences, Shape


class Masks(TypedDict, total=False):
    """The arguments of `unroll` that say which steps count, and in which direction."""

    lengths: ArrayLike | None
    mask: ArrayLike | None
    resets: ArrayLike | None
    reverse: bool


class Shared(NamedTuple):
    """What every step reads: params, and the carry that stands in for held ones."""

    params: Params
    stand_in: Carry | None


class StepInput(NamedTuple):
    """What one step reads; None where no masks or resets were given."""

    x: Any
    counts: Bool[Array, "*batch"] | None
    resets: Bool[Array, "*batch"] | None


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["shared", "carry", "inputs"],
    meta_fields=["step", "idle", "reverse", "batch_shape"],
)
@dataclass(frozen=True, kw_only=True)
class Steps:
    """A sequence prepared for `scan`: every argument checked, every rule built in.

    A pytree of arrays, so that it passes through `jit`; equal cells share one trace.

    Attributes:
      step: `(shared, carry, inputs_t) -> (carry, y)`.
      idle: a step that holds the carry and emits zeros.
      shared: what every step reads.
      carry: what enters the first step.
      inputs: what the steps read, leaves (time, ...).
      reverse: whether the last step runs first.
      batch_shape: the batch axes of x.
    """

    step: Callable[[Shared, Carry, Any], tuple[Carry, Any]]
    idle: Callable[[Shared, Carry, Any], tuple[Carry, Any]]
    shared: Shared
    carry: Carry
    inputs: StepInput
    reverse: bool
    batch_shape: Shape

    @property
    def time(self) -> int:
        """How many steps there are."""
        return jax.tree.leaves(self.inputs)[0].shape[0]


def unless_idle(steps: Steps, run: Callable[[Steps], Any]) -> Any:
    """Returns `run(steps)`, without running the cell if no step of the batch counts."""
    if steps.inputs.counts is None:
        return run(steps)
    idle = replace(steps, step=steps.idle)
    some = jnp.any(steps.inputs.counts)
    return cond(some, lambda: run(steps), lambda: run(idle))


def over_time(
    steps: Steps, step: Callable, inputs: Any, **how: Any
) -> tuple[Carry, Any]:
    """Returns `scan` of a step like `steps.step`, from the first carry on."""
    return scan(step, steps.shared, steps.carry, inputs, reverse=steps.reverse, **how)


def select(
    condition: Bool[Array, "*batch"],
    yes: Any,
    no: Any,
    unbatched: tuple[bool, ...] | None = None,
) -> Any:
    """Returns `yes` where the condition holds and `no` elsewhere, leaf by leaf.

    Leaves are (*batch, ...); those of `no` may lack batch axes. `unbatched` says which
    leaves belong to the whole batch: they are `yes` if the condition holds anywhere.
    """

    def choose(a, b, is_unbatched):
        if is_unbatched:
            return jnp.where(jnp.any(condition), a, b)
        a = jnp.asarray(a)
        trailing = tuple(range(condition.ndim, a.ndim))
        there = jnp.broadcast_to(jnp.expand_dims(condition, trailing), a.shape)
        return jnp.where(*cut_alike(there, a, jnp.broadcast_to(b, a.shape)))

    leaves, structure = jax.tree.flatten(yes)
    flags = [False] * len(leaves) if unbatched is None else unbatched
    chosen = map(choose, leaves, structure.flatten_up_to(no), flags)
    return structure.unflatten(chosen)


def prepare(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
) -> Steps:
    """Checks the arguments of `unroll` and builds the step that `scan` repeats.

    For functions that run the sequence in another way (with probes, backwards).
    """
    check_cell("cell", cell)
    check_flag("reverse", reverse)
    check_params(cell, params)
    xs = checked_inputs(cell, xs)
    batch_shape = batch_shape_of(cell, params, xs, carry)
    unbatched = unbatched_leaves(cell, params, batch_shape)
    carry = checked_carry(cell, params, carry, batch_shape)
    time = jax.tree.leaves(without_keys(xs))[0].shape[0]
    counts = _counting_steps((time, *batch_shape), lengths, mask)
    if resets is not None:
        resets = _checked_flags("resets", resets, (time, *batch_shape))
        _check_renewable(cell, carry, unbatched)
    step = _ruled_step(cell, batch_shape, unbatched, reverse)
    shared, inputs = Shared(params, None), StepInput(xs, counts, resets)
    carry = _settled(cell, step, shared, carry, inputs)
    steps = Steps(
        step=step,
        shared=shared,
        carry=carry,
        inputs=inputs,
        reverse=reverse,
        batch_shape=batch_shape,
        idle=_ruled_step(_idle(cell), batch_shape, unbatched, reverse),
    )
    return steps if counts is None else _with_stand_ins(cell, steps, unbatched)


# Cached, so that equal cells give one function and are compiled once.
@cache
def _ruled_step(
    cell: Cell,
    batch_shape: Shape,
    unbatched: tuple[bool, ...],
    reverse: bool,
) -> Callable:
    def renewed(params, resets, carry):
        if resets is None:
            return carry
        return select(resets, cell.init_carry(params, batch_shape), carry)

    def step(shared, carry, inputs):
        if not reverse:
            carry = renewed(shared.params, inputs.resets, carry)
        shown = carry
        if shared.stand_in is not None:
            shown = select(inputs.counts, carry, shared.stand_in, unbatched)
        new, y = with_params_kept(cell.step, shared.params, shown, inputs.x)
        if inputs.counts is not None:
            new = select(inputs.counts, new, carry, unbatched)
            y = select(inputs.counts, y, jax.tree.map(jnp.zeros_like, y))
        if reverse:
            new = renewed(shared.params, inputs.resets, new)
        return new, y

    return step


@cache
def _idle(cell: Cell) -> Cell:
    def step(params, carry, x):
        _, y = shapes_of(cell.step, params, carry, x)
        return carry, jax.tree.map(jnp.zeros_like, y)

    return replace(cell, step=step)


# What the cell reads at a step that does not count.


def _with_stand_ins(cell: Cell, steps: Steps, unbatched: tuple[bool, ...]) -> Steps:
    """Returns steps that read the first pair that counts wherever a step doesn't.

    No derivative flows through a stand-in: its results are dropped.
    """
    counts: Any = steps.inputs.counts
    first, element = _first_that_counts(counts, steps.reverse)
    carry = _carry_at(cell, steps, first)
    batch_axes = counts.ndim - 1

    def of_carry(leaf, is_unbatched):
        if is_unbatched or is_key(leaf):
            return leaf
        return _of_element(leaf, element)

    def of_input(leaf):
        row = _of_element(
            jax.lax.dynamic_index_in_dim(leaf, first, keepdims=False), element
        )
        shown = jax.lax.stop_gradient(
            jnp.expand_dims(row, tuple(range(1 + batch_axes)))
        )
        trailing = tuple(range(counts.ndim, leaf.ndim))
        return jnp.where(jnp.expand_dims(counts, trailing), leaf, shown)

    leaves, structure = jax.tree.flatten(carry)
    stand_in = structure.unflatten(map(of_carry, leaves, unbatched))
    x = jax.tree.map(of_input, without_keys(steps.inputs.x))
    return replace(
        steps,
        shared=steps.shared._replace(stand_in=jax.lax.stop_gradient(stand_in)),
        inputs=steps.inputs._replace(x=with_inputs(steps.inputs.x, x)),
    )


def _first_that_counts(counts: Array, reverse: bool) -> tuple[Array, Array]:
    """Returns the first step to run that counts, and one element that counts there.

    The element is (*batch) bool, True once: an index would have to be looked up along
    axes that may be sharded.
    """
    batch = tuple(range(1, counts.ndim))
    some = jnp.any(counts, axis=batch)
    last = counts.shape[0] - 1 - jnp.argmax(some[::-1])
    first = last if reverse else jnp.argmax(some)
    counting = jax.lax.dynamic_index_in_dim(counts, first, keepdims=False)
    places = jnp.zeros(counting.shape, jnp.int32)
    for axis, size in enumerate(counting.shape):
        places = places * size + jax.lax.broadcasted_iota(
            jnp.int32, counting.shape, axis
        )
    lowest = jnp.min(jnp.where(counting, places, counting.size), initial=counting.size)
    return first, places == lowest


def _carry_at(cell: Cell, steps: Steps, first: Array) -> Carry:
    """Returns the carry that enters the first step that counts: the first, or new."""
    if steps.inputs.resets is None:
        return steps.carry
    times = jnp.arange(steps.time).reshape(-1, *(1 for _ in steps.batch_shape))
    before = times > first if steps.reverse else times <= first
    renewed = jnp.any(steps.inputs.resets & before, axis=0)
    fresh = cell.init_carry(steps.shared.params, steps.batch_shape)
    return select(renewed, fresh, steps.carry)


def _of_element(leaf: Array, element: Bool[Array, "*batch"]) -> Array:
    """Returns the entry of one element of the batch; zeros if there is none."""
    batch = tuple(range(element.ndim))
    there = jnp.expand_dims(element, tuple(range(element.ndim, leaf.ndim)))
    if leaf.dtype == jnp.bool_:
        return jnp.any(there & leaf, axis=batch)
    return jnp.sum(jnp.where(there, leaf, 0), axis=batch, dtype=leaf.dtype)


# Checks


def _check_renewable(cell: Cell, carry: Carry, unbatched: tuple[bool, ...]) -> None:
    """Refuses resets of single sequences if a leaf belongs to the whole batch."""
    paths = jax.tree_util.tree_leaves_with_path(carry)
    for (path, _), is_unbatched in zip(paths, unbatched, strict=True):
        if is_unbatched:
            leaf = jax.tree_util.keystr(path)
            raise ValueError(
                f"resets: they were given, but leaf {leaf} of the carry of "
                f"{cell.name!r} has no batch axes to renew"
            )


def _settled(
    cell: Cell, step: Callable, shared: Shared, carry: Carry, inputs: StepInput
) -> Carry:
    """Returns the carry with the dtypes and devices it has when it leaves a step."""
    first = first_entries(inputs)

    def leaving(carry):
        return shapes_of(step, shared, carry, first)[0]

    carry = with_weak_types_promoted(carry, leaving(carry))
    carry = spread_like(carry, leaving(carry))
    check_kept(carry, leaving(carry), f"a step of {cell.name!r}")
    return carry


def _counting_steps(
    steps: Shape, lengths: ArrayLike | None, mask: ArrayLike | None
) -> Bool[Array, " time *batch"] | None:
    counts = None if mask is None else _checked_flags("mask", mask, steps)
    if lengths is None:
        return counts
    lengths = checked_lengths(lengths, steps)
    times = jnp.arange(steps[0]).reshape(-1, *(1 for _ in steps[1:]))
    within = times < lengths.astype(times.dtype)[None]
    return within if counts is None else counts & within


def checked_lengths(lengths: ArrayLike, steps: Shape) -> Array:
    """Returns lengths for (time, *batch); checks their values if they are known."""
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


def _checked_flags(name: str, flags: ArrayLike, steps: Shape) -> Array:
    flags = as_array(name, flags)
    if flags.dtype != jnp.bool_:
        raise TypeError(f"{name}: dtype is {flags.dtype}; it must be bool")
    if flags.shape != steps:
        raise ValueError(
            f"{name}: shape is {flags.shape}; it must be {steps}, (time, *batch) of xs"
        )
    return flags
