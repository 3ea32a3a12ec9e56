"""The gradient of every single unit of a memory, as a logarithm that cannot underflow.

The units of a memory may fade at different rates, as in an IndRNN, where each has its
own weight. So every number of the carry has its own integer exponent, where
`log_gradient_norms` has one for a whole leaf.
"""

import math
from collections.abc import Callable
from typing import Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.cells.cell import Cell
from lstm_jax.engine.scanning import scan
from lstm_jax.gradients.adjoint import WayBack, step_vjp, way_back
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.scaled import Scaled
from lstm_jax.gradients.loss import LossFn
from lstm_jax.gradients.state import inexact_leaves, inexact_structure
from lstm_jax.masking import Masks, Steps, prepare, unless_idle
from lstm_jax.types import Carry, Params, Sequences


def log_gradients(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Carry:
    """Returns ln |dL/d(carry that enters step t)| of every unit, also below 1e-3000.

    With a_t the adjoint of the carry that enters step t and J_t, C_t the Jacobians of
    the carry and of y that leave it,

        a_t[j] = Σ_i J_t[i, j] a_{t+1}[i] + Σ_k C_t[k, j] dL/dy_t[k]

    is run backwards with an integer exponent for every unit and batch element: each
    unit's adjoint, and each number of dL/dy_t, is pulled back separately, and the parts
    are added after their exponents are aligned. So a unit that fades by 0.1 per step is
    right even beside one that does not fade. This costs as much as the Jacobians J_t
    and C_t of all steps: as many backward passes per step as carry and y have numbers.
    Products run at the highest matmul precision.

    Arguments and errors as for `carry_gradients`.

    Returns:
      The structure of the carry, leaves (time, *batch, ...), natural logarithms in
      float32 at least; -inf where the gradient is zero; None in place of leaves without
      one.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> lj.gradients.log_gradients(lj.LSTM, params, xs, last).c.shape
      (5, 2, 4)
    """
    way = way_back(prepare(cell, params, xs, carry, **masks), loss_fn)
    return inexact_structure(way.steps.carry, _logarithms(way))


@jax.jit
def _logarithms(way: WayBack) -> list[Array]:
    """Returns ln |a_t| of every inexact leaf of the carry, (time, *batch, ...)."""
    with jax.default_matmul_precision("highest"):
        return unless_idle(way.steps, lambda steps: _run_back(steps, way))


def _run_back(steps: Steps, way: WayBack) -> list[Array]:
    def step_back(_, adjoints, at_t):
        entering_t, inputs_t, dy_t = at_t
        leaving, pullback = step_vjp(steps, entering_t, inputs_t)
        nothing = jnp.full(steps.batch_shape, scaled.ZERO_EXPONENT, jnp.int32)
        silent = [Scaled(jnp.zeros_like(leaf), nothing) for leaf in leaving]
        dy_leaves = [_of_units(dy) for dy in jax.tree.leaves(dy_t)]
        sent = [
            _pull_units(pullback, silent, k, leaf)
            for k, leaf in enumerate([*adjoints, *dy_leaves])
        ]
        adjoints = [scaled.add(terms) for terms in zip(*sent, strict=True)]
        return adjoints, [scaled.log_norm(adjoint) for adjoint in adjoints]

    after_last = [
        _of_units(jnp.zeros_like(leaf)) for leaf in inexact_leaves(steps.carry)
    ]
    run = (way.entering, steps.inputs, way.dys)
    return scan(step_back, (), after_last, run, reverse=not steps.reverse)[1]


def _pull_units(
    pullback: Callable, silent: list[Scaled], k: int, leaf: Scaled
) -> list[Scaled]:
    """Returns what leaf k sends to every primal, unit by unit, the others silent."""
    shape, batch_axes = leaf.mantissa.shape, silent[k].exponent.ndim
    num_units = math.prod(shape[batch_axes:])
    alone = jnp.eye(num_units, dtype=bool).reshape(
        num_units, *(1 for _ in shape[:batch_axes]), *shape[batch_axes:]
    )

    def of_unit(is_unit):
        exponent = jnp.max(
            jnp.where(is_unit, leaf.exponent, scaled.ZERO_EXPONENT),
            axis=tuple(range(batch_axes, len(shape))),
        )
        unit = Scaled(jnp.where(is_unit, leaf.mantissa, 0), exponent)
        parts = pullback([*silent[:k], unit, *silent[k + 1 :]])
        return [Scaled(*part) for part in parts]

    return [_summed(parts) for parts in jax.vmap(of_unit)(alone)]


def _of_units(values: Array) -> Scaled:
    """Returns the values with an exponent for every number."""
    return scaled.rescale(values, jnp.zeros(values.shape, jnp.int32))


def _summed(terms: Scaled) -> Scaled:
    """Returns the sum along the first axis."""
    exponent = jnp.max(terms.exponent, axis=0)
    aligned = scaled.over_power(terms, exponent[None])
    return scaled.rescale(jnp.sum(aligned, axis=0), exponent)
