"""How much a step keeps for the backward pass: no more than `lax.scan` would.

The engine keeps the outputs and operands of every point, and gathers the cotangents of
its pre-activations for the product after the loop. For most steps `lax.scan` keeps the
same, as factors of later operations. For a wide point with little made from it, such as
a readout inside the step, the engine would keep more. Such a point is recomputed in the
backward pass, which costs one more product; if that is not enough, its weight gradient
is summed in the loop, as in `lax.scan`.
"""

from collections.abc import Callable, Iterable
from itertools import compress
from typing import Any

import jax
from jax.extend.core import Var

from lstm_jax.engine.plans import Plan
from lstm_jax.engine.sizes import at_most
from lstm_jax.engine.tangents import Inputs

# Points whose outputs take at most this many times the carry are not looked into.
WIDE = 8
# A product after the loop may cost this share of memory.
SHARE = 0.25


def within_memory(
    plan: Plan, step: Callable[..., Any], inputs: Inputs, moving: Inputs
) -> Plan:
    """Returns the plan with as many points recomputed, or left in the loop, as needed.

    `step` is `Inputs -> (carry, y)`. Only shapes and dtypes of `inputs` are read, and
    of `moving` what is differentiated: it is None for the rest.
    """
    widths = {
        point.place: _bytes(plan.program.avals[n] for n in point.outputs)
        for point in plan.points
    }
    carry = _bytes(plan.program.avals[number] for number in plan.program.carry)
    if not at_most(WIDE * carry, sum(widths.values())):
        return plan
    bound = _kept_by_jax(step, inputs, moving)
    widest_first = sorted(widths, key=widths.__getitem__, reverse=True)
    for place in widest_first:
        if not at_most(_kept(plan), bound):
            plan = plan._replace(remade=plan.remade | {place})
    for place in widest_first:
        if not at_most(_kept(plan), (1 + SHARE) * bound):
            plan = plan._replace(in_loop=plan.in_loop | {place})
    return plan


def _kept(plan: Plan) -> Any:
    """Returns the bytes per step that the engine keeps, cotangents included."""
    elsewhere = plan.in_loop | {point.place for point in plan.leaving_points}
    gathered = [point for point in plan.points if point.place not in elsewhere]
    kept = [*plan.program.carry, *plan.saved_operands]
    kept += [n for point in [*plan.saved_points, *gathered] for n in point.outputs]
    return _bytes(plan.program.avals[number] for number in kept)


def _kept_by_jax(step: Callable, inputs: Inputs, moving: Inputs) -> Any:
    """Returns the bytes that `jax.vjp` of one step keeps, except weights and x."""
    leaves, structure = jax.tree.flatten(inputs)
    moves = [tangent is not None for tangent in structure.flatten_up_to(moving)]

    def kept(leaves):
        def of_moving(*values):
            value = iter(values)
            pairs = zip(leaves, moves, strict=True)
            given = [next(value) if moved else leaf for leaf, moved in pairs]
            return step(structure.unflatten(given))

        return jax.tree.leaves(jax.vjp(of_moving, *compress(leaves, moves))[1])

    jaxpr = jax.make_jaxpr(kept)(leaves).jaxpr
    first = len(jax.tree.leaves((inputs.weights, inputs.constants)))
    last = len(leaves) - len(jax.tree.leaves(inputs.xs))
    changing = {*jaxpr.invars[first:]}
    for eqn in jaxpr.eqns:
        if not changing.isdisjoint(_variables(eqn.invars)):
            changing |= {*eqn.outvars}
    every_step = changing - {*jaxpr.invars[last:]}
    return _bytes(var.aval for var in every_step & {*_variables(jaxpr.outvars)})


def _variables(atoms: Iterable[Any]) -> list[Var]:
    return [atom for atom in atoms if isinstance(atom, Var)]


def _bytes(avals: Iterable[Any]) -> Any:
    return sum(aval.size * aval.dtype.itemsize for aval in avals)
