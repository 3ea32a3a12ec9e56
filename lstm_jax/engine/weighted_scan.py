"""The scan of a plan: a `custom_jvp` whose transpose is the backward pass we want.

The rule runs the scan and saves the carries and the pre-activations

    z_t = Σ_i a_it W_i + b                            (a point of the plan),

forms what the tangents of weights and inputs add to them, for all steps at once,

    s_t = Σ_i a_it dW_i + Σ_{i: a_i = x} dx_t W_i + db,

and runs the linear scan in which dz_t = s_t + Σ_i da_it W_i (`tangents`). Under JAX's
transpose the cotangent of s is dL/dz of all steps, so that every weight gradient is one
product, dL/dW_i = Σ_t a_itᵀ dL/dz_t, and the loop carries only the state's adjoint.

Forward mode needs none of this: if nothing is transposed, the tangents run alongside
the values, and nothing is saved (`linear_maps`).
"""

from collections.abc import Callable
from functools import partial
from itertools import compress
from typing import Any

import jax
from jax.custom_derivatives import SymbolicZero, zero_from_primal

from lstm_jax.engine.linear_maps import linear_map
from lstm_jax.engine.memory import within_memory
from lstm_jax.engine.moving import as_differentiated, moving_values, pushed_forward
from lstm_jax.engine.plans import Plan
from lstm_jax.engine.points import (
    Ready,
    made_ready,
    packed,
    point_outputs,
    with_products_ahead,
)
from lstm_jax.engine.programs import Op, read, run_step
from lstm_jax.engine.tangents import Inputs, Saved, entering, linear_scan


def weighted_scan(plan: Plan, over_time: Callable) -> Callable:
    """Returns `(params, inputs) -> (carry, ys)`, on leaves, inputs an `Inputs`.

    `over_time` is `lax.scan` with its options. Without differentiation, a step whose
    matrices would have to be copied runs as written: the copy would not pay off for a
    short sequence.
    """

    @jax.custom_jvp
    def run(params, inputs):
        def as_written(carry, x):
            return run_step(plan.program, params, carry, x)

        if plan.weights_as_given:
            return values(inputs)
        return over_time(as_written, inputs.carry, inputs.xs)

    def values(inputs):
        ready, ahead = with_products_ahead(
            plan, made_ready(plan, inputs.weights), inputs.xs, kept_anyway=False
        )

        def body(carry, at_t):
            return _forward(plan, ready, inputs.constants, carry, *at_t)[:2]

        return over_time(body, inputs.carry, (inputs.xs, ahead))

    @partial(run.defjvp, symbolic_zeros=True)
    def rule(primals, tangents):
        # Tangents of the params are in those of the weights and the constants.
        (_, inputs), (_, d_inputs) = primals, tangents
        moving = _without_zeros(d_inputs)
        moves = _moves(plan, moving)
        bounded = _within_memory(plan, inputs, moving)
        out, saved = _saving_scan(bounded, over_time, inputs, moves)

        def side_by_side(fixed, moving):
            pushed = _pushed_forward(values, fixed[0], moving)
            return [*compress(pushed, plan.moving_outputs(moves))]

        def after_the_values(fixed, moving):
            inputs, saved = fixed
            return linear_scan(bounded, over_time, inputs, saved, moving, moves)

        d_out = _linear(side_by_side, after_the_values, (inputs, saved), moving)
        return out, _tangents_of(plan, out, d_out, moves)

    return run


def _saving_scan(
    plan: Plan, over_time: Callable, inputs: Inputs, moves: frozenset[int]
) -> tuple[Any, Saved]:
    """Returns (carry, ys), and what the backward pass needs from every step."""
    ready, ahead = with_products_ahead(
        plan, made_ready(plan, inputs.weights), inputs.xs, kept_anyway=True
    )

    def body(carry, at_t):
        carry, y, saved = _forward(
            plan, ready, inputs.constants, carry, *at_t, moves=moves
        )
        return carry, (y, saved)

    carry, (ys, saved) = over_time(body, inputs.carry, (inputs.xs, ahead))
    return (carry, ys), saved


def _forward(
    plan: Plan,
    ready: list[Ready],
    constants: list,
    carry: list,
    x: list,
    ahead: list[Any] | None = None,
    moves: frozenset[int] = frozenset(),
) -> tuple[list, list, Saved]:
    values = entering(plan, constants, carry, x)
    for item in plan.inside:
        if isinstance(item, Op):
            outputs = as_differentiated(item, values, moves)
        else:
            at = item.place
            outputs = point_outputs(item, ready[at], values, ahead and ahead[at])
        values |= dict(zip(item.outputs, outputs, strict=True))
    saved = Saved(
        carry,
        {
            point.place: packed(plan, point, [values[n] for n in point.outputs])
            for point in plan.saved_points
        },
        {number: values[number] for number in plan.saved_operands},
    )
    outputs = [read(value, values) for value in plan.program.outputs]
    return outputs[: len(carry)], outputs[len(carry) :], saved


# Tangents. None stands for a tangent that is zero, or that an integer does not have.


def _without_zeros(tangents: Any) -> Any:
    def is_zero(tangent):
        return isinstance(tangent, SymbolicZero)

    return jax.tree.map(
        lambda tangent: None if is_zero(tangent) else tangent, tangents, is_leaf=is_zero
    )


def _moves(plan: Plan, moving: Inputs) -> frozenset[int]:
    first = entering(plan, moving.constants, moving.carry, moving.xs)
    return moving_values(
        plan,
        from_outside={
            number for number, tangent in first.items() if tangent is not None
        },
        of_points={
            place
            for place, weights in enumerate(moving.weights)
            if jax.tree.leaves(weights)
        },
    )


def _within_memory(plan: Plan, inputs: Inputs, moving: Inputs) -> Plan:
    def one_step(inputs):
        ready = made_ready(plan, inputs.weights)
        return _forward(plan, ready, inputs.constants, inputs.carry, inputs.xs)[:2]

    first = jax.eval_shape(lambda xs: [x[0] for x in xs], inputs.xs)
    return within_memory(plan, one_step, inputs._replace(xs=first), moving)


def _pushed_forward(function: Callable, inputs: Inputs, moving: Inputs) -> list[Any]:
    """Returns the tangents of the leaves of function(inputs)."""
    leaves, structure = jax.tree.flatten(inputs)
    tangents = structure.flatten_up_to(moving)

    def of_leaves(numbered):
        leaves = [numbered[k] for k in range(structure.num_leaves)]
        return jax.tree.leaves(function(structure.unflatten(leaves)))

    moving_leaves = {k: d for k, d in enumerate(tangents) if d is not None}
    return pushed_forward(of_leaves, dict(enumerate(leaves)), moving_leaves)[1]


def _linear(run: Callable, transposable: Callable, fixed: Any, moving: Any) -> list:
    """`linear_map` of functions `(fixed, moving) -> leaves` of trees."""
    fixed_leaves, fixed_structure = jax.tree.flatten(fixed)
    moving_leaves, moving_structure = jax.tree.flatten(moving)

    def on_leaves(function):
        def of_leaves(*leaves):
            return function(
                fixed_structure.unflatten(leaves[: len(fixed_leaves)]),
                moving_structure.unflatten(leaves[len(fixed_leaves) :]),
            )

        return of_leaves

    return linear_map(
        on_leaves(run), on_leaves(transposable), fixed_leaves, moving_leaves
    )


def _tangents_of(plan: Plan, out: Any, d_out: list, moves: frozenset[int]) -> Any:
    leaves, structure = jax.tree.flatten(out)
    moved = iter(d_out)
    return structure.unflatten(
        next(moved) if moves_at_all else zero_from_primal(leaf, symbolic_zeros=True)
        for leaf, moves_at_all in zip(leaves, plan.moving_outputs(moves), strict=True)
    )
