"""Which values of a step move: those with a tangent that is not zero.

JAX carries a zero tangent as a symbol: it is never multiplied by an infinite slope, and
an operation without a derivative (a host callback on a stopped value) is not asked for
one. A scan of a plan does the same, so it has to know in advance what moves.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
from jax.extend.core import JaxprEqn

from lstm_jax.engine.plans import Plan
from lstm_jax.engine.programs import Op, evaluate, inner_jaxprs, numbers

RULES_OF_THEIR_OWN = {"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"}


def moving_values(
    plan: Plan, from_outside: set[int], of_points: set[int]
) -> frozenset[int]:
    """Returns the numbers of all values that move, in any step of a run.

    `from_outside` are the numbers of the constants, inputs and leaves of the first
    carry that move; `of_points` the places of the points whose weights move.
    """
    moved_by = _moved_outputs(plan)
    entering = {*from_outside}
    while True:
        moves = _within_a_step(plan, entering, of_points, moved_by)
        leaving = zip(plan.program.carry, plan.program.outputs, strict=False)
        reached = {number for number, left in leaving if numbers((left,)) & moves}
        if reached <= entering:
            return frozenset(moves)
        entering |= reached


def _within_a_step(
    plan: Plan, entering: set[int], of_points: set[int], moved_by: Callable
) -> set[int]:
    moves = {*entering}
    for position, item in enumerate(plan.inside):
        moving = frozenset(item.reads & moves)
        if isinstance(item, Op):
            moves |= moved_by(position, moving) if moving else set()
        elif moving or item.place in of_points:
            moves |= {*item.outputs}
    return moves


def _moved_outputs(plan: Plan) -> Callable[[int, frozenset[int]], set[int]]:
    """Returns `(position in plan.inside, moving) -> the outputs of that op that move`.

    JAX tells: the rule of a `custom_jvp` around an output is not called if the tangent
    is a symbolic zero.
    """
    avals = plan.program.avals

    @cache
    def moved_by(position: int, moving: frozenset[int]) -> set[int]:
        op: Any = plan.inside[position]
        moved: set[int] = set()

        def outputs(values):
            results = zip(op.outputs, evaluate(op, values), strict=True)
            return [_noting(moved, number)(result) for number, result in results]

        def pushed(values):
            return pushed_forward(outputs, values, {n: values[n] for n in moving})

        jax.eval_shape(pushed, {number: avals[number] for number in op.reads})
        return moved

    return moved_by


def _noting(moved: set[int], number: int) -> Callable:
    @jax.custom_jvp
    def note(value):
        return value

    @note.defjvp
    def rule(primals, tangents):
        moved.add(number)
        return primals[0], tangents[0]

    return note


def pushed_forward(
    function: Callable[[dict[int, Any]], list[Any]],
    values: dict[int, Any],
    tangents: dict[int, Any],
) -> tuple[list[Any], list[Any]]:
    """Returns the outputs of a function of numbered values, and their tangents.

    Values without a tangent do not move.
    """
    moving = sorted(tangents)
    if not moving:
        outputs = function(values)
        return outputs, [None] * len(outputs)

    def of_moving(*moved):
        return function(values | dict(zip(moving, moved, strict=True)))

    return jax.jvp(
        of_moving, [values[n] for n in moving], [tangents[n] for n in moving]
    )


def as_differentiated(
    op: Op, values: dict[int, Any], moves: frozenset[int]
) -> list[Any]:
    """Returns the outputs of an operation as computed under differentiation.

    A function with a custom rule is then evaluated by that rule: by `fwd` of a
    `custom_vjp`, or as the first result of a `custom_jvp` rule. Higher derivatives are
    those of that code.
    """
    moving = sorted(op.reads & moves)
    names = _primitives(op.eqn)
    if not moving or not any(name in RULES_OF_THEIR_OWN for name in names):
        return evaluate(op, values)

    def of_moving(*moved):
        return evaluate(op, values | dict(zip(moving, moved, strict=True)))

    # Not by jvp: a `custom_vjp` has none.
    return jax.vjp(of_moving, *(values[number] for number in moving))[0]


def _primitives(eqn: JaxprEqn) -> Iterator[str]:
    """Yields the names of an operation and of all operations inside it."""
    yield eqn.primitive.name
    for inside in inner_jaxprs(eqn):
        for deeper in inside.eqns:
            yield from _primitives(deeper)
