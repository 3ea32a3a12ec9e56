"""A sequence run as a tree: for cells that are linear in their state.

Steps (A_t, u_t) compose (`lstm_jax.cells.transitions`), so that all products of a piece
of k steps come from `jax.lax.associative_scan` in about 2 log2(k) rounds, each over the
whole piece at once. Pieces follow one another, and only the carry between two of them
is stored for the backward pass: memory O(time / k + k).

The rules for time are those of `masking`, built into the transition: a step that does
not count is the identity, and a reset forgets (A = 0).

References:
  Blelloch (1990), Prefix sums and their applications, CMU-CS-90-190
  Martin & Cundy (2018), https://arxiv.org/abs/1709.04057
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.transitions import Transition, advanced, composed
from lstm_jax.engine.pieces import in_pieces
from lstm_jax.inputs import without_keys
from lstm_jax.masking import StepInput, Steps, over_time, select, unless_idle
from lstm_jax.types import Carry


def check_has_transition(cell: Cell) -> None:
    """Refuses a cell that is not linear in its state, or does not say so."""
    if cell.transition is None:
        raise ValueError(
            f"implementation: got 'associative'; {cell.name!r} has no transition, "
            "which says that a cell is linear in its state: 'auto' runs it step by step"
        )


# Compiled once per cell and shapes, also without a `jit` around it.
@partial(jax.jit, static_argnums=(0, 2))
def run_as_tree(cell: Cell, steps: Steps, every: int | None) -> tuple[Carry, Any]:
    """Returns the carry that leaves the last step run, and ys, as `unroll` does.

    Args:
      cell: one with a transition.
      steps: its sequence.
      every: steps of a piece, in [1, time]; None for about the square root of time.
    """
    length = every or piece_length(steps.time)

    def run(steps):
        if steps.step is steps.idle:
            return over_time(steps, steps.step, steps.inputs)
        piece = partial(_piece, cell, steps)
        whole = (steps.carry, steps.inputs, steps.time, length, steps.reverse)
        return in_pieces(piece, *whole)

    return unless_idle(steps, run)


def piece_length(time: int) -> int:
    """Returns about sqrt(time); a divisor if one is near, which compiles once.

    Near is within a factor of two.
    """
    root = max(1, math.isqrt(time))
    near = [k for k in range(-(-root // 2), 2 * root + 1) if time % k == 0]
    return min(near, key=lambda k: abs(k - root), default=root)


def _piece(
    cell: Cell, steps: Steps, carry: Carry, inputs: StepInput, _: int
) -> tuple[Carry, Any]:
    """Runs the steps of a piece at once: products, then states, then what shows."""
    ruled = partial(_ruled, cell, steps)
    a, u = jax.lax.associative_scan(
        jax.vmap(composed), jax.vmap(ruled)(inputs), reverse=steps.reverse
    )
    leaving = jax.vmap(advanced, (0, 0, None))(a, u, carry)
    entering = jax.tree.map(partial(_entering, reverse=steps.reverse), carry, leaving)
    ys = jax.vmap(steps.step, (None, 0, 0))(steps.shared, entering, inputs)[1]
    last = 0 if steps.reverse else -1
    return jax.tree.map(lambda leaf: leaf[last], leaving), ys


def _ruled(cell: Cell, steps: Steps, inputs: StepInput) -> tuple[Transition, Carry]:
    """Returns the transition of a step with the rules of masks and resets built in."""
    params = steps.shared.params
    a, u = cell.transition(params, without_keys(inputs.x))  # pyright: ignore
    a = a.closed()
    nothing = jax.tree.map(jnp.zeros_like, u)
    if inputs.counts is not None:
        a = select(inputs.counts, a, a.identity())
        u = select(inputs.counts, u, nothing)
    if inputs.resets is not None:
        # Before the step, in time order: A fresh + u; in reverse after it: fresh.
        fresh = cell.init_carry(params, steps.batch_shape)
        renewed = fresh if steps.reverse else advanced(a, u, fresh)
        a = select(inputs.resets, jax.tree.map(jnp.zeros_like, a), a)
        u = select(inputs.resets, renewed, u)
    return a, u


def _entering(first: Any, leaving: Any, reverse: bool) -> Any:
    """Returns what enters each step: what leaves the one before, or the first carry."""
    if reverse:
        return jnp.concatenate([leaving[1:], first[None]])
    return jnp.concatenate([first[None], leaving[:-1]])
