"""unroll: a cell over a sequence; and the Python loop that defines what it means.

For what masks, lengths and resets do see `masking`, which builds it into the step.
"""

from functools import partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.associative import check_has_transition, run_as_tree
from lstm_jax.backward import cut_backward
from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.checks import check_choice, check_type, check_whole, shown
from lstm_jax.cudnn import check_cudnn, run_layer
from lstm_jax.engine.scanning import check_pieces
from lstm_jax.inputs import batch_shape_of, starting_carry, unbatched_leaves
from lstm_jax.masking import Masks, Steps, over_time, prepare, select, unless_idle
from lstm_jax.types import Carry, Params, Sequences


def unroll(
    cell: Cell,
    params: Params,
    xs: Sequences,
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

    If sequences end before the array does, ys[-1] is padding: read each one at its own
    last step,

        carry, ys = lj.unroll(cell, params, xs, lengths=lengths)
        last = lj.last_step(ys, lengths)

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
      checkpoint_every: store only the carry of every k-th step, see `scan`.
      scan_unroll: steps per iteration of the compiled loop.
      implementation: "auto" or "plain", see `scan`; "associative" for a cell that is
        linear in its state (`Cell.transition`): pieces of `checkpoint_every` steps,
        about sqrt(time) of them by default, are each run at once; "cudnn" for `lj.LSTM`
        in float32 on an NVIDIA GPU, with `lengths` but without mask, resets and
        checkpoints: it has no forward mode, no second derivatives and no `vmap`, and so
        is never chosen by "auto".

    Returns:
      The carry that leaves the last step run, and ys (time, *batch, output).

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument has a shape, structure or value that is not allowed.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> carry, ys = lj.unroll(lj.LSTM, params, xs)
      >>> ys.shape, carry.c.shape
      ((5, 2, 4), (2, 4))
      >>> carry, ys = lj.unroll(lj.LSTM, params, xs, lengths=jnp.array([5, 2]))
      >>> bool((ys[2:, 1] == 0).all())
      True
    """
    check_cell("cell", cell)
    check_whole("scan_unroll", scan_unroll, 1)
    if checkpoint_every is not None:
        check_whole("checkpoint_every", checkpoint_every, 1)
    masks = Masks(lengths=lengths, mask=mask, resets=resets, reverse=reverse)
    check_choice("implementation", implementation, IMPLEMENTATIONS)
    how = How(checkpoint_every, scan_unroll, implementation)
    return _unrolled(cell, params, xs, carry, masks, how)


IMPLEMENTATIONS = ("auto", "plain", "associative", "cudnn")


class How(NamedTuple):
    """The keyword arguments of `scan` that change no value."""

    checkpoint_every: int | None
    unroll: int
    implementation: str


def _unrolled(
    cell: Cell, params: Params, xs: Any, carry: Any, masks: Masks, how: How
) -> tuple[Carry, Any]:
    """Runs the step of the cell, or hands each part of a cell of cells to itself."""
    if cell.over is None:
        if how.implementation == "associative":
            check_has_transition(cell)
        if how.implementation == "cudnn":
            check_cudnn(cell, params, xs, masks, how.checkpoint_every)
        return _run_as_asked(cell, prepare(cell, params, xs, carry, **masks), how)

    def run(cell, params, xs, carry, reverse=False):
        turned: Masks = {**masks, "reverse": masks.get("reverse", False) != reverse}
        return _unrolled(cell, params, xs, carry, turned, how)

    return cell.over(run, params, xs, starting_carry(cell, params, xs, carry))


def _run_as_asked(cell: Cell, steps: Steps, how: How) -> tuple[Carry, Any]:
    if how.implementation == "associative":
        check_pieces(how.checkpoint_every, steps.time)
        return run_as_tree(cell, steps, how.checkpoint_every)
    if how.implementation == "cudnn":
        return run_layer(steps)
    return _run(steps, how)


# Compiled once per cell and shapes, also without a `jit` around it.
@partial(jax.jit, static_argnums=1)
def _run(steps: Steps, how: How) -> tuple[Carry, Any]:
    def run(steps):
        return over_time(steps, steps.step, steps.inputs, **how._asdict())

    return unless_idle(steps, run)


def unroll_truncated(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    *,
    window: int,
    **masks: Unpack[Masks],
) -> tuple[Carry, Any]:
    """Runs a cell over a sequence whose gradient does not leave its window.

    Values are those of `unroll`. Backwards, the carry that enters steps 0, window,
    2 window, ... (in reverse, the carry that leaves them) is a constant. The gradient
    is exact for a loss in which every window begins with a given carry: truncated
    back-propagation through time.

    A `window` has at least 1 step; the last one may be shorter. Other arguments, result
    and errors as for `unroll`.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> run = lambda xs: lj.unroll_truncated(lj.LSTM, params, xs, window=2)
      >>> gradient = jax.grad(lambda xs: run(xs)[1][-1].sum())(xs)
      >>> jnp.linalg.norm(gradient, axis=(1, 2)) > 0
      Array([False, False, False, False,  True], dtype=bool)

    References:
      Williams & Peng (1990), https://doi.org/10.1162/neco.1990.2.4.490
    """
    check_whole("window", window, 1)
    return _run_truncated(prepare(cell, params, xs, carry, **masks), window)


@partial(jax.jit, static_argnums=1)
def _run_truncated(steps: Steps, window: int) -> tuple[Carry, Any]:
    cuts = jnp.arange(steps.time) % window == 0

    def run(steps):
        def windowed(shared, carry, cut_and_inputs):
            cut, inputs = cut_and_inputs
            if not steps.reverse:
                carry = cut_backward(carry, cut)
            carry, y = steps.step(shared, carry, inputs)
            return (cut_backward(carry, cut) if steps.reverse else carry), y

        return over_time(steps, windowed, (cuts, steps.inputs))

    return unless_idle(steps, run)


def unroll_bidirectional(
    cells: tuple[Cell, ...],
    params: tuple[Params, ...],
    xs: Sequences,
    carry: tuple[Carry, ...] | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    resets: ArrayLike | None = None,
) -> tuple[tuple[Carry, ...], Any]:
    """Runs one cell forwards and another backwards over the same sequence.

    Padding is on the right for both: the backward cell begins at step lengths - 1.

    Args:
      cells: the forward and the backward one.
      params: of both.
      xs: (time, *batch, input), floating.
      carry: what enters their first steps; `init_carry` of each by default.
      lengths: as for `unroll`, and so are mask and resets.
      mask: (time, *batch) bool.
      resets: (time, *batch) bool.

    Returns:
      The two carries that leave their last steps, and ys (time, *batch, output), the
      forward cell's features first; errors as for `unroll`.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> cells, both = (lj.LSTM, lj.LSTM), (params, params)
      >>> _, ys = lj.unroll_bidirectional(cells, both, jnp.ones((5, 2, 3)))
      >>> ys.shape
      (5, 2, 8)

    References:
      Schuster & Paliwal (1997), https://doi.org/10.1109/78.650093
    """
    for name, pair in {"cells": cells, "params": params, "carry": carry}.items():
        if pair is not None:
            _check_pair(name, pair)
    starts = carry or (None, None)
    results = [
        unroll(
            cell,
            of_cell,
            xs,
            start,
            lengths=lengths,
            mask=mask,
            resets=resets,
            reverse=direction > 0,
        )
        for direction, (cell, of_cell, start) in enumerate(
            zip(cells, params, starts, strict=True)
        )
    ]
    carries, ys = zip(*results, strict=True)
    return carries, jax.tree.map(lambda *y: jnp.concatenate(y, axis=-1), *ys)


def _check_pair(name: str, pair: Any) -> None:
    """Refuses anything but a pair; the params of a single cell are a tuple too."""
    fields = getattr(pair, "_fields", ("forward", "backward"))
    wanted = "a pair, the forward cell's and the backward cell's"
    check_type(name, pair, tuple | list, wanted)
    if fields != ("forward", "backward"):
        raise TypeError(f"{name}: got {shown(pair)}; it must be {wanted}")
    if len(pair) != 2:
        raise ValueError(f"{name}: got {len(pair)} entries; it must be {wanted}")


def unroll_carries(
    cell: Cell,
    params: Params,
    xs: Sequences,
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

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> carries, ys = lj.unroll_carries(lj.LSTM, params, jnp.ones((5, 2, 3)))
      >>> carries.c.shape
      (5, 2, 4)
      >>> bool((carries.h == ys).all())
      True
    """
    return _run_showing_carries(prepare(cell, params, xs, carry, **masks), scan_unroll)


@partial(jax.jit, static_argnums=1)
def _run_showing_carries(steps: Steps, unroll: int) -> tuple[Carry, Any]:
    def run(steps):
        def showing_carry(shared, carry, inputs):
            carry, y = steps.step(shared, carry, inputs)
            return carry, (carry, y)

        return over_time(steps, showing_carry, steps.inputs, unroll=unroll)[1]

    return unless_idle(steps, run)


def unroll_reference(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Carry, Any]:
    """The same as `unroll` in a Python loop: slow, plain, the oracle of the tests.

    A step runs only for the elements of the batch that count. It shares nothing but
    `select` with `unroll`, checks nothing, and needs known masks, lengths and resets.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> _, ys = lj.unroll(lj.LSTM, params, xs)
      >>> _, by_hand = lj.unroll_reference(lj.LSTM, params, xs)
      >>> bool(jnp.allclose(ys, by_hand, atol=1e-6))
      True
    """
    xs = jax.tree.map(jnp.asarray, xs)
    batch_shape = batch_shape_of(cell, params, xs, carry)
    time = jax.tree.leaves(xs)[0].shape[0]
    counts = np.ones((time, *batch_shape), bool) if mask is None else np.array(mask)
    if lengths is not None:
        counts &= np.stack([t < np.asarray(lengths) for t in range(time)])
    begins = np.zeros_like(counts) if resets is None else np.asarray(resets)
    fresh = cell.init_carry(params, batch_shape)
    carry = fresh if carry is None else carry
    unbatched = unbatched_leaves(cell, params, batch_shape)
    ys: list[Any] = [None] * time
    for t in reversed(range(time)) if reverse else range(time):
        if begins[t].any() and not reverse:
            carry = select(jnp.asarray(begins[t]), fresh, carry)
        x = jax.tree.map(lambda leaf, t=t: leaf[t], xs)
        carry, ys[t] = _run_for(
            np.asarray(counts[t]), cell, params, carry, x, unbatched
        )
        if begins[t].any() and reverse:
            carry = select(jnp.asarray(begins[t]), fresh, carry)
    return carry, jax.tree.map(lambda *y: jnp.stack(y), *ys)


def _run_for(
    counts: np.ndarray,
    cell: Cell,
    params: Params,
    carry: Carry,
    x: Any,
    unbatched: tuple[bool, ...],
) -> tuple[Carry, Any]:
    """Returns carry and y of a step that only part of the batch takes."""
    if counts.all():
        return cell.step(params, carry, x)
    _, shape_of_y = jax.eval_shape(cell.step, params, carry, x)
    nothing = jax.tree.map(lambda y: jnp.zeros(y.shape, y.dtype), shape_of_y)
    if not counts.any():
        return carry, nothing
    leaves, structure = jax.tree.flatten(carry)
    flags = zip(leaves, unbatched, strict=True)
    some = structure.unflatten([leaf if one else leaf[counts] for leaf, one in flags])
    new, y = cell.step(params, some, jax.tree.map(lambda leaf: leaf[counts], x))
    moved = [
        after if one else before.at[counts].set(after)
        for before, after, one in zip(
            leaves, structure.flatten_up_to(new), unbatched, strict=True
        )
    ]
    shown = jax.tree.map(lambda all_of_it, y: all_of_it.at[counts].set(y), nothing, y)
    return structure.unflatten(moved), shown
