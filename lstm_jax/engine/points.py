"""Points at work: Σ_i a_i W_i + b of one step, and products for all steps at once."""

import math
from collections.abc import Callable
from itertools import accumulate, compress
from operator import not_
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.engine.plans import Plan, Point, Term
from lstm_jax.engine.sizes import at_most
from lstm_jax.engine.weights import Weights

# When a product with x moves out of the loop (docs/decisions/002-engine.md).
LARGE_MATRIX = 4 * 2**20  # bytes
FEW_ROWS = 32
# Without differentiation, by how much what is held may be larger than the matrix.
TIMES_THE_MATRIX = 4


class Ready(NamedTuple):
    """The weights of a point as the forward step reads them.

    A product over ONE feature is an outer product, which XLA fuses with what follows
    if its row and the bias are split like the pre-activations.
    """

    wide: list[tuple[Term, Array]]
    narrow: list[tuple[Term, list[Array]]]
    bias: Any


def made_ready(plan: Plan, weights: list[Weights]) -> list[Ready]:
    """Returns the weights of every point as the forward step reads them."""
    return [_ready(plan, point, weights[point.place]) for point in plan.points]


def _ready(plan: Plan, point: Point, weights: Weights) -> Ready:
    terms = list(zip(point.terms, weights.matrices, strict=True))
    narrow = [pair for pair in terms if _is_narrow(plan, *pair)]
    if not narrow:
        return Ready(terms, [], weights.bias)
    rows = [(term, jnp.split(row[0], _borders(point))) for term, row in narrow]
    wide = [pair for pair in terms if not _is_narrow(plan, *pair)]
    bias = weights.bias
    if bias is not None:
        bias = jnp.split(bias, _borders(point), axis=point.axis)
    return Ready(wide, rows, bias)


def _borders(point: Point) -> list[int]:
    return [*accumulate(point.widths)][:-1]


def _is_narrow(plan: Plan, term: Term, matrix: Array) -> bool:
    operand = plan.program.avals[term.operand]
    _, preferred_element_type = term.settings
    dtypes = {operand.dtype, matrix.dtype, preferred_element_type or matrix.dtype}
    one_feature = operand.ndim > 1 and operand.shape[term.operand_axis] == 1
    return one_feature and len(dtypes) == 1


def with_products_ahead(
    plan: Plan, ready: list[Ready], xs: list, *, kept_anyway: bool
) -> tuple[list[Ready], list[Any]]:
    """Moves products of large matrices with x out of the loop, all steps in one.

    XLA:CPU copies a matrix to a new layout for every product. With few rows and a
    matrix larger than the cache, that costs more than multiplying. `kept_anyway` says
    that pre-activations of all steps are held in any case; if not, only those of few
    steps are moved.
    """
    inputs = dict(zip(plan.program.x, xs, strict=True))
    left, ahead = [], []
    for point, of_point in zip(plan.points, ready, strict=True):
        if point.place in plan.remade:
            left.append(of_point)
            ahead.append(None)
            continue
        wide = of_point.wide
        pays = [_pays_ahead(plan, *pair, inputs, kept_anyway) for pair in wide]
        taken = [*compress(wide, pays)]
        kept = [*compress(wide, map(not_, pays))]
        total = None
        for term, matrix in taken:
            rows = inputs[term.operand]
            total = plus(total, every_step_product(plan, point, term, rows, matrix))
        left.append(of_point._replace(wide=kept))
        ahead.append(total)
    return left, ahead


def _pays_ahead(
    plan: Plan, term: Term, matrix: Array, inputs: dict[int, Array], kept_anyway: bool
) -> bool:
    if term.operand not in inputs:
        return False
    operand = plan.program.avals[term.operand]
    features = operand.shape[term.operand_axis]
    few = at_most(operand.size, FEW_ROWS * features)
    small = TIMES_THE_MATRIX * features * features  # all steps' rows, times features
    fits = kept_anyway or at_most(inputs[term.operand].size, small)
    return few and fits and at_most(LARGE_MATRIX, matrix.nbytes)


def point_outputs(
    point: Point, ready: Ready, values: dict[int, Any], ahead: Any
) -> list[Array]:
    """Returns the outputs of a point: its pre-activations, after their activation."""
    return [
        z if name is None else ACTIVATIONS[name].value(z)
        for name, z in zip(
            point.activations,
            _pre_activations(point, ready, values, ahead),
            strict=True,
        )
    ]


def _pre_activations(
    point: Point, ready: Ready, values: dict[int, Any], ahead: Any
) -> list[Array]:
    total = ahead
    for term, matrix in ready.wide:
        total = plus(total, product(point, term, values[term.operand], matrix))
    if not ready.narrow:
        return split(point, plus(total, ready.bias))
    pieces: list[Any] = [None] * len(point.outputs)
    if total is not None:
        pieces = split(point, total)
    for term, rows in ready.narrow:
        operand = values[term.operand]
        outer = [_outer(point, term, operand, row) for row in rows]
        pieces = [plus(piece, part) for piece, part in zip(pieces, outer, strict=True)]
    if ready.bias is None:
        return pieces
    return [plus(piece, b) for piece, b in zip(pieces, ready.bias, strict=True)]


def _outer(point: Point, term: Term, operand: Array, row: Array) -> Array:
    column = jnp.moveaxis(operand, term.operand_axis, -1)
    product = column * jnp.expand_dims(row, tuple(range(column.ndim - 1)))
    return product if point.axis else jnp.moveaxis(product, -1, 0)


class Activation(NamedTuple):
    """A function y of one number, and its derivative in terms of y."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


ACTIVATIONS = {
    "tanh": Activation(jnp.tanh, lambda y: 1 - y * y),
    # Not by tanh, which is about 5 % faster: 0.5 * tanh(0.5 * z) + 0.5 is 0 in float32
    # where a closed gate is still exp(z).
    "logistic": Activation(jax.nn.sigmoid, lambda y: y * (1 - y)),
}


def activation_tangents(
    point: Point, outputs: list[Array], tangents: list[Any]
) -> list[Any]:
    """Returns the tangents of a point's outputs from those of its pre-activations."""
    return [
        d if name is None or d is None else ACTIVATIONS[name].slope(y) * d
        for name, y, d in zip(point.activations, outputs, tangents, strict=True)
    ]


def product(point: Point, term: Term, operand: Array, matrix: Array) -> Array:
    """Returns operand · W of one step."""
    return _contract(point, term, operand, matrix, 0)


def turned_product(point: Point, term: Term, operand: Array, turned: Array) -> Array:
    """Returns operand · W of one step, W given as its transpose."""
    return _contract(point, term, operand, turned, 1)


def _contract(
    point: Point, term: Term, operand: Array, matrix: Array, matrix_axis: int
) -> Array:
    sides = [(operand, term.operand_axis), (matrix, matrix_axis)]
    if point.axis == 0 and operand.ndim > 1:
        sides.reverse()
    (left, left_axis), (right, right_axis) = sides
    precision, preferred_element_type = term.settings
    return jax.lax.dot_general(
        left,
        right,
        (((left_axis,), (right_axis,)), ((), ())),
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def every_step_product(
    plan: Plan, point: Point, term: Term, operands: Array, matrix: Array
) -> Array:
    """Returns operand · W of all steps, as ONE product of two matrices.

    JAX transposes it to operandsᵀ @ cotangents. With a separate time axis, XLA would
    first copy all cotangents into another order; if the batch may be sharded, merged
    axes would make it gather them, which costs more.
    """
    rows = jnp.moveaxis(operands, term.operand_axis + 1, -1)
    apart = rows.shape[:-1]
    if not plan.on_a_mesh:
        rows = rows.reshape(math.prod(apart), rows.shape[-1])
    precision, preferred_element_type = term.settings
    product = jnp.matmul(
        rows,
        matrix,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )
    product = product.reshape(*apart, matrix.shape[-1])
    return jnp.moveaxis(product, -1, point.axis + 1)


def split(point: Point, total: Array) -> list[Array]:
    """Returns the pieces of a point, one per pre-activation."""
    return [*jax.lax.split(total, point.widths, axis=point.axis)]


def packed(plan: Plan, point: Point, outputs: list[Array]) -> list[Array]:
    """Returns what is saved of a point: on a GPU one array, stored by one kernel.

    Stacked, not concatenated: in the shape of the pre-activations, XLA would make the
    zeros for their cotangents together with this array's, before both loops.
    """
    alike = len(outputs) > 1 and len({*point.widths}) == 1
    if alike and plan.on_a_gpu and not plan.on_a_mesh:
        return [jnp.stack(outputs)]
    return outputs


def unpacked(point: Point, saved: list[Array], axis: int) -> list[Array]:
    """Returns the outputs of a point from what is saved, stacked along `axis`."""
    if len(saved) == len(point.outputs):
        return saved
    return [*jnp.unstack(saved[0], axis=axis)]


def plus(total: Any, part: Any) -> Any:
    """Returns the sum, None meaning zero; missing leading axes have size 1."""
    if total is None or part is None:
        return part if total is None else total
    rank = max(total.ndim, part.ndim)
    total, part = (
        jnp.expand_dims(term, tuple(range(rank - term.ndim))) for term in (total, part)
    )
    return total + part
