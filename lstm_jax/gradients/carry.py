"""Gradients with respect to the memory at every step of a sequence.

Entry t of every result belongs to the carry that ENTERS step t, t = 0 .. T-1: it comes
back from step t and later. Its lag is T - t, the number of step Jacobians between it
and the carry that leaves the last step.

Two ways there: `carry_gradients` adds zeros to every carry and differentiates with
respect to these; the `log_*` functions walk back step by step (`adjoint`), with an
exponent beside every number.
"""

from collections.abc import Callable
from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_array
from lstm_jax.gradients.adjoint import StepBack, observed_on_the_way_back, way_back
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.slopes import with_exact_slopes
from lstm_jax.gradients.loss import LossFn, output_gradients
from lstm_jax.gradients.state import (
    inexact_leaves,
    inexact_structure,
    pulled_back,
    with_inexact_leaves,
)
from lstm_jax.masking import Masks, Steps, over_time, prepare, unless_idle
from lstm_jax.types import Carry, LogNorms, Params, Sequences


def carry_gradients(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Carry:
    """Returns dL/d(carry that enters step t) for every t, in one backward pass.

    A zero probe is added to the carry that enters each step; the gradient with respect
    to the probes is the result. Products run at the highest matmul precision.

    If sequences end before the array does, the loss must read them where they end, and
    `by_lag` aligns their last steps:

        def loss_fn(ys):
            return lj.last_step(ys, lengths).sum()

        norms = lj.log_gradient_norms(cell, params, xs, loss_fn, lengths=lengths)
        curves = lj.gradients.by_lag(norms, lengths)

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating.
      loss_fn: maps ys (time, *batch, output) to a real scalar.
      carry: what enters the first step; `cell.init_carry` by default.
      **masks: lengths, mask, resets, reverse, as for `unroll`; in reverse entry t still
        belongs to the carry that enters step t, and step t - 1 follows.

    Returns:
      The structure of the carry, leaves (time, *batch, ...); None in place of integer
      and key leaves, which have no gradient.

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument is not allowed, the loss is not a real scalar, or, if
        values are known, it reads only the padding of a sequence.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> gradients = lj.carry_gradients(lj.LSTM, params, xs, last)
      >>> gradients.h.shape, gradients.c.shape
      ((5, 2, 4), (5, 2, 4))

    References:
      Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063
    """
    steps = with_exact_slopes(prepare(cell, params, xs, carry, **masks))
    gradients = _carry_gradients(steps, loss_fn)
    return inexact_structure(steps.carry, gradients)


def _carry_gradients(steps: Steps, loss_fn: LossFn) -> list[Array]:
    with jax.default_matmul_precision("highest"):
        ys, pullback = _probed(steps)
        return pulled_back(pullback, output_gradients(loss_fn, ys, steps.inputs.counts))


@jax.jit
def _probed(steps: Steps) -> tuple[Any, Callable]:
    """Returns ys, and the pullback from dL/dys to the gradients of all probes."""

    def run(steps, probes):
        def probed_step(shared, carry, probed_inputs):
            probe, inputs = probed_inputs
            moved = jax.tree.map(jnp.add, inexact_leaves(carry), probe)
            return steps.step(shared, with_inexact_leaves(carry, moved), inputs)

        return over_time(steps, probed_step, (probes, steps.inputs))[1]

    probes = [
        jnp.stack([jnp.zeros_like(leaf)] * steps.time)
        for leaf in inexact_leaves(steps.carry)
    ]
    return jax.vjp(
        lambda probes: unless_idle(steps, lambda steps: run(steps, probes)), probes
    )


def gradient_norms(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Carry:
    """Returns ||dL/d(carry that enters step t)|| for every t and leaf of the carry.

    Arguments and errors as for `carry_gradients`. The norms are Euclidean, over all
    axes after the batch axes, and right as long as the gradients do not underflow;
    where they do, see `log_gradient_norms`.

    Returns:
      The structure of the carry, leaves (time, *batch).

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> norms = lj.gradient_norms(lj.LSTM, params, xs, last)
      >>> norms.c.shape
      (5, 2)
      >>> bool((norms.c[0] < norms.c[-1]).all())
      True
    """
    steps = with_exact_slopes(prepare(cell, params, xs, carry, **masks))
    gradients = _carry_gradients(steps, loss_fn)
    unit = jnp.zeros((steps.time, *steps.batch_shape), jnp.int32)
    norms = [
        jnp.exp(scaled.log_norm(scaled.rescale(gradient, unit)))
        for gradient in gradients
    ]
    return inexact_structure(steps.carry, norms)


def log_gradient_norms(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Carry:
    """Returns ln ||dL/d(carry that enters step t)||, even where the norm is 1e-3000.

    With a_t the adjoint of the carry that enters step t and J_t, C_t the Jacobians of
    the carry and of y that leave it,

        a_t = J_tᵀ a_{t+1} + C_tᵀ dL/dy_t

    is run backwards with one integer exponent per batch element and leaf of the carry,
    so that a leaf that fades by 0.5 per step is not lost beside one that fades by 0.99,
    and within a step with one for every number: the slopes of tanh and σ are right even
    where a float has 1 - tanh² = 0. Products run at the highest matmul precision.

    Arguments and errors as for `carry_gradients`.

    Returns:
      The structure of the carry, leaves (time, *batch), natural logarithms in float32
      at least; -inf where the gradient is zero; None in place of leaves without one.

    Example:
      >>> params = lj.RNN.init(jax.random.key(0), 3, 4, gain=0.1)
      >>> xs = jnp.ones((5000, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> log_norms = lj.log_gradient_norms(lj.RNN, params, xs, last)
      >>> bool((log_norms.h[0] < -10_000).all())
      True
    """
    way = way_back(prepare(cell, params, xs, carry, **masks), loss_fn)
    norms = observed_on_the_way_back(way, _log_norms)
    return inexact_structure(way.steps.carry, norms)


def _log_norms(_: Steps, at_t: StepBack) -> list[Array]:
    return [scaled.log_norm(adjoint) for adjoint in at_t.adjoints]


def joint_log_norms(log_norms: Carry) -> LogNorms:
    """Returns the log-norms of the whole carry, all leaves taken together.

    0.5 ln Σ_leaf exp(2 log_norm), computed without leaving the logarithms.

    Example:
      >>> three, four = jnp.log(jnp.full((5, 2), 3.0)), jnp.log(jnp.full((5, 2), 4.0))
      >>> log_norms = lj.LSTMCarry(h=three, c=four)
      >>> jnp.exp(lj.joint_log_norms(log_norms))[0].round(3)
      Array([5., 5.], dtype=float32)
    """
    leaves = jax.tree.leaves(log_norms)
    for leaf in leaves or [log_norms]:
        check_array("log_norms", leaf, "a carry of arrays (time, *batch)")
    return 0.5 * jax.nn.logsumexp(2 * jnp.stack(leaves), axis=0)
