"""The gradient of every single unit of a memory, as a logarithm that cannot underflow.

The units of one memory may fade apart, as those of an IndRNN do, each by its own
weight. So every number of the carry has an integer exponent of its own, where
`log_gradient_norms` has one for a whole leaf.
"""

import math
from collections.abc import Callable
from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from lstm_jax.cells.cell import Cell
from lstm_jax.gradients import scaled
from lstm_jax.gradients.adjoint import step_outputs
from lstm_jax.gradients.reading import LossFn, output_gradients
from lstm_jax.gradients.scaled import Scaled
from lstm_jax.gradients.smooth import (
    entering_carries,
    smooth_leaves,
    smooth_structure,
    with_smooth_leaves,
)
from lstm_jax.scanning import scan
from lstm_jax.steps import Masks, Steps, prepare
from lstm_jax.types import Carry, Params


def log_gradients(
    cell: Cell,
    params: Params,
    xs: ArrayLike,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Carry:
    """Returns ln |dL/d(carry that enters step t)| of every unit, also below 1e-3000.

    With a_t the adjoint of the carry that enters step t and J_t, C_t the Jacobians of
    the carry and of y that leave it,

        a_t[j] = Σ_i J_t[i, j] a_{t+1}[i] + Σ_k C_t[k, j] dL/dy_t[k]

    is run backwards with an integer exponent for every unit and batch element: each
    unit's adjoint, and each number of dL/dy_t, is pulled back on its own, and the parts
    are added after their exponents are aligned. A unit that fades by 0.1 per step comes
    out right beside one that stays. That is as much work as the Jacobians of all steps,
    J_t and C_t: as many backward passes per step as the carry and y have numbers.
    Products run at the highest matmul precision.

    Arguments and errors as for `carry_gradients`.

    Returns:
      The structure of the carry, leaves (time, *batch, ...), natural logarithms in
      float32 at least; -inf where the gradient is zero; None in place of leaves without
      one.
    """
    steps = prepare(cell, params, xs, carry, **masks)
    with jax.default_matmul_precision("highest"):
        entering, ys = entering_carries(steps, params)
        dys = output_gradients(loss_fn, ys, steps.inputs.counts)
        logarithms = _run_back(steps, params, entering, dys)
    return smooth_structure(steps.carry, logarithms)


def _run_back(steps: Steps, params: Params, entering: Carry, dys: Any) -> list[Array]:
    """Returns ln |a_t| of every smooth leaf of the carry, (time, *batch, ...)."""

    def step_back(_, adjoints, at_t):
        entering_t, inputs_t, dy_t = at_t

        def outputs(leaves):
            carry = with_smooth_leaves(entering_t, leaves)
            return step_outputs(steps, params, carry, inputs_t)

        leaving, pullback = jax.vjp(outputs, smooth_leaves(entering_t))
        silent = [jnp.zeros_like(leaf) for leaf in leaving]
        dy_leaves = [_of_units(dy) for dy in jax.tree.leaves(dy_t)]
        sent = [
            _pull_units(pullback, silent, k, leaf, len(steps.batch_shape))
            for k, leaf in enumerate([*adjoints, *dy_leaves])
        ]
        adjoints = [scaled.add(terms) for terms in zip(*sent, strict=True)]
        return adjoints, [scaled.log_norm(adjoint) for adjoint in adjoints]

    nothing = [jnp.zeros_like(leaf) for leaf in smooth_leaves(steps.carry)]
    _, logarithms = scan(
        step_back,
        (),
        [_of_units(leaf) for leaf in nothing],
        (entering, steps.inputs, dys),
        reverse=not steps.reverse,
    )
    return logarithms


def _pull_units(
    pullback: Callable, silent: list[Array], k: int, leaf: Scaled, batch_axes: int
) -> list[Scaled]:
    """Returns what leaf k sends to every primal, unit by unit, the others silent."""
    shape = leaf.mantissa.shape
    num_units = math.prod(shape[batch_axes:])
    alone = jnp.eye(num_units, dtype=bool).reshape(
        num_units, *(1 for _ in shape[:batch_axes]), *shape[batch_axes:]
    )

    def of_unit(is_unit):
        mantissa = jnp.where(is_unit, leaf.mantissa, 0)
        (parts,) = pullback([*silent[:k], mantissa, *silent[k + 1 :]])
        exponent = jnp.max(
            jnp.where(is_unit, leaf.exponent, scaled.ZERO_EXPONENT),
            axis=tuple(range(batch_axes, len(shape))),
        )
        return [_of_units(part, exponent) for part in parts]

    return [_summed(parts) for parts in jax.vmap(of_unit)(alone)]


def _of_units(values: Array, exponent: Array | None = None) -> Scaled:
    """Returns values * 2**exponent with an exponent for every number."""
    if exponent is None:
        return scaled.rescale(values, jnp.zeros(values.shape, jnp.int32))
    rest = tuple(range(exponent.ndim, values.ndim))
    exponents = jnp.broadcast_to(jnp.expand_dims(exponent, rest), values.shape)
    return scaled.rescale(values, exponents)


def _summed(terms: Scaled) -> Scaled:
    """Returns the sum along the first axis."""
    exponent = jnp.max(terms.exponent, axis=0)
    aligned = scaled.times_power(terms.mantissa, terms.exponent - exponent)
    return scaled.rescale(jnp.sum(aligned, axis=0), exponent)
