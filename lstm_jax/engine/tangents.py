"""The linear scan of a plan: tangents of the results, from what the forward scan saved.

    dz_t = s_t + Σ_i da_it W_i,    s_t of all steps computed before the loop

Written to be transposed: the loop then carries the adjoint of the state, and everything
shaped like a weight is computed outside it.
"""

from collections.abc import Callable
from functools import partial
from itertools import accumulate, compress
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.engine.moving import pushed_forward
from lstm_jax.engine.plans import Plan, Point
from lstm_jax.engine.points import (
    activation_tangents,
    every_step_product,
    made_ready,
    plus,
    point_outputs,
    product,
    split,
    turned_product,
    unpacked,
)
from lstm_jax.engine.programs import Op, Value, evaluate, numbers, read
from lstm_jax.engine.weights import Weights


class Inputs(NamedTuple):
    """What a scan of a plan depends on; or its tangents, None for zero."""

    weights: list[Weights]
    constants: list[Any]
    carry: list[Any]
    xs: list[Any]


class Saved(NamedTuple):
    """What the forward scan keeps, leaves (time, ...).

    Attributes:
      carry: the leaves that enter the step.
      points: by place, the outputs of every point in `Plan.saved_points`, `packed`.
      operands: by number, `Plan.saved_operands`.
    """

    carry: list[Any]
    points: dict[int, list[Any]]
    operands: dict[int, Any]


def entering(plan: Plan, constants: list, carry: list, x: list) -> dict[int, Any]:
    """Returns what a step starts from, by number: values or their tangents."""
    numbers = (*plan.constants, *plan.program.carry, *plan.program.x)
    return dict(zip(numbers, (*constants, *carry, *x), strict=True))


def linear_scan(
    plan: Plan,
    over_time: Callable,
    inputs: Inputs,
    saved: Saved,
    moving: Inputs,
    moves: frozenset[int],
) -> list[Array]:
    """Returns the tangents of those leaves of (carry, ys) that move.

    `over_time` is `lax.scan` with its options, `moving` the tangents of the inputs, and
    `moves` the numbers of the values that move.
    """
    program = plan.program
    first = [
        jnp.zeros_like(leaf) if tangent is None and number in moves else tangent
        for number, leaf, tangent in zip(
            program.carry, inputs.carry, moving.carry, strict=True
        )
    ]
    d_xs = [
        tangent if number in plan.read_in_the_loop else None
        for number, tangent in zip(program.x, moving.xs, strict=True)
    ]
    shifts = _shifts(plan, inputs, saved, moving)
    # Without checkpoint, JAX would store every intermediate of the linear step.
    step = jax.checkpoint(_linear_step(plan, inputs, moving, moves), prevent_cse=False)
    d_carry, tangents = over_time(step, first, (saved, inputs.xs, d_xs, shifts))
    tangents |= _leaving(plan, inputs, tangents, shifts)
    shown = program.outputs[len(d_carry) :]
    left = [*d_carry, *(tangents.get(n) if isinstance(n, int) else None for n in shown)]
    return [*compress(left, plan.moving_outputs(moves))]


def _shifts(plan: Plan, inputs: Inputs, saved: Saved, moving: Inputs) -> dict[int, Any]:
    """Returns s by the places of the points, all steps at once."""
    program = plan.program
    operands = dict(zip(program.carry, saved.carry, strict=True)) | saved.operands
    operands |= dict(zip(program.x, inputs.xs, strict=True))
    for point in plan.saved_points:
        outputs = unpacked(point, saved.points[point.place], 1)
        operands |= dict(zip(point.outputs, outputs, strict=True))
    d_operands = dict(zip(program.x, moving.xs, strict=True))

    time = jax.tree.leaves((saved, inputs.xs))[0].shape[0]

    def shift(point: Point) -> Any:
        of_point = inputs.weights[point.place]
        d_of_point = moving.weights[point.place]
        total = d_of_point.bias
        for term, matrix, d_matrix in zip(
            point.terms, of_point.matrices, d_of_point.matrices, strict=True
        ):
            every_step = partial(every_step_product, plan, point, term)
            d_operand = d_operands.get(term.operand)
            if d_matrix is not None:
                total = plus(every_step(operands[term.operand], d_matrix), total)
            if d_operand is not None:
                total = plus(every_step(d_operand, matrix), total)
        if total is None:
            return None
        shape = [time, *program.avals[point.outputs[0]].shape]
        shape[point.axis + 1] = sum(point.widths)
        return jnp.broadcast_to(total, shape)

    return {
        point.place: shift(point)
        for point in plan.points
        if point.place not in plan.in_loop
    }


def _linear_step(
    plan: Plan, inputs: Inputs, moving: Inputs, moves: frozenset[int]
) -> Callable:
    """Returns `(d_carry, (saved, x, d_x, shifts)) -> (d_carry, tangents by number)`.

    The tangents are those of the outputs y, and of what `_leaving` reads.
    """
    program, turned = plan.program, _turned(inputs.weights)
    ready = made_ready(plan, inputs.weights)
    after_the_loop = {point.place for point in plan.leaving_points}
    shown = numbers(program.outputs[len(program.carry) :])
    shown |= set().union(*(point.reads for point in plan.leaving_points))

    def of_point(point: Point, values: dict, tangents: dict, shift: Any) -> list:
        total, d_weights = shift, moving.weights[point.place]
        in_loop = point.place in plan.in_loop
        for term, matrix, d_matrix in zip(
            point.terms, turned[point.place], d_weights.matrices, strict=True
        ):
            d_operand = tangents.get(term.operand)
            if d_operand is not None and (in_loop or term.operand not in program.x):
                total = plus(total, turned_product(point, term, d_operand, matrix))
            if in_loop and d_matrix is not None:
                operand = values[term.operand]
                total = plus(total, product(point, term, operand, d_matrix))
        if in_loop:
            total = plus(total, d_weights.bias)
        return [None] * len(point.outputs) if total is None else split(point, total)

    def step(d_carry, at_t):
        saved, x, d_x, shifts = at_t
        values = entering(plan, inputs.constants, saved.carry, x)
        tangents = _given(entering(plan, moving.constants, d_carry, d_x))
        for item in plan.inside:
            if isinstance(item, Op):
                at = {n: tangents[n] for n in item.reads & tangents.keys()}
                outputs, moved = pushed_forward(partial(evaluate, item), values, at)
            elif item.place in after_the_loop:
                continue
            else:
                if item.place in saved.points:
                    outputs = unpacked(item, saved.points[item.place], 0)
                else:
                    outputs = point_outputs(item, ready[item.place], values, None)
                moved = of_point(item, values, tangents, shifts.get(item.place))
                moved = activation_tangents(item, outputs, moved)
            values |= dict(zip(item.outputs, outputs, strict=True))
            tangents |= {
                n: d for n, d in zip(item.outputs, moved, strict=True) if n in moves
            }
        left = zip(d_carry, program.outputs, strict=False)
        return [
            None if entered is None else _tangent(leaf, values, tangents)
            for entered, leaf in left
        ], {n: tangents[n] for n in shown & tangents.keys()}

    return step


def _given(tangents: dict[int, Any]) -> dict[int, Any]:
    return {n: tangent for n, tangent in tangents.items() if tangent is not None}


def _tangent(value: Value, values: dict[int, Any], tangents: dict[int, Any]) -> Array:
    """Returns the tangent of a value that leaves a step, zeros if it does not move."""
    if isinstance(value, int) and value in tangents:
        return tangents[value]
    return jnp.zeros_like(read(value, values))


def _leaving(
    plan: Plan, inputs: Inputs, tangents: dict[int, Array], shifts: dict[int, Any]
) -> dict[int, Array]:
    """Returns the tangents of pre-activations that leave as y, all steps at once.

    Transposed, the cotangents of ys are multiplied by the weights outside the loop.
    """
    left = {}
    for point in plan.leaving_points:
        total, weights = shifts[point.place], inputs.weights[point.place]
        for term, matrix in zip(point.terms, weights.matrices, strict=True):
            if term.operand in tangents and term.operand not in plan.program.x:
                d_operand = tangents[term.operand]
                total = plus(
                    total, every_step_product(plan, point, term, d_operand, matrix)
                )
        if total is not None:
            pieces = jnp.split(total, [*accumulate(point.widths)][:-1], point.axis + 1)
            left |= dict(zip(point.outputs, pieces, strict=True))
    return left


def _turned(weights: list[Weights]) -> list[list[Array]]:
    # Transposed once: the backward product then reads its matrix row by row. The
    # barrier keeps XLA from folding the transpose back into every step.
    return jax.lax.optimization_barrier(
        [[matrix.T for matrix in of_point.matrices] for of_point in weights]
    )
