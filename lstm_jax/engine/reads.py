"""Where a step reads its memory: the gates found in a traced program.

A carry enters a step in several places: every gate reads it, and so does the part that
is kept. `reads_of` finds these places, and `run_by_gate` runs the step with a copy of
the carry for each. With equal copies that is the step itself, so the derivatives with
respect to the copies add up to that of the step, whatever is called a gate.

A **gate** is what an activation reads, with everything that flows only into it; or a
product with weights that meets no activation. A gate ends where others read too:

* at another gate;
* at what leaves the step as memory;
* at a sum with memory in it (c = f * c + i * g) that is read in two places: what is
  added up is new memory, whoever reads it.

If a row of gates is activated as one and then split, each piece is a gate. Everything
else that reads the carry is what is **kept**.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp

from lstm_jax.engine.plans import Plan, Point, numbered
from lstm_jax.engine.points import made_ready, point_outputs
from lstm_jax.engine.pre_activations import SLICING, SUMMING
from lstm_jax.engine.programs import Op, Program, evaluate, numbers, read
from lstm_jax.engine.weight_products import analyse
from lstm_jax.engine.weights import prepare

ACTIVATIONS = {
    **{name: name for name in ("tanh", "erf", "exp", "sin", "cos", "max", "min")},
    "logistic": "sigmoid",
    "clamp": "clip",
    "custom_jvp_call": "",  # relu and others: named by the function
}
"""What a gate may end in, and its name there, by JAX's names of the primitives."""

LINEAR = SUMMING | {"mul", "div", "convert_element_type"}
"""Linear in one value if the other does not change."""

HANDED_ON = {
    *("mul", "neg", "convert_element_type", "stop_gradient", "select_n", "copy"),
    *("broadcast_in_dim", "concatenate", "pad", "reshape", "rev", "slice", "split"),
    *("squeeze", "transpose"),
}
"""Operations after which memory is still memory."""


class Gate(NamedTuple):
    """A place where a step reads its memory.

    Attributes:
      number: of the value that is computed from its own copy.
      value: number of the gate's value, after its activation.
      activation: "tanh", "sigmoid", ...; "linear" without one.
      leaves: positions of the leaves of the carry that it reads.
    """

    number: int
    value: int
    activation: str
    leaves: tuple[int, ...]


class Reads(NamedTuple):
    """A step, and where it reads its memory.

    Attributes:
      plan: of the step, each of its points a single pre-activation.
      order: every operation, and the gate whose copy it reads; None for what is kept.
      gates: in the order of their weights: by parameter, then by column.
      kept: positions of the leaves of the carry that are read outside the gates.
      own: numbers of the values that each gate computes for itself.
    """

    plan: Plan
    order: tuple[tuple[Op | Point, int | None], ...]
    gates: tuple[Gate, ...]
    kept: tuple[int, ...]
    own: frozenset[int]


def reads_of(program: Program) -> Reads:
    """Returns where a step reads its memory."""
    plan = analyse(program)
    plan = plan._replace(inside=tuple(numbered(_one_by_one(plan))))
    flow = _flow_of(plan)
    activated = _activated(flow)
    gates = flow.reading({*activated}, flow.memory)
    products = {point.outputs[0] for point in plan.points}
    products &= flow.back_from((flow.ends | flow.memory) - gates, gates)
    gates = flow.reading(gates | products, flow.memory - products)
    memory = flow.memory - gates
    slices = {number: flow.back_from({number}, gates | memory) for number in gates}
    ordered = sorted(gates, key=lambda n: (_first_weight(plan, slices[n]), n))
    rest = flow.back_from((flow.ends | memory) - gates, gates)
    own = flow.reached(gates | memory)
    return Reads(
        plan=plan,
        order=tuple(
            _order(plan, [slices[n] for n in ordered], rest, own | gates | memory)
        ),
        gates=tuple(
            Gate(n, *activated.get(n, (n, "linear")), flow.leaves_in(slices[n]))
            for n in ordered
        ),
        kept=flow.leaves_in(rest),
        own=frozenset(own),
    )


def run_by_gate(
    reads: Reads, params: list[Any], kept: list[Any], copies: list[list[Any]], x: list
) -> tuple[list[Any], list[Any]]:
    """Returns the leaves of (carry, y) of a step whose gates read copies of the carry.

    `params` are the values of `program.params`; `copies` the leaves of the carry as
    each gate reads it, `kept` as it is read outside the gates.
    """
    plan, program = reads.plan, reads.plan.program
    weights, constants = prepare(plan, params)
    ready = made_ready(plan, weights)
    shared = dict(zip((*plan.constants, *program.x), (*constants, *x), strict=True))
    own = {
        gate: dict(zip(program.carry, leaves, strict=True))
        for gate, leaves in [*enumerate(copies), (None, kept)]
    }
    gate_of = {gate.number: at for at, gate in enumerate(reads.gates)}
    for item, at in reads.order:
        values = shared | own[at]
        if isinstance(item, Op):
            outputs = evaluate(item, values)
        else:
            outputs = point_outputs(item, ready[item.place], values, None)
        for number, output in zip(item.outputs, outputs, strict=True):
            if number in reads.own:
                own[at][number] = output
            elif gate_of.get(number, at) == at:
                shared[number] = output
    outputs = [read(value, shared | own[None]) for value in program.outputs]
    return outputs[: len(kept)], outputs[len(kept) :]


def _one_by_one(plan: Plan) -> Iterator[Op | Point]:
    """Splits points into single pre-activations, followed by their activations."""
    made_by = {number: op for op in plan.program.ops for number in op.outputs}
    for item in plan.inside:
        if isinstance(item, Op):
            yield item
            continue
        pieces = zip(item.outputs, item.affines, item.activations, strict=True)
        for number, affine, activation in pieces:
            if activation is None:
                yield Point(0, (number,), (affine,), (None,))
            else:
                op = made_by[number]
                yield Point(0, tuple(op.reads), (affine,), (None,))
                yield op


def _order(
    plan: Plan, slices: list[set[int]], rest: set[int], apart: set[int]
) -> Iterator[tuple[Op | Point, int | None]]:
    """Yields what is run, once for all or once for each gate that has its own."""
    for item in plan.inside:
        outputs = {*item.outputs}
        gates = [at for at, of_gate in enumerate(slices) if outputs & of_gate]
        in_rest = bool(outputs & rest)
        if outputs & apart:
            yield from ((item, at) for at in [*gates, *[None] * in_rest])
        elif gates or in_rest:
            yield item, None


def _first_weight(plan: Plan, values: set[int]) -> tuple[float, int]:
    """Returns (weight, column) of the first product among values."""
    terms = [
        (float(term.weight), term.columns[0])
        for point in plan.points
        if point.outputs[0] in values
        for term in point.terms
    ]
    return min(terms, default=(math.inf, 0))


# What flows where


class _Flow(NamedTuple):
    """Who reads what in a step.

    Attributes:
      items: its operations, in order.
      leaves: the position of every leaf of the carry that has a derivative.
      changing: numbers of all values that change from step to step.
      ends: what leaves the step.
      memory: what leaves as carry, and sums with memory in them that are read twice.
      made_by: the operation that makes a value.
      readers: the operations that read a value.
    """

    items: tuple[Op | Point, ...]
    leaves: dict[int, int]
    changing: set[int]
    ends: set[int]
    memory: set[int]
    made_by: dict[int, Op | Point]
    readers: dict[int, list[Op | Point]]

    def back_from(self, starts: set[int], until: set[int]) -> set[int]:
        """Returns the starts and what they are made of, without `until`."""
        found = {*starts}
        for item in reversed(self.items):
            if found & {*item.outputs}:
                found |= item.reads - until
        return found

    def leaves_in(self, values: set[int]) -> tuple[int, ...]:
        """Returns the positions of the leaves of the carry among values."""
        return tuple(sorted(self.leaves[n] for n in values & self.leaves.keys()))

    def reading(self, values: set[int], memory: set[int]) -> set[int]:
        """Returns those that read the carry, not through each other or memory."""
        return {
            number
            for number in values
            if self.leaves_in(self.back_from({number}, values | memory))
        }

    def reached(self, until: set[int]) -> set[int]:
        """Returns what the carry reaches, without `until` and what lies behind."""
        found = {*self.leaves}
        for item in self.items:
            if item.reads & found:
                found |= {*item.outputs} - until
        return found

    def only_reader(self, number: int) -> Op | None:
        """Returns the operation that reads a value, if there is only one."""
        readers = self.readers.get(number, [])
        alone = len(readers) == 1 and number not in self.ends
        return readers[0] if alone and isinstance(readers[0], Op) else None

    def is_of_one(self, item: Op | Point | None) -> bool:
        """Whether this is an operation with one output and one changing input."""
        if not isinstance(item, Op):
            return False
        return len(item.outputs) == len(item.reads & self.changing) == 1


def _flow_of(plan: Plan) -> _Flow:
    program, items = plan.program, plan.inside
    leaves = {
        number: at
        for at, number in enumerate(program.carry)
        if jnp.issubdtype(program.avals[number].dtype, jnp.inexact)
    }
    made_by = {number: item for item in items for number in item.outputs}
    readers: dict[int, list[Op | Point]] = {}
    for item in items:
        for number in item.reads:
            readers.setdefault(number, []).append(item)
    leaving = numbers(program.outputs[: len(program.carry)])
    return _Flow(
        items=items,
        leaves=leaves,
        changing={*made_by, *program.carry, *program.x},
        ends=numbers(program.outputs),
        memory=leaving.union(_sums(plan, {*leaves})) - leaves.keys(),
        made_by=made_by,
        readers=readers,
    )


def _sums(plan: Plan, memory: set[int]) -> Iterator[int]:
    """Yields sums with memory in them that are read in two places."""
    times_read = Counter(n for item in plan.inside for n in item.reads)
    times_read.update(n for n in plan.program.outputs if isinstance(n, int))
    for item in plan.inside:
        if isinstance(item, Point) or not item.reads & memory:
            continue
        if item.name in HANDED_ON:
            memory = memory.union(item.outputs)
        elif item.name in SUMMING and times_read[item.outputs[0]] > 1:
            yield item.outputs[0]


def _activated(flow: _Flow) -> dict[int, tuple[int, str]]:
    """Returns what each pre-activation becomes, and by which activation."""
    found: dict[int, tuple[int, str]] = {}
    for op in flow.items:
        if isinstance(op, Op) and op.name in ACTIVATIONS and flow.is_of_one(op):
            (output,) = op.outputs
            pieces = flow.readers.get(output, [])
            if pieces and output not in flow.ends and all(map(_is_slice, pieces)):
                found |= {n: (n, _name(op)) for piece in pieces for n in piece.outputs}
            else:
                said = _rescaled(output, flow), _name(op)
                found.setdefault(_before(op, flow), said)
    ours = flow.made_by.keys() - flow.memory
    return {number: said for number, said in found.items() if number in ours}


def _is_slice(item: Op | Point) -> bool:
    return isinstance(item, Op) and item.name in SLICING


def _before(activation: Op, flow: _Flow) -> int:
    """Returns what an activation reads, before any fixed shift or scale.

    Two activations of one pre-activation are one gate.
    """
    (number,) = activation.reads & flow.changing
    item = flow.made_by.get(number)
    while isinstance(item, Op) and item.name in LINEAR and flow.is_of_one(item):
        (before,) = item.reads & flow.changing
        if before not in flow.made_by:
            break
        number, item = before, flow.made_by[before]
    return number


def _rescaled(number: int, flow: _Flow) -> int:
    """Returns an activation after its move to another range, such as 4 σ(z) - 2."""
    value, op = number, flow.only_reader(number)
    while op is not None and op.name in LINEAR and flow.is_of_one(op):
        (number,) = op.outputs
        value = number if op.name in {"add", "sub"} else value
        op = flow.only_reader(number)
    return value


def _name(activation: Op) -> str:
    if activation.name != "custom_jvp_call":
        return ACTIVATIONS[activation.name]
    return activation.eqn.params["call_jaxpr"].jaxpr.debug_info.func_name
