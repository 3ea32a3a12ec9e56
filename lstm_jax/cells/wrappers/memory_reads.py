"""Which memory the matrix products of a step read; and steps where they read another.

A product reads a leaf of the carry as it is, or after it was moved, joined with other
values or multiplied, for example by a gate. A sum does not count: what is added up is
new memory, whoever reads it.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from lstm_jax.engine import reads
from lstm_jax.engine.programs import Op, Program, evaluate, inner_jaxprs, run_program
from lstm_jax.types import Carry, Params

PRODUCTS = {"dot_general", "conv_general_dilated"}

HANDED_ON = reads.HANDED_ON | {"dynamic_slice", "reshard", "sharding_constraint"}
"""Operations after which memory is still the memory that was read."""


class Readings(NamedTuple):
    """What a step multiplies with matrices.

    Attributes:
      leaves: of the carry, by number.
      elsewhere: whether memory enters a loop or a `jax.checkpoint`, whose products are
        not searched.
    """

    leaves: tuple[int, ...]
    elsewhere: bool


def read_by_products(program: Program) -> Readings:
    """Returns which memory the matrix products of a step read."""
    origins = {
        number: {at}
        for at, number in enumerate(program.carry)
        if jnp.issubdtype(program.avals[number].dtype, jnp.inexact)
    }
    read, elsewhere = set(), False
    for op in program.ops:
        of_op = set().union(*(origins.get(number, set()) for number in op.reads))
        if op.name in PRODUCTS:
            read |= of_op
        elif _hands_on(op):
            origins |= dict.fromkeys(op.outputs, of_op)
        elif of_op and inner_jaxprs(op.eqn):
            elsewhere = True
    return Readings(tuple(sorted(read)), elsewhere)


def with_products_of(
    leaves: dict[int, Any], program: Program, params: Params, carry: Carry, x: Any
) -> tuple[Carry, Any]:
    """Returns (carry, y) of a step whose products read other leaves of memory.

    `leaves` are what they read, by the number of the leaf in the carry; the rest of the
    step reads the carry.
    """
    seen = {program.carry[at]: leaf for at, leaf in leaves.items()}

    def each(op: Op, values: dict[int, Any]) -> list[Any]:
        if op.name in PRODUCTS:
            return evaluate(op, values | seen)
        if op.reads & seen.keys() and _hands_on(op):
            as_seen = evaluate(op, values | seen)
            seen.update(zip(op.outputs, as_seen, strict=True))
        return evaluate(op, values)

    return run_program(program, params, carry, x, each)


def _hands_on(op: Op) -> bool:
    """Whether what it returns is still memory: `lj.clip_backward` changes no value."""
    if op.name.startswith(("custom_jvp_call", "custom_vjp_call")):
        ends = (op.eqn.invars, op.eqn.outvars)
        shapes = [[var.aval.str_short() for var in variables] for variables in ends]
        return shapes[0] == shapes[1]
    return op.name in HANDED_ON
