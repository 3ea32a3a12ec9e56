"""A batch with masks, lengths and resets, and every cell that runs over it."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import drawn_like
from problems import slow_but

import lstm_jax as lj

TIME, BATCH, INPUT, HIDDEN = 5, 3, 2, 4

# Rows are steps, columns examples. The first example begins anew at a step that does
# not count, between steps that do; the second at one that counts and beyond its end.
LENGTHS = np.array([5, 3, 0], np.int32)
MASK = np.array([[1, 0, 1], [0, 1, 1], [0, 1, 1], [1, 0, 1], [1, 0, 1]], bool)
RESETS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]], bool)
COUNTS = MASK & (np.arange(TIME)[:, None] < LENGTHS)


def masks(**changes):
    """Masks that change nothing, then `changes`; one structure, so one compilation."""
    every_step = {
        "lengths": np.full(BATCH, TIME, np.int32),
        "mask": np.ones((TIME, BATCH), bool),
        "resets": np.zeros((TIME, BATCH), bool),
    }
    return every_step | changes


def only(t):
    """True at step t alone."""
    return np.broadcast_to(np.arange(TIME)[:, None] == t, (TIME, BATCH))


EVERYTHING = masks(lengths=LENGTHS, mask=MASK, resets=RESETS)


class LeakyParams(NamedTuple):
    decay: Any
    w: Any
    start: Any


class LeakyCarry(NamedTuple):
    level: Any
    steps: Any


def leaky_init(key, input_size, hidden_size):
    w = jax.random.normal(key, (input_size, hidden_size))
    return LeakyParams(decay=0.9, w=w, start=jnp.ones(hidden_size))


def leaky_init_carry(params, batch_shape=()):
    level = jnp.broadcast_to(params.start, (*batch_shape, *params.start.shape))
    return LeakyCarry(level=level, steps=jnp.zeros(batch_shape, jnp.int32))


def leaky_step(params, carry, x):
    level = params.decay * carry.level + x @ params.w
    y = level.sum(-1, keepdims=True)
    return LeakyCarry(level=level, steps=carry.steps + 1), y


LEAKY = lj.Cell(
    name="leaky", init=leaky_init, init_carry=leaky_init_carry, step=leaky_step
)
"""A user's cell: it learns where it starts, counts its steps, and shows one number."""

# cells/test_cells.py runs the others against oracles.
CELLS = [lj.RNN, lj.LSTM, lj.FOUR_GATE]
EVERY_CELL = [*CELLS, LEAKY]
for_every_cell = pytest.mark.parametrize(  # one of ours and the user's; others slow
    "cell", slow_but([lj.LSTM, LEAKY], EVERY_CELL), ids=lambda cell: cell.name
)
both_ways = pytest.mark.parametrize(
    "reverse", [False, True], ids=["forwards", "in reverse"]
)


class Setting(NamedTuple):
    """What a run needs; no bias, no initial memory and no input is zero."""

    params: Any
    carry: Any
    xs: Any


def make_setting(cell, batch_shape=(BATCH,)):
    def shapes():
        params = cell.init(jax.random.key(0), INPUT, HIDDEN)
        xs = jnp.zeros((TIME, *batch_shape, INPUT), jnp.float32)
        return Setting(params, cell.init_carry(params, batch_shape), xs)

    drawn = drawn_like(jax.eval_shape(shapes), seed=1)
    return jax.tree.map(jax.device_put, drawn)


@partial(jax.jit, static_argnames="reverse")  # compiled once for each cell
def run(cell, params, xs, carry, masks, *, reverse=False):
    return lj.unroll(cell, params, xs, carry, **masks, reverse=reverse)


@partial(jax.jit, static_argnames="reverse")
def run_carries(cell, params, xs, carry, masks, *, reverse=False):
    return lj.unroll_carries(cell, params, xs, carry, **masks, reverse=reverse)


def differentiate(unroll, params, xs, carry):
    """Returns gradients of one loss of ys and the final carry, counters left out."""

    def loss(params, xs, carry):
        leaves = floating(unroll(params, xs, carry))
        return sum(jnp.vdot(jnp.cos(jnp.arange(1.0, 1 + a.size)), a) for a in leaves)

    gradients = jax.grad(loss, argnums=(0, 1, 2), allow_int=True)(params, xs, carry)
    return tuple(floating(gradients))


@partial(jax.jit, static_argnames="reverse")
def gradients_of_run(cell, params, xs, carry, masks, *, reverse=False):
    run_it = partial(run, cell, masks=masks, reverse=reverse)
    return differentiate(run_it, params, xs, carry)


def floating(tree):
    leaves = jax.tree.leaves(tree)
    return [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]


def assert_equal(got, wanted):
    """The same to the last bit."""
    jax.tree.map(np.testing.assert_array_equal, got, wanted)
