"""Where a step multiplies its state with its weights.

A **weight product** is a `dot_general` of a value that changes from step to step with a
matrix that does not. Products and constants that are only summed make up ONE
pre-activation

    z = Σ_i a_i W_i + b,

and pre-activations with the same operands a_i, such as the gates of an LSTM, make up
one **point**: one product per operand, with the matrices side by side. Sums, slices and
splits commute with a product, so they are moved onto the matrices. `analyse` finds all
of this in a `Program`, whatever library the step was written in.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lstm_jax.engine.plans import ACTIVATIONS, Affine, Plan, Point, numbered
from lstm_jax.engine.pre_activations import (
    operands_of,
    pre_activations,
    why_no_weight_product,
)
from lstm_jax.engine.programs import Op, Program, Value, numbers

# Repeated inside the loop although they do not change: storing their results outside
# costs more than recomputing them.
CHEAP = {"broadcast_in_dim", "iota"}

_OPAQUE = {
    "conv_general_dilated": "convolutions are not looked into",
    **dict.fromkeys(
        ("scan", "while", "cond", "remat", "checkpoint", "custom_jvp_call"),
        "what is inside is not looked into",
    ),
}


def analyse(program: Program) -> Plan:
    """Returns the points of a program, and an order to run everything in."""
    fixed = _fixed_values(program)
    outside = [op for op in program.ops if set(op.outputs) <= fixed]
    moving = [op for op in program.ops if not set(op.outputs) <= fixed]
    affines = pre_activations(program, moving, fixed)
    scheduled = _scheduled(moving, affines)
    inside = _needed(_activated(scheduled, program.outputs), program.outputs)
    repeated = _repeated(outside, _reads(inside, program.outputs))
    inside = [*repeated, *inside]
    made_inside = {number for op in repeated for number in op.outputs}
    constants = (_reads(inside, program.outputs) & fixed) - made_inside
    return Plan(
        program=program,
        outside=tuple(outside),
        inside=tuple(numbered(inside)),
        constants=tuple(sorted(constants)),
        refused=tuple(_refusals(program, inside, fixed)),
    )


def _fixed_values(program: Program) -> set[int]:
    fixed = set(program.params)
    for op in program.ops:
        if op.reads <= fixed and not op.eqn.effects:
            fixed |= set(op.outputs)
    return fixed


# The order of things


def _scheduled(ops: list[Op], affines: dict[int, Affine]) -> list[Op | Point]:
    """Puts every point where the first of its pre-activations was computed."""
    gathered: dict[Any, list[int]] = {}
    for number, affine in affines.items():
        gathered.setdefault(_signature(affine), []).append(number)
    inside: list[Op | Point] = []
    placed: set[int] = set()
    for op in ops:
        values = [number for number in op.outputs if number in affines]
        for number in values:
            if number not in placed:
                together = gathered[_signature(affines[number])]
                inside.append(
                    Point(
                        place=len(inside),
                        outputs=tuple(together),
                        affines=tuple(affines[n] for n in together),
                        activations=(None,) * len(together),
                    )
                )
                placed |= set(together)
        if not values:
            inside.append(op)
    return inside


def _signature(affine: Affine) -> Any:
    return affine.axis, tuple(term.reading for term in affine.terms)


def _activated(
    inside: list[Op | Point], outputs: tuple[Value, ...]
) -> list[Op | Point]:
    """Moves an activation into its point if nothing else reads the pre-activation.

    Its derivative follows from its value, so that the backward pass needs neither the
    pre-activation nor the activation again.
    """
    reads = [*numbers(outputs), *(n for item in inside for n in item.reads)]
    times_read = Counter(reads)
    made_by_points = {n for p in inside if isinstance(p, Point) for n in p.outputs}
    activation_of = {
        number: item
        for item in inside
        if isinstance(item, Op) and item.name in ACTIVATIONS
        for number in item.reads & made_by_points
        if times_read[number] == 1
    }
    taken = {op.outputs for op in activation_of.values()}
    return [
        _with_activations(item, activation_of) if isinstance(item, Point) else item
        for item in inside
        if item.outputs not in taken
    ]


def _with_activations(point: Point, activation_of: dict[int, Op]) -> Point:
    ops = [activation_of.get(number) for number in point.outputs]
    outputs = [
        op.outputs[0] if op else number
        for op, number in zip(ops, point.outputs, strict=True)
    ]
    activations = tuple(op.name if op else None for op in ops)
    return point._replace(outputs=tuple(outputs), activations=activations)


def _needed(inside: list[Op | Point], outputs: tuple[Value, ...]) -> list[Op | Point]:
    wanted, kept = numbers(outputs), []
    for item in reversed(inside):
        if wanted & set(item.outputs):
            kept.append(item)
            wanted |= item.reads
    return kept[::-1]


def _reads(inside: list[Op | Point], outputs: tuple[Value, ...]) -> set[int]:
    return numbers(outputs).union(*(item.reads for item in inside))


def _repeated(outside: list[Op], wanted: set[int]) -> list[Op]:
    repeated = []
    for op in reversed(outside):
        if op.name in CHEAP and wanted & set(op.outputs):
            repeated.append(op)
            wanted = wanted | op.reads
    return repeated[::-1]


# What is not improved


def _refusals(
    program: Program, inside: list[Op | Point], fixed: set[int]
) -> Iterator[str]:
    for op in inside:
        reason = _why_refused(program, op, fixed) if isinstance(op, Op) else None
        if isinstance(op, Op) and reason is not None:
            shapes = [_described(program, value) for value in op.inputs]
            yield f"{op.name}({', '.join(shapes)}): {reason}"


def _described(program: Program, value: Value) -> str:
    aval: Any = program.avals[value] if isinstance(value, int) else value.aval
    return aval.str_short()


def _why_refused(program: Program, op: Op, fixed: set[int]) -> str | None:
    if op.name == "dot_general":
        operands = operands_of(op, fixed)
        return operands and why_no_weight_product(program, op, operands)
    if op.name in _OPAQUE and op.reads & fixed:
        return _OPAQUE[op.name]
    return None
