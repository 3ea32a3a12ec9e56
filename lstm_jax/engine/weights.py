"""What the points of a plan need from the params, computed once outside the loop."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal
from jaxtyping import Array

from lstm_jax.engine.plans import Bias, Plan, Point, Term, joined
from lstm_jax.engine.programs import Op, Value, evaluate, read
from lstm_jax.types import Shape


class Weights(NamedTuple):
    """The weights of one point.

    Attributes:
      matrices: one per operand, (features of the operand, width of the point).
      bias: an array that broadcasts to the point, or None.
    """

    matrices: list[Any]
    bias: Any


class Values(NamedTuple):
    """Everything that does not change from step to step, and its broadcasts."""

    by_number: dict[int, Any]
    broadcasts: dict[int, Op]


def prepare(plan: Plan, params: list[Any]) -> tuple[list[Weights], list[Any]]:
    """Returns the weights of every point, and the values of `plan.constants`.

    `params` are the values of `plan.program.params`.
    """
    program = plan.program
    numbers = dict(zip(program.params, params, strict=True))
    for op in plan.outside:
        numbers |= dict(zip(op.outputs, evaluate(op, numbers), strict=True))
    broadcasts = {
        op.outputs[0]: op for op in plan.outside if op.name == "broadcast_in_dim"
    }
    values = Values(numbers, broadcasts)
    weights = [_weights(plan, point, values) for point in plan.points]
    return weights, [numbers[number] for number in plan.constants]


def _weights(plan: Plan, point: Point, values: Values) -> Weights:
    columns = zip(*(affine.terms for affine in point.affines), strict=True)
    matrices = [_matrix(terms, values) for terms in columns]
    rank = plan.program.avals[point.outputs[0]].ndim
    return Weights(matrices, _bias(point, rank, values))


def _matrix(terms: tuple[Term, ...], values: Values) -> Array:
    blocks = [_block(run, values) for run in joined(terms)]
    return blocks[0] if len(blocks) == 1 else jnp.concatenate(blocks, axis=1)


def _block(term: Term, values: Values) -> Array:
    weight = jnp.asarray(values.by_number[term.weight])
    matrix = weight if term.weight_axis == 0 else weight.T
    block = matrix[slice(*term.rows), slice(*term.columns)]
    return block if term.sign > 0 else -block


def _bias(point: Point, rank: int, values: Values) -> Array | None:
    widths, biases = _biases(point)
    parts = [
        [_summand(bias, rank, point.axis, values) for bias in of_piece]
        for of_piece in biases
    ]
    given = [part for summands in parts for part in summands]
    if not given:
        return None
    shape = list(jnp.broadcast_shapes(*(_without(p, point.axis) for p in given)))
    pieces = []
    for summands, width in zip(parts, widths, strict=True):
        shape[point.axis] = width
        total = sum(summands[1:], start=summands[0]) if summands else 0
        pieces.append(jnp.broadcast_to(jnp.asarray(total, given[0].dtype), shape))
    return jnp.concatenate(pieces, axis=point.axis)


def _biases(point: Point) -> tuple[tuple[int, ...], list[list[Bias]]]:
    """Returns the widths of pieces, and the biases of each: one piece if possible.

    XLA would copy a bias that is reassembled from its slices.
    """
    biases = [[*affine.biases] for affine in point.affines]
    if len({len(of_piece) for of_piece in biases}) == 1:
        runs = [joined(column) for column in zip(*biases, strict=True)]
        if all(len(run) == 1 for run in runs):
            return (sum(point.widths),), [[run[0] for run in runs]]
    return point.widths, biases


def _without(array: Array, axis: int) -> Shape:
    return (*array.shape[:axis], 1, *array.shape[axis + 1 :])


def _summand(bias: Bias, rank: int, axis: int, values: Values) -> Array:
    value = _before_broadcast(bias.value, rank, values)
    if value.shape[axis] > 1:
        value = jax.lax.slice_in_dim(value, *bias.columns, axis=axis)
    return value if bias.sign > 0 else -value


def _before_broadcast(value: Value, rank: int, values: Values) -> Array:
    """Returns a summand of that rank, with size 1 along the axes of its broadcast."""
    if isinstance(value, Literal) or value not in values.broadcasts:
        array = jnp.asarray(read(value, values.by_number))
        return array if array.ndim else array.reshape((1,) * rank)
    op = values.broadcasts[value]
    source = jnp.asarray(read(op.inputs[0], values.by_number))
    shape = [1] * rank
    for axis, size in zip(
        op.eqn.params["broadcast_dimensions"], source.shape, strict=True
    ):
        shape[axis] = size
    return source.reshape(shape)
