"""Gradients pulled back through one step, every number with its own exponent.

A walk back over the operations of a traced function. An operation does one of these to
a cotangent:

* an activation (`tanh`, `logistic`) multiplies by its slope, which is computed from its
  input and keeps its exponent where 1 - tanh² is zero in a float;
* another function of single numbers multiplies by its derivative, number by number;
* a rearrangement moves mantissas and exponents alike;
* a product with a matrix, or a repetition, sums; the terms are first brought to one
  exponent, the largest of each row;
* anything else (a loop, a function with its own rule) is left to `jax.vjp`, with one
  exponent for the whole array.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.engine.programs import Op, Program, evaluate, every_value, read, trace
from lstm_jax.gradients.exponents import scaled, wide
from lstm_jax.gradients.exponents.scaled import Scaled
from lstm_jax.gradients.exponents.wide import Wide

REARRANGING = {
    "concatenate",
    "copy",
    "expand_dims",
    "reduce_sum",
    "reshape",
    "rev",
    "slice",
    "split",
    "squeeze",
    "transpose",
}
"""Each number of the cotangent moves, to one place or several, unchanged."""

SUMMING = {"add", "add_any", "convert_element_type", "neg", "select_n", "sub"}
"""Functions of single numbers whose slope is 1, -1 or 0."""

BY_NUMBER = {
    "abs",
    "clamp",
    "cos",
    "div",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "integer_pow",
    "log",
    "log1p",
    "max",
    "min",
    "mul",
    "pow",
    "rsqrt",
    "sin",
    "sqrt",
    "square",
}
"""Other functions of single numbers."""


def wide_vjp(
    function: Callable[[list[Array]], list[Array]], primals: list[Array]
) -> tuple[list[Array], Callable[[Sequence[Scaled]], list[Wide]]]:
    """Returns the outputs, and a pullback from a `Scaled` each to a `Wide` per primal.

    The cotangents have exponents of one shape, leading axes of all outputs and primals.
    """
    program = trace(lambda _, primals, __: (function(primals), ()), (), primals, ())
    values = every_value(program, program.closed_over, primals, [])
    outputs = [jnp.asarray(read(number, values)) for number in program.outputs]
    return outputs, partial(_pull, program, values, primals)


def _pull(
    program: Program,
    values: dict[int, Any],
    primals: list[Array],
    cotangents: Sequence[Scaled],
) -> list[Wide]:
    base = jnp.max(jnp.stack([c.exponent for c in cotangents]), axis=0)
    found: dict[int, Wide] = {}
    for number, cotangent in zip(program.outputs, cotangents, strict=True):
        if isinstance(number, int):
            _add(found, number, _above(base, cotangent))
    moving = _moving(program)
    for op in reversed(program.ops):
        if any(number in found for number in op.outputs):
            of_outputs = [found.pop(number, None) for number in op.outputs]
            for number, part in _through(op, values, of_outputs, moving).items():
                _add(found, number, part)
    zeros = [wide.widened(jnp.zeros_like(primal)) for primal in primals]
    return [
        _times_power(found.get(number, zero), base)
        for number, zero in zip(program.carry, zeros, strict=True)
    ]


def _moving(program: Program) -> set[int]:
    """Returns the numbers of values that depend on the primals, differentiably."""
    moving = {*program.carry}
    for op in program.ops:
        if op.reads & moving:
            moving |= {
                number
                for number in op.outputs
                if _has_derivative(program.avals[number])
            }
    return moving


def _add(found: dict[int, Wide], number: int, part: Wide) -> None:
    found[number] = wide.plus(found[number], part) if number in found else part


def _above(base: Array, cotangent: Scaled) -> Wide:
    """Returns cotangent / 2**base, with an exponent for every number."""
    mantissa, exponent = cotangent
    rest = tuple(range(exponent.ndim, mantissa.ndim))
    above = jnp.expand_dims(exponent - base, rest)
    return Wide(mantissa, jnp.broadcast_to(above, mantissa.shape))


def _times_power(value: Wide, base: Array) -> Wide:
    """Returns value * 2**base."""
    rest = tuple(range(base.ndim, value.mantissa.ndim))
    exponent = value.exponent + jnp.expand_dims(base, rest)
    return Wide(value.mantissa, jnp.maximum(exponent, scaled.ZERO_EXPONENT))


# What an operation does


def _through(
    op: Op, values: dict[int, Any], of_outputs: list[Wide | None], moving: set[int]
) -> dict[int, Wide]:
    """Returns what flows back to each moving input, by number."""
    cotangents = [
        _nothing(var.aval) if cotangent is None else cotangent
        for cotangent, var in zip(of_outputs, op.eqn.outvars, strict=True)
        if _has_derivative(var.aval)
    ]
    rule = _rule(op, values)
    return {
        number: _without_zeros(rule(op, values, cotangents, number))
        for number in op.reads & moving
    }


def _has_derivative(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jnp.inexact)


def _nothing(aval: Any) -> Wide:
    zeros = jnp.zeros(aval.shape, aval.dtype)
    return Wide(zeros, jnp.full(aval.shape, scaled.ZERO_EXPONENT, jnp.int32))


def _without_zeros(value: Wide) -> Wide:
    exponent = jnp.where(value.mantissa == 0, scaled.ZERO_EXPONENT, value.exponent)
    return Wide(value.mantissa, exponent)


def _rule(op: Op, values: dict[int, Any]) -> Callable[..., Wide]:
    if len(op.reads) < sum(isinstance(value, int) for value in op.inputs):
        return _by_jax  # one value is read in two places
    if op.name in wide.SLOPES:
        return _activation
    if op.name in SUMMING and _is_alike(op, values):
        return _summand
    if op.name in BY_NUMBER and _is_alike(op, values) and not _is_complex(op, values):
        return _by_number
    if op.name in REARRANGING:
        return _rearranged
    if op.name == "dot_general":
        return _product
    return _repetition if op.name == "broadcast_in_dim" else _by_jax


def _is_alike(op: Op, values: dict[int, Any]) -> bool:
    aval: Any = op.eqn.outvars[0].aval
    return all(values[number].shape == aval.shape for number in op.reads)


def _is_complex(op: Op, values: dict[int, Any]) -> bool:
    return any(jnp.iscomplexobj(values[number]) for number in op.reads)


def _of(op: Op, values: dict[int, Any], number: int) -> Callable[[Array], list[Array]]:
    """Returns the operation as a function of one of its inputs."""

    def outputs(value):
        found = evaluate(op, values | {number: value})
        pairs = zip(found, op.eqn.outvars, strict=True)
        return [output for output, var in pairs if _has_derivative(var.aval)]

    return outputs


def _pulled(
    op: Op, values: dict[int, Any], mantissas: list[Array], number: int
) -> Array:
    _, pullback = jax.vjp(_of(op, values, number), values[number])
    return pullback(mantissas)[0]


def _activation(
    op: Op, values: dict[int, Any], cotangents: list[Wide], number: int
) -> Wide:
    return wide.times(cotangents[0], wide.SLOPES[op.name](values[number]))


def _summand(
    op: Op, values: dict[int, Any], cotangents: list[Wide], number: int
) -> Wide:
    mantissa = _pulled(op, values, [cotangents[0].mantissa], number)
    return cotangents[0]._replace(mantissa=mantissa)


def _by_number(
    op: Op, values: dict[int, Any], cotangents: list[Wide], number: int
) -> Wide:
    value = values[number]
    _, (slope,) = jax.jvp(_of(op, values, number), (value,), (jnp.ones_like(value),))
    product = wide.times(cotangents[0], wide.widened(slope))
    return product._replace(mantissa=product.mantissa.astype(value.dtype))


def _rearranged(
    op: Op, values: dict[int, Any], cotangents: list[Wide], number: int
) -> Wide:
    """Exponents are moved by the same operation, on integers."""
    mantissa = _pulled(op, values, [c.mantissa for c in cotangents], number)
    integers = {n: jnp.zeros_like(values[n], jnp.int32) for n in op.reads}
    move = jax.linear_transpose(_of(op, integers, number), integers[number])
    (exponent,) = move([c.exponent for c in cotangents])
    return Wide(mantissa, exponent)


def _product(
    op: Op, values: dict[int, Any], cotangents: list[Wide], number: int
) -> Wide:
    """A product's cotangent has the axes (batch, free of the left, of the right)."""
    contracting, batch = op.eqn.params["dimension_numbers"]
    left = op.inputs[0] == number
    side = 0 if left else 1
    own = [
        axis
        for axis in range(values[number].ndim)
        if axis not in {*contracting[side], *batch[side]}
    ]
    ndim = cotangents[0].mantissa.ndim
    first, last = len(batch[0]), len(batch[0]) + len(own)
    summed = range(last, ndim) if left else range(first, ndim - len(own))
    top = wide.top_exponent(cotangents[0], tuple(summed))
    mantissa = _pulled(op, values, [wide.over_power(cotangents[0], top)], number)
    axes = (*batch[side], *own)
    top = jnp.squeeze(top, tuple(summed)).transpose(
        sorted(range(len(axes)), key=axes.__getitem__)
    )
    exponent = jax.lax.broadcast_in_dim(top, mantissa.shape, sorted(axes))
    return Wide(mantissa, exponent)


def _repetition(
    op: Op, values: dict[int, Any], cotangents: list[Wide], number: int
) -> Wide:
    shape, kept = values[number].shape, op.eqn.params["broadcast_dimensions"]
    sizes = dict(zip(kept, shape, strict=True))
    whole = cotangents[0].mantissa.shape
    summed = tuple(axis for axis, size in enumerate(whole) if sizes.get(axis) != size)
    top = wide.top_exponent(cotangents[0], summed)
    mantissa = _pulled(op, values, [wide.over_power(cotangents[0], top)], number)
    return Wide(mantissa, top.reshape(shape))


def _by_jax(
    op: Op, values: dict[int, Any], cotangents: list[Wide], number: int
) -> Wide:
    tops = [wide.top_exponent(c, tuple(range(c.mantissa.ndim))) for c in cotangents]
    top = jnp.max(jnp.stack([jnp.ravel(t)[0] for t in tops]))
    mantissas = [wide.over_power(cotangent, top) for cotangent in cotangents]
    mantissa = _pulled(op, values, mantissas, number)
    return Wide(mantissa, jnp.broadcast_to(top, mantissa.shape))
