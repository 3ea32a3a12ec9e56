"""A step function as a list of operations on numbered values.

`trace` runs a step once on abstract values and flattens its jaxpr: nested `jit`s are
inlined, every value gets a number, and arrays that the step closes over become
parameters. The result is data that `weight_products` reads and `scanning` evaluates.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jax.extend.core import (
    ClosedJaxpr,
    DebugInfo,
    Jaxpr,
    JaxprEqn,
    Literal,
    Var,
    jaxpr_as_fun,
)

from lstm_jax.types import Carry, Params

# Calls that only group operations; all but the first are names in other versions.
INLINED = {"jit", "pjit", "closed_call", "core_call"}

Value: TypeAlias = int | Literal
"""What an operation reads: the number of a value, or a constant written in place."""


class Op(NamedTuple):
    """One operation of a step."""

    eqn: JaxprEqn
    inputs: tuple[Value, ...]
    outputs: tuple[int, ...]

    @property
    def name(self) -> str:
        """The name of its primitive."""
        return self.eqn.primitive.name

    @property
    def reads(self) -> set[int]:
        """The numbers of its inputs."""
        return numbers(self.inputs)


def numbers(values: tuple[Value, ...]) -> set[int]:
    """Returns the numbers among values: the literals are left out."""
    return {value for value in values if isinstance(value, int)}


class Program(NamedTuple):
    """A step: its operations in order, and the values that enter and leave it.

    Attributes:
      ops: the operations.
      params: numbers of the leaves of the params, then of what the step closes over.
      closed_over: the arrays behind the latter.
      carry: numbers of the leaves of the entering carry.
      x: numbers of the leaves of the input.
      outputs: the leaves of the leaving carry, then those of y.
      avals: shape and dtype of every value, by number.
      leaves_as: (carry, y) as `jax.ShapeDtypeStruct`s.
    """

    ops: tuple[Op, ...]
    params: tuple[int, ...]
    closed_over: list[Any]
    carry: tuple[int, ...]
    x: tuple[int, ...]
    outputs: tuple[Value, ...]
    avals: dict[int, Any]
    leaves_as: tuple[Carry, Any]

    def leaves_of_params(self, params: Params) -> list[Any]:
        """Returns the values of `params`."""
        return [*jax.tree.leaves(params), *self.closed_over]

    def unflattened(self, leaves: tuple[list[Any], list[Any]]) -> tuple[Carry, Any]:
        """Returns (carry, y) of their leaves."""
        structures = map(jax.tree.structure, self.leaves_as)
        carry, y = map(jax.tree.unflatten, structures, leaves)
        return carry, y


def trace(
    step: Callable[[Params, Carry, Any], tuple[Carry, Any]],
    params: Params,
    carry: Carry,
    x: Any,
) -> Program:
    """Returns the program of a step; the arguments may be abstract.

    Raises:
      TypeError: the step does not return a pair.
    """
    closed, returned = jax.make_jaxpr(step, return_shape=True)(params, carry, x)
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        kinds = jax.tree.map(lambda leaf: jax.typeof(leaf).str_short(), returned)
        raise TypeError(f"scan body output must be a pair, got {kinds}.")
    flat = _Flattened(ops=[], avals={}, constants={})
    inputs = [flat.number(var) for var in closed.jaxpr.invars]
    outputs = flat.inline(closed, inputs)
    after_params = len(jax.tree.leaves(params))
    after_carry = after_params + len(jax.tree.leaves(carry))
    return Program(
        ops=tuple(flat.ops),
        params=(*inputs[:after_params], *flat.constants),
        closed_over=list(flat.constants.values()),
        carry=tuple(inputs[after_params:after_carry]),
        x=tuple(inputs[after_carry:]),
        outputs=tuple(outputs),
        avals=flat.avals,
        leaves_as=(returned[0], returned[1]),
    )


class _Flattened(NamedTuple):
    """What accumulates while nested jaxprs are inlined."""

    ops: list[Op]
    avals: dict[int, Any]
    constants: dict[int, Any]

    def number(self, var: Var) -> int:
        number = len(self.avals)
        self.avals[number] = var.aval
        return number

    def inline(
        self, called: Jaxpr | ClosedJaxpr, arguments: Sequence[Value]
    ) -> list[Value]:
        jaxpr = called.jaxpr if isinstance(called, ClosedJaxpr) else called
        values: dict[Var, Value] = dict(zip(jaxpr.invars, arguments, strict=True))
        if isinstance(called, ClosedJaxpr):
            for var, constant in zip(jaxpr.constvars, called.consts, strict=True):
                number = self.number(var)
                values[var] = number
                self.constants[number] = constant
        for eqn in jaxpr.eqns:
            inputs = [_look_up(values, atom) for atom in eqn.invars]
            if eqn.primitive.name in INLINED:
                outputs = self.inline(_called(eqn), inputs)
            else:
                outputs = [self.number(var) for var in eqn.outvars]
                self.ops.append(Op(eqn, tuple(inputs), tuple(outputs)))
            values |= dict(zip(eqn.outvars, outputs, strict=True))
        return [_look_up(values, atom) for atom in jaxpr.outvars]


def _look_up(values: dict[Var, Value], atom: Var | Literal) -> Value:
    return atom if isinstance(atom, Literal) else values[atom]


def _called(eqn: JaxprEqn) -> Jaxpr | ClosedJaxpr:
    return eqn.params.get("jaxpr") or eqn.params["call_jaxpr"]


def inner_jaxprs(eqn: JaxprEqn) -> list[Jaxpr | ClosedJaxpr]:
    """Returns the programs inside an operation, such as a loop or a checkpoint."""
    held = jax.tree.leaves([*eqn.params.values()], is_leaf=_is_jaxpr)
    return [*filter(_is_jaxpr, held)]


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, Jaxpr | ClosedJaxpr)


def evaluate(op: Op, values: dict[int, Any]) -> list[Any]:
    """Returns the outputs of one operation.

    The equation runs as its own jaxpr: that is public and the same in every version of
    jax; binding a primitive by hand is neither.
    """
    inputs = {
        var: read(value, values)
        for var, value in zip(op.eqn.invars, op.inputs, strict=True)
        if isinstance(var, Var)
    }
    origin = DebugInfo(
        traced_for="lj.scan",
        func_src_info=op.name,
        arg_names=("",) * len(inputs),
        result_paths=("",) * len(op.outputs),
    )
    eqn = op.eqn
    jaxpr = Jaxpr((), [*inputs], [*eqn.outvars], [eqn], eqn.effects, origin)
    return jaxpr_as_fun(ClosedJaxpr(jaxpr, ()))(*inputs.values())


def read(value: Value, values: dict[int, Any]) -> Any:
    """Returns what a value stands for."""
    if isinstance(value, int):
        return values[value]
    aval: Any = value.aval
    return np.asarray(value.val, aval.dtype)


def interpreted(
    step: Callable[[Params, Carry, Any], tuple[Carry, Any]],
    each: Callable[[Op, dict[int, Any]], list[Any]],
) -> Callable[[Params, Carry, Any], tuple[Carry, Any]]:
    """Returns the step with its operations run by `each` in place of `evaluate`."""

    def run(params, carry, x):
        program = trace(step, params, carry, x)
        return run_program(program, params, carry, x, each)

    return run


def run_program(
    program: Program,
    params: Params,
    carry: Carry,
    x: Any,
    each: Callable[[Op, dict[int, Any]], list[Any]] = evaluate,
) -> tuple[Carry, Any]:
    """Returns (carry, y) of one step, whose operations are run by `each`."""
    of_params = program.leaves_of_params(params)
    of_carry, of_x = jax.tree.leaves(carry), jax.tree.leaves(x)
    return program.unflattened(run_step(program, of_params, of_carry, of_x, each))


def run_step(
    program: Program,
    params: list[Any],
    carry: list[Any],
    x: list[Any],
    each: Callable[[Op, dict[int, Any]], list[Any]] = evaluate,
) -> tuple[list[Any], list[Any]]:
    """Returns the leaves of (carry, y) of one step; arguments as for `every_value`."""
    values = every_value(program, params, carry, x, each)
    outputs = [read(value, values) for value in program.outputs]
    return outputs[: len(carry)], outputs[len(carry) :]


def every_value(
    program: Program,
    params: list[Any],
    carry: list[Any],
    x: list[Any],
    each: Callable[[Op, dict[int, Any]], list[Any]] = evaluate,
) -> dict[int, Any]:
    """Returns all that one step computes, by number; `each` runs one operation.

    `params` are the values of `program.params`; `carry` and `x` are leaves.
    """
    numbers = (*program.params, *program.carry, *program.x)
    values = dict(zip(numbers, (*params, *carry, *x), strict=True))
    for op in program.ops:
        values |= dict(zip(op.outputs, each(op, values), strict=True))
    return values
