"""How much what a cell shows depends on each of its parameters, at every step.

A backward pass gives the derivative of one loss by all parameters; here it is the other
way round: the derivative of all outputs by one parameter, which a loss of any later
step would meet. It can grow where no gradient explodes (`lj.theory.sensitivity`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_choice, check_type, check_whole
from lstm_jax.engine.scanning import scan
from lstm_jax.gradients.exponents.slopes import with_exact_slopes
from lstm_jax.gradients.state import inexact_leaves, with_inexact_leaves
from lstm_jax.masking import Masks, Steps, prepare, unless_idle
from lstm_jax.types import Carry, Params, Sequences, at_least_float32


def sensitivities(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    *,
    of: str | Sequence[str] | None = None,
    runs_at_once: int = 16,
    **masks: Unpack[Masks],
) -> Params:
    """Returns E[(dh_t/dθ)²] for every step t and every number θ in params.

    h_t is what the cell shows at step t, its output y_t: the memory itself for an RNN,
    a GRU or a minGRU, o * tanh(c) for an LSTM, a mix of its units for an LRU. For a
    part of the carry, measure a cell that shows it: `dataclasses.replace` its step by
    one that returns (carry, carry.c). The mean is over the batch and over all numbers
    of y_t, so a θ that one unit of n hears counts 1/n. θ is the same at all steps up to
    t, and in a first carry that the cell makes of its params.

    dh/dθ runs forwards beside the carry, by `jax.jvp`, one run for every θ. Only the
    means are kept: it takes the memory of `runs_at_once` carries, and time numbers for
    each θ; the cost is as many runs as there are θ. Products run at the highest matmul
    precision.

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating.
      carry: what enters the first step; `cell.init_carry` by default.
      of: which leaves of params: "b", ("w_hh", "b"), "0.b" of a stack, "0" for all of
        its first layer. By default all that are floating.
      runs_at_once: how many θ run side by side; more take more memory, and less time.
      **masks: lengths, mask, resets, reverse, as for `unroll`. The mean is over the
        sequences whose step t counts; 0 where none does.

    Returns:
      The structure of params, leaves (time, *leaf), in float32 at least; None in place
      of the leaves that are not asked for.

    Raises:
      TypeError: an argument has a type or dtype that is not allowed.
      ValueError: an argument is not allowed, such as a name that params don't have.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> found = lj.gradients.sensitivities(lj.LSTM, params, xs, of="b")
      >>> found.b.shape, found.w_hh
      ((5, 16), None)

    References:
      Zucchet & Orvieto (2024), https://arxiv.org/abs/2405.21064
    """
    check_whole("runs_at_once", runs_at_once, 1)
    steps = with_exact_slopes(prepare(cell, params, xs, carry, **masks))
    leaves, structure = jax.tree.flatten(params)
    chosen = _chosen(params, of)
    with jax.default_matmul_precision("highest"):
        start = cell if carry is None else None
        squares = _mean_squares(steps, start, chosen, runs_at_once)
    parts = dict(zip(chosen, squares, strict=True))
    return structure.unflatten(parts.get(k) for k in range(len(leaves)))


def _chosen(params: Params, of: Any) -> tuple[int, ...]:
    """Returns the numbers of the leaves that `of` names; refuses what has no slope."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    names = [jax.tree_util.keystr(p, simple=True, separator=".") for p, _ in leaves]
    types = [jnp.result_type(leaf) for _, leaf in leaves]
    if of is None:
        floating = [jnp.issubdtype(dtype, jnp.inexact) for dtype in types]
        found = [k for k, is_floating in enumerate(floating) if is_floating]
    else:
        check_type("of", of, str | tuple | list, "a name of a leaf, or several")
        several = [of] if isinstance(of, str) else of
        found = [k for name in several for k in _under(name, names)]
    if not found:
        raise ValueError(f"of: got {of}; it must name one of {', '.join(names)}")
    for k in found:
        if not jnp.issubdtype(types[k], jnp.floating):
            raise TypeError(f"of: leaf {names[k]} is {types[k]}; it must be floating")
    return tuple(sorted(set(found)))


def _under(name: Any, names: list[str]) -> list[int]:
    """Returns the leaves of that name, or under it; refuses a name without any."""
    found = [k for k, leaf in enumerate(names) if f"{leaf}.".startswith(f"{name}.")]
    if not found:
        check_choice("of", name, names)
    return found


@partial(jax.jit, static_argnums=(1, 2, 3))
def _mean_squares(
    steps: Steps, start: Cell | None, chosen: tuple[int, ...], runs_at_once: int
) -> list[Float[Array, " time ..."]]:
    """Returns the mean squares for every leaf chosen, (time, *leaf).

    `start` is the cell, if the first carry is the one that it makes of the params.
    """
    at = _leaves(steps.shared.params, chosen)
    total = sum(leaf.size for leaf in at)

    def along(number: Array) -> Float[Array, " time"]:
        parts = zip(_apart(jnp.arange(total) == number, at), at, strict=True)
        direction = [part.astype(leaf.dtype) for part, leaf in parts]
        begin = _first_slope(steps, start, chosen, direction)
        run = partial(_run_along, chosen=chosen, direction=direction, begin=begin)
        return unless_idle(steps, run)

    at_once = min(runs_at_once, total)
    numbers = jnp.arange(-(-total // at_once) * at_once)  # the last may be none's
    squares = jax.lax.map(along, numbers, batch_size=at_once)
    return _apart(squares[:total].T, at)


def _run_along(
    steps: Steps, chosen: tuple[int, ...], direction: list[Array], begin: list[Array]
) -> Float[Array, " time"]:
    """Returns the mean square of every y_t's slope, as params move in a direction."""
    params = steps.shared.params

    def step(_, state, inputs):
        carry, slope = state

        def outputs(values, leaves):
            shared = steps.shared._replace(params=_with(params, chosen, values))
            entering = with_inexact_leaves(carry, leaves)
            after, y = steps.step(shared, entering, inputs)
            return (inexact_leaves(after), inexact_leaves(y)), after

        point = _leaves(params, chosen), inexact_leaves(carry)
        _, (slope, dy), after = jax.jvp(
            outputs, point, (direction, slope), has_aux=True
        )
        return (after, slope), _mean_square(dy, inputs.counts)

    state = steps.carry, begin
    return scan(step, (), state, steps.inputs, reverse=steps.reverse)[1]


def _first_slope(
    steps: Steps, start: Cell | None, chosen: tuple[int, ...], direction: list[Array]
) -> list[Array]:
    """Returns the slope of the carry that enters the first step."""
    params, leaves = steps.shared.params, inexact_leaves(steps.carry)
    if start is None:
        return [jnp.zeros_like(leaf) for leaf in leaves]

    def entering(values):
        made = start.init_carry(_with(params, chosen, values), steps.batch_shape)
        pairs = zip(inexact_leaves(made), leaves, strict=True)
        return [leaf.astype(kept.dtype) for leaf, kept in pairs]

    return jax.jvp(entering, (_leaves(params, chosen),), (direction,))[1]


def _mean_square(slopes: list[Array], counts: Array | None) -> Float[Array, ""]:
    """Returns the mean of |slope|² over the elements that count and their numbers."""
    if not slopes:
        raise ValueError("cell: its output has no floating number; it must have one")
    wide = [leaf.astype(at_least_float32(leaf.dtype)) for leaf in slopes]
    squares: Any = sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in wide)
    numbers = sum(leaf.size for leaf in slopes)
    share = 1.0 if counts is None else jnp.mean(counts, dtype=squares.dtype)
    return squares / (numbers * jnp.where(share > 0, share, 1))


def _leaves(params: Params, chosen: tuple[int, ...]) -> list[Array]:
    leaves = jax.tree.leaves(params)
    return [jnp.asarray(leaves[k]) for k in chosen]


def _with(params: Params, chosen: tuple[int, ...], values: list[Array]) -> Params:
    """Returns the params with other values of the chosen leaves."""
    leaves, structure = jax.tree.flatten(params)
    for k, value in zip(chosen, values, strict=True):
        leaves[k] = value
    return structure.unflatten(leaves)


def _apart(flat: Array, like: list[Array]) -> list[Array]:
    """Returns the last axis cut into leaves, (..., *leaf)."""
    ends = np.cumsum([leaf.size for leaf in like])[:-1]
    parts = zip(jnp.split(flat, ends, axis=-1), like, strict=True)
    return [part.reshape(*flat.shape[:-1], *leaf.shape) for part, leaf in parts]
