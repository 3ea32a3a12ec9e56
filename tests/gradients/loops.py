"""What tests of gradients measure: cells, sequences, losses, and a loop by hand."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from problems import draw, make_params, slow_but

import lstm_jax as lj

TIME, INPUT, HIDDEN = 6, 3, 4
LONG = 10_000

# cells/test_cells.py compares the others with oracles.
CELLS = [lj.RNN, lj.LSTM, lj.FOUR_GATE]
every_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
one_cell = pytest.mark.parametrize(  # the one with two leaves; the others are slow
    "cell", slow_but([lj.LSTM], CELLS), ids=lambda cell: cell.name
)


def make_sequence(cell, batch=()):
    """Returns params, xs, and the weights of the loss, all random."""
    xs = draw(TIME, *batch, INPUT, seed=100)
    weights = draw(TIME, *batch, HIDDEN, seed=101)
    return make_params(cell), xs, weights


GRID = (2, 2)


def make_masks(**changes: Any) -> dict[str, Any]:
    """All the masks of a batch GRID; those that are not given change nothing."""
    return {
        "mask": np.ones((TIME, *GRID), bool),
        "resets": np.zeros((TIME, *GRID), bool),
        "lengths": np.full(GRID, TIME, np.int32),
        "reverse": False,
    } | changes


def at_step(*steps):
    """True at these steps of every sequence of GRID."""
    flags = np.isin(np.arange(TIME), steps)
    return np.broadcast_to(flags[:, None, None], (TIME, *GRID))


# Losses are pytrees, so that they pass through jit with the arrays they hold.


def weighted_loss(weights):
    """A loss in which no step is on its own; weights choose the steps that count."""
    return Partial(_weighted_sines, weights)


def _weighted_sines(weights, ys):
    return jnp.sqrt(1 + jnp.sum(weights * jnp.sin(ys)) ** 2)


def last_along(direction):
    return Partial(_last_along, direction)


def _last_along(direction, ys):
    return jnp.sum(ys[-1] * direction)


@Partial
def sum_of_last(ys):
    return jnp.sum(ys[-1])


slopes = jax.jit(lambda loss_fn, ys: jax.grad(loss_fn)(ys))


@partial(jax.jit, static_argnames="reverse")
def one_step(cell, params, carry, x, mask, resets, reverse):
    """Step t of the Python loop: the rules for time, written down once more."""

    def where(flags, yes, no):
        return jax.tree.map(lambda a, b: jnp.where(flags[..., None], a, b), yes, no)

    fresh = cell.init_carry(params, x.shape[:-1])
    if not reverse:
        carry = where(resets, fresh, carry)
    new, y = cell.step(params, carry, jnp.where(mask[..., None], x, 0))
    carry = where(mask, new, carry)
    if reverse:
        carry = where(resets, fresh, carry)
    return carry, jnp.where(mask[..., None], y, 0)


@partial(jax.jit, static_argnames="reverse")
def one_step_back(cell, params, carry, x, cotangents, **rules):
    step = lambda carry: one_step(cell, params, carry, x, **rules)
    return jax.vjp(step, carry)[1](cotangents)[0]


def adjoints_of_the_loop(cell, params, xs, loss_fns, carry=None, **masks):
    """One vjp for every step of the Python loop, chained by hand; for each loss.

    a_t = J_tᵀ a_{t+1} + C_tᵀ dL/dy_t, with J_t and C_t the Jacobians of carry and y.
    """
    xs, steps, reverse = np.asarray(xs), xs.shape[:-1], masks.get("reverse", False)
    counts = np.asarray(masks.get("mask", np.ones(steps, bool)))
    if "lengths" in masks:
        counts = counts & np.array([t < masks["lengths"] for t in range(TIME)])
    resets = np.asarray(masks.get("resets", np.zeros(steps, bool)))

    def inputs(t):
        rules = {"mask": counts[t], "resets": resets[t], "reverse": reverse}
        return (cell, params, entering[t], xs[t]), rules

    order = range(TIME)[:: -1 if reverse else 1]
    carry = cell.init_carry(params, steps[1:]) if carry is None else carry
    ys, entering = {}, {}
    for t in order:
        entering[t] = carry
        args, rules = inputs(t)
        carry, ys[t] = one_step(*args, **rules)

    def pulled_back(loss_fn):
        dys = np.asarray(slopes(loss_fn, np.stack([ys[t] for t in range(TIME)])))
        adjoint, entries = jax.tree.map(np.zeros_like, carry), {}
        for t in reversed(order):
            args, rules = inputs(t)
            adjoint = one_step_back(*args, (adjoint, dys[t]), **rules)
            entries[t] = adjoint
        return jax.tree.map(
            lambda *parts: np.stack(parts), *(entries[t] for t in range(TIME))
        )

    return [pulled_back(loss_fn) for loss_fn in loss_fns]


@partial(jax.jit, static_argnames=("measure", "reverse"))
def measured(measure, cell, params, xs, loss_fn, carry=None, **masks):
    """One of the laboratory's functions under jit: equal shapes share a compilation."""
    return measure(cell, params, xs, loss_fn, carry, **masks)


carry_gradients = partial(measured, lj.carry_gradients)
gradient_norms = partial(measured, lj.gradient_norms)
log_gradient_norms = partial(measured, lj.log_gradient_norms)


@jax.jit
def every_measure(cell, params, xs, loss_fn):
    """Gradients, norms and log-norms, of one program."""
    args = cell, params, xs, loss_fn
    return (
        lj.carry_gradients(*args),
        lj.gradient_norms(*args),
        lj.log_gradient_norms(*args),
    )


both_measures = pytest.mark.parametrize(
    "measure",
    [carry_gradients, log_gradient_norms],
    ids=["carry_gradients", "log_gradient_norms"],
)


def rnn_params(w_hh):
    """An RNN that reads nothing: zero w_ih for inputs of width 1, zero biases."""
    zeros = jnp.zeros((len(w_hh),), w_hh.dtype)
    return lj.RNNParams(w_ih=zeros[None], w_hh=w_hh, b=zeros)


def silence(time, batch=(), dtype: Any = jnp.float64):
    """Inputs that say nothing."""
    return jnp.zeros((time, *batch, 1), dtype)


def lags(time):
    """The number of Jacobians behind every entry: T - t."""
    return time - np.arange(time)


class Counting(NamedTuple):
    h: Any
    count: Any


class TwoLeaves(NamedTuple):
    fast: Any
    slow: Any
