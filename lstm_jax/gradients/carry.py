"""Gradients with respect to the memory at every step of a sequence.

Entry t of every result belongs to the carry that ENTERS step t, t = 0 .. T-1: it is
what comes back from step t and later. Its lag is T - t, the number of step Jacobians
between it and the carry that leaves the last step.
"""

from collections.abc import Callable
from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.gradients import scaled
from lstm_jax.gradients.scaled import Scaled
from lstm_jax.scanning import scan
from lstm_jax.steps import Masks, Steps, prepare
from lstm_jax.types import Carry, LogNorms, Params

LossFn = Callable[[Any], Any]


def carry_gradients(
    cell: Cell,
    params: Params,
    xs: ArrayLike,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Carry:
    """Returns dL/d(carry that enters step t) for every t, in one backward pass.

    A zero probe is added to the carry that enters each step; the gradient with respect
    to the probes is the result. Products run at the highest matmul precision.

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating.
      loss_fn: maps ys (time, *batch, output) to a real scalar.
      carry: what enters the first step; `cell.init_carry` by default.
      **masks: lengths, mask, resets, reverse, as for `unroll`; in reverse entry t is
        still the carry that enters step t, now on its way to step t - 1.

    Returns:
      The structure of the carry, leaves (time, *batch, ...); None in place of integer
      and key leaves, which have no gradient.

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument is not allowed, or the loss is not a real scalar.

    References:
      Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063
    """
    steps = prepare(cell, params, xs, carry, **masks)
    probes = [
        jnp.zeros((steps.time, *leaf.shape), leaf.dtype)
        for leaf in _smooth_leaves(steps.carry)
    ]

    def loss(probes):
        def probed_step(params, carry, probed_inputs):
            probe, inputs = probed_inputs
            moved = jax.tree.map(jnp.add, _smooth_leaves(carry), probe)
            return steps.step(params, _with_smooth_leaves(carry, moved), inputs)

        _, ys = scan(
            probed_step,
            params,
            steps.carry,
            (probes, steps.inputs),
            reverse=steps.reverse,
        )
        return _checked_loss(loss_fn, ys)

    with jax.default_matmul_precision("highest"):
        gradients = jax.grad(loss)(probes)
    return _smooth_structure(steps.carry, gradients)


def gradient_norms(
    cell: Cell,
    params: Params,
    xs: ArrayLike,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Carry:
    """Returns ||dL/d(carry that enters step t)|| for every t and leaf of the carry.

    Arguments and errors as for `carry_gradients`. The norms are Euclidean, over all
    axes after the batch axes, and right as long as the gradients themselves do not
    underflow; beyond that, see `log_gradient_norms`.

    Returns:
      The structure of the carry, leaves (time, *batch).
    """
    gradients = carry_gradients(cell, params, xs, loss_fn, carry, **masks)
    batch_axes = jnp.ndim(xs) - 1

    def norm(gradient):
        unit = jnp.zeros(gradient.shape[:batch_axes], jnp.int32)
        return jnp.exp(scaled.log_norm(scaled.rescale(gradient, unit)))

    return jax.tree.map(norm, gradients)


def log_gradient_norms(
    cell: Cell,
    params: Params,
    xs: ArrayLike,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Carry:
    """Returns ln ||dL/d(carry that enters step t)||, also where the norm is 1e-3000.

    With a_t the adjoint of the carry that enters step t and J_t, C_t the Jacobians of
    the carry and of y that leave it,

        a_t = J_tᵀ a_{t+1} + C_tᵀ dL/dy_t

    is run backwards with one integer exponent per batch element and leaf of the carry
    (`Scaled`): each leaf is pulled back on its own and the parts are added after their
    exponents are aligned, so that a leaf that fades by 0.5 per step does not drown in
    one that fades by 0.99. Products run at the highest matmul precision.

    Arguments and errors as for `carry_gradients`.

    Returns:
      The structure of the carry, leaves (time, *batch), natural logarithms in float32
      at least; -inf where the gradient is zero; None in place of leaves without one.
    """
    steps = prepare(cell, params, xs, carry, **masks)
    with jax.default_matmul_precision("highest"):
        entering, ys = _entering_carries(steps, params)
        dys = jax.grad(lambda ys: _checked_loss(loss_fn, ys))(ys)
        return _adjoint_log_norms(steps, params, entering, dys)


def joint_log_norms(log_norms: Carry) -> LogNorms:
    """Returns the log-norms of the whole carry, all its leaves taken together.

    0.5 ln Σ_leaf exp(2 log_norm), computed without leaving the logarithms.
    """
    leaves = jnp.stack(jax.tree.leaves(log_norms))
    return 0.5 * jax.nn.logsumexp(2 * leaves, axis=0)


def _adjoint_log_norms(
    steps: Steps, params: Params, entering: Carry, dys: Array
) -> Carry:
    no_exponent = jnp.zeros(steps.batch_shape, jnp.int32)

    def step_back(_, adjoints, at_t):
        entering_t, inputs_t, dy_t = at_t

        def step(leaves):
            carry = _with_smooth_leaves(entering_t, leaves)
            carry, y = steps.step(params, carry, inputs_t)
            return [*_smooth_leaves(carry), y]

        _, pullback = jax.vjp(step, _smooth_leaves(entering_t))
        sources = [*adjoints, scaled.rescale(dy_t, no_exponent)]
        sent = [_pull_one(pullback, sources, k) for k in range(len(sources))]
        adjoints = [scaled.add(terms) for terms in zip(*sent, strict=True)]
        return adjoints, [scaled.log_norm(adjoint) for adjoint in adjoints]

    after_last = [
        scaled.rescale(jnp.zeros_like(leaf), no_exponent)
        for leaf in _smooth_leaves(steps.carry)
    ]
    _, norms = scan(
        step_back,
        (),
        after_last,
        (entering, steps.inputs, dys),
        reverse=not steps.reverse,
    )
    return _smooth_structure(steps.carry, norms)


def _pull_one(pullback: Callable, sources: list[Scaled], k: int) -> list[Scaled]:
    """Returns what source k sends to every leaf, the other sources being silent."""
    cotangents = [
        source.mantissa if j == k else jnp.zeros_like(source.mantissa)
        for j, source in enumerate(sources)
    ]
    (parts,) = pullback(cotangents)
    return [scaled.rescale(part, sources[k].exponent) for part in parts]


def _entering_carries(steps: Steps, params: Params) -> tuple[Carry, Array]:
    def showing_entry(params, carry, inputs):
        after, y = steps.step(params, carry, inputs)
        return after, (carry, y)

    _, observed = scan(
        showing_entry, params, steps.carry, steps.inputs, reverse=steps.reverse
    )
    return observed


def _is_smooth(leaf: Any) -> bool:
    """Whether a leaf has a gradient: integers and keys have none."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def _smooth_leaves(carry: Carry) -> list[Array]:
    return [leaf for leaf in jax.tree.leaves(carry) if _is_smooth(leaf)]


def _with_smooth_leaves(carry: Carry, leaves: list[Array]) -> Carry:
    """Returns the carry with other smooth leaves; the rest stays."""
    smooth = iter(leaves)
    return jax.tree.map(lambda leaf: next(smooth) if _is_smooth(leaf) else leaf, carry)


def _smooth_structure(carry: Carry, leaves: list[Array]) -> Carry:
    """Returns the leaves in the structure of the carry, None in place of the rest."""
    smooth = iter(leaves)
    return jax.tree.map(lambda leaf: next(smooth) if _is_smooth(leaf) else None, carry)


def _checked_loss(loss_fn: LossFn, ys: Any) -> Float[Array, ""]:
    loss = loss_fn(ys)
    if jnp.shape(loss) != () or not jnp.issubdtype(jnp.result_type(loss), jnp.floating):
        raise ValueError(
            f"loss_fn: it returned {jnp.result_type(loss)}{list(jnp.shape(loss))}; "
            "it must return one real number"
        )
    return loss
