"""The adjoint of the carry, run backwards step by step without underflow.

With a_t the adjoint of the carry that enters step t and J_t, C_t the Jacobians of the
carry and of y that leave it,

    a_t = J_tᵀ a_{t+1} + C_tᵀ dL/dy_t

Between two steps every leaf has one integer exponent per batch element (`Scaled`), so
that a leaf that fades by 0.5 per step is not lost beside one that fades by 0.99; within
a step every number has one (`wide_vjp`), so that a saturated gate is e^-160, not 0.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.engine.scanning import scan
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.pullback import wide_vjp
from lstm_jax.gradients.exponents.scaled import Scaled
from lstm_jax.gradients.exponents.wide import Wide, per_element
from lstm_jax.gradients.loss import LossFn, output_gradients
from lstm_jax.gradients.state import (
    entering_carries,
    inexact_leaves,
    with_inexact_leaves,
)
from lstm_jax.masking import Shared, Steps, unless_idle
from lstm_jax.types import Carry


class WayBack(NamedTuple):
    """What a backward pass through a run starts from.

    Attributes:
      steps: the run.
      entering: the carry that enters each step, leaves (time, *batch, ...).
      dys: dL/dy_t, in the structure of the outputs, leaves (time, *batch, ...).
    """

    steps: Steps
    entering: Carry
    dys: Any


class StepBack(NamedTuple):
    """One step of the way back.

    Attributes:
      entering: the carry that enters the step.
      inputs: what the step reads.
      leaving: adjoints of the inexact leaves of the carry that leaves the step, then
        the gradient with respect to the step's output, leaf by leaf, as `step_outputs`
        returns them.
      adjoints: of the inexact leaves of the carry that enters the step.
    """

    entering: Carry
    inputs: Any
    leaving: list[Scaled]
    adjoints: list[Scaled]


def way_back(steps: Steps, loss_fn: LossFn) -> WayBack:
    """Runs the steps and differentiates the loss."""
    with jax.default_matmul_precision("highest"):
        entering, ys = entering_carries(steps)
        dys = output_gradients(loss_fn, ys, steps.inputs.counts)
    return WayBack(steps, entering, dys)


Observer = Callable[[Steps, StepBack], Any]
"""Returns what to keep of one step of the way back, as arrays."""


# Compiled once per observer, cell and shapes: observers are module-level functions.
@partial(jax.jit, static_argnums=1)
def observed_on_the_way_back(way: WayBack, observe: Observer) -> Any:
    """Returns the observer's result at every step, leaves (time, ...)."""
    return run_back(way, observe)


def run_back(way: WayBack, observe: Observer) -> Any:
    """The same as `observed_on_the_way_back`, for observers made inside a `jit`."""
    with jax.default_matmul_precision("highest"):
        return unless_idle(way.steps, lambda steps: _run_back(steps, way, observe))


def _run_back(steps: Steps, way: WayBack, observe: Observer) -> Any:
    no_exponent = jnp.zeros(steps.batch_shape, jnp.int32)

    def step_back(_, adjoints, at_t):
        entering_t, inputs_t, dy_t = at_t
        dy_leaves = [scaled.rescale(dy, no_exponent) for dy in jax.tree.leaves(dy_t)]
        leaving = [*adjoints, *dy_leaves]

        _, pullback = step_vjp(steps, entering_t, inputs_t)
        batch_axes = len(steps.batch_shape)
        adjoints = [per_element(leaf, batch_axes) for leaf in pullback(leaving)]
        at_t = StepBack(entering_t, inputs_t, leaving, adjoints)
        return adjoints, observe(steps, at_t)

    after_last = [
        scaled.rescale(jnp.zeros_like(leaf), no_exponent)
        for leaf in inexact_leaves(steps.carry)
    ]
    run = (way.entering, steps.inputs, way.dys)
    return scan(step_back, (), after_last, run, reverse=not steps.reverse)[1]


def step_vjp(
    steps: Steps, entering: Carry, inputs: Any
) -> tuple[list[Array], Callable[[Sequence[Scaled]], list[Wide]]]:
    """Returns `step_outputs` of a step, and their pullback to the carry that enters."""

    def outputs(leaves):
        carry = with_inexact_leaves(entering, leaves)
        return step_outputs(steps, steps.shared, carry, inputs)

    return wide_vjp(outputs, inexact_leaves(entering))


def step_outputs(steps: Steps, shared: Shared, carry: Carry, inputs: Any) -> list:
    """Returns the inexact leaves of the carry that leaves a step, then its output."""
    carry, y = steps.step(shared, carry, inputs)
    return [*inexact_leaves(carry), *jax.tree.leaves(y)]
