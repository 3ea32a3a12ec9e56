"""Pre-activations: sums of products with weights, found among the values of a step.

Sums, slices, splits and transposes commute with a product, so they are moved onto its
matrix.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from jax.extend.core import Literal

from lstm_jax.engine.plans import Affine, Bias, Term
from lstm_jax.engine.programs import Op, Program, Value
from lstm_jax.types import Shape

SUMMING = {"add", "sub", "add_any", "neg"}
SLICING = {"slice", "split"}
COMMUTING = SUMMING | SLICING | {"transpose"}


def pre_activations(
    program: Program, ops: list[Op], fixed: set[int]
) -> dict[int, Affine]:
    """Returns the values that points compute, by their numbers.

    A value that a sum or slice would absorb, but that something else reads too, is kept
    whole: absorbing it would compute it twice.
    """
    kept: set[int] = set()
    while True:
        affines = _affine_values(program, ops, fixed, kept)
        swallowed, clashing = _swallowed(ops, affines, program.outputs, kept)
        if not clashing:
            return {n: a for n, a in affines.items() if n not in swallowed}
        kept |= clashing


def _swallowed(
    ops: list[Op],
    affines: dict[int, Affine],
    outputs: tuple[Value, ...],
    kept: set[int],
) -> tuple[set[int], set[int]]:
    readers: dict[int, list[Op | None]] = {number: [] for number in affines}
    for op in ops:
        for number in op.reads:
            if number in readers:
                readers[number].append(op)
    for number in outputs:
        if isinstance(number, int) and number in readers:
            readers[number].append(None)

    def swallows(op: Op | None) -> bool:
        return op is not None and op.name in COMMUTING and op.outputs[0] in affines

    swallowed, clashing = set(), set()
    for number in affines.keys() - kept:
        by = [swallows(op) for op in readers[number]]
        slices = [op is not None and op.name in SLICING for op in readers[number]]
        if all(by) and (len(by) == 1 or (by and all(slices))):
            swallowed.add(number)
        elif any(by):
            clashing.add(number)
    return swallowed, clashing


def _affine_values(
    program: Program, ops: list[Op], fixed: set[int], kept: set[int]
) -> dict[int, Affine]:
    affines: dict[int, Affine] = {}
    side_by_side = {
        op.outputs[0]: op
        for op in ops
        if op.name == "concatenate" and not op.reads & fixed
    }
    for op in ops:
        seen = {n: affines[n] for n in op.reads if n in affines and n not in kept}
        if op.name == "dot_general":
            found = [_product(program, op, fixed, side_by_side)]
        elif op.name in SUMMING:
            found = [_sum(op, fixed, seen)]
        elif op.name in SLICING:
            found = _sliced(op, seen)
        elif op.name == "transpose":
            found = [_transposed(op, seen)]
        else:
            continue
        affines |= {n: a for n, a in zip(op.outputs, found, strict=True) if a}
    return affines


class Operands(NamedTuple):
    """The value that changes and the matrix of a product, and their positions."""

    moving: int
    weight: int
    moving_at: int
    weight_at: int


def operands_of(op: Op, fixed: set[int]) -> Operands | None:
    """Returns the operands of a product, if exactly one of them changes."""
    left, right = op.inputs
    if not isinstance(left, int) or not isinstance(right, int):
        return None
    if (left in fixed) == (right in fixed):
        return None
    return (
        Operands(left, right, 0, 1) if right in fixed else Operands(right, left, 1, 0)
    )


def _product(
    program: Program, op: Op, fixed: set[int], side_by_side: dict[int, Op]
) -> Affine | None:
    operands = operands_of(op, fixed)
    if operands is None or why_no_weight_product(program, op, operands):
        return None
    contracting, _ = op.eqn.params["dimension_numbers"]
    weight_axis = contracting[operands.weight_at][0]
    weight_shape = program.avals[operands.weight].shape
    width = weight_shape[1 - weight_axis]
    whole = Term(
        operand=operands.moving,
        operand_axis=contracting[operands.moving_at][0],
        weight=operands.weight,
        weight_axis=weight_axis,
        rows=(0, weight_shape[weight_axis]),
        columns=(0, width),
        sign=1,
        settings=(
            op.eqn.params["precision"],
            op.eqn.params["preferred_element_type"],
        ),
    )
    last = program.avals[op.outputs[0]].ndim - 1
    return Affine(
        axis=last if operands.moving_at == 0 else 0,
        width=width,
        terms=tuple(_parts(whole, side_by_side)),
        biases=(),
    )


def _shape(atom: Any) -> Shape:
    return atom.aval.shape


def _parts(term: Term, side_by_side: dict[int, Op]) -> Iterator[Term]:
    """[a, b] W = a W[:m] + b W[m:]: splits what was concatenated."""
    source = side_by_side.get(term.operand)
    if source is None or source.eqn.params["dimension"] != term.operand_axis:
        yield term
        return
    start = 0
    for part, var in zip(source.inputs, source.eqn.invars, strict=True):
        stop = start + _shape(var)[term.operand_axis]
        yield term._replace(operand=part, rows=(start, stop))
        start = stop


def why_no_weight_product(program: Program, op: Op, operands: Operands) -> str | None:
    """Returns why a product can't be a weight product; None if it can."""
    contracting, batch = op.eqn.params["dimension_numbers"]
    if batch[0]:
        return "it has batch dimensions"
    if program.avals[operands.weight].ndim != 2 or len(contracting[0]) != 1:
        return "the weight is not a matrix, contracted along one axis"
    if op.eqn.params.get("out_sharding") is not None:
        return "its result has its own sharding"
    return None


def _sum(op: Op, fixed: set[int], seen: dict[int, Affine]) -> Affine | None:
    shape = _shape(op.eqn.outvars[0])
    signs = (-1,) if op.name == "neg" else (1, -1 if op.name == "sub" else 1)
    layouts = {(part.axis, part.width) for part in seen.values()}
    if len(layouts) != 1:
        return None
    ((axis, width),) = layouts
    terms, biases = [], []
    for value, var, sign in zip(op.inputs, op.eqn.invars, signs, strict=True):
        if isinstance(value, Literal) or value in fixed:
            biases.append(Bias(value, (0, width), sign))
        elif value in seen and _shape(var) == shape:
            terms += [t._replace(sign=sign * t.sign) for t in seen[value].terms]
            biases += [b._replace(sign=sign * b.sign) for b in seen[value].biases]
        else:
            return None
    return Affine(axis, width, tuple(terms), tuple(biases))


def _sliced(op: Op, seen: dict[int, Affine]) -> list[Affine | None]:
    if not seen:
        return [None] * len(op.outputs)
    (whole,) = seen.values()
    if op.name == "split":
        along, sizes = op.eqn.params["axis"], [int(n) for n in op.eqn.params["sizes"]]
        pieces = list(_split(whole, sizes)) if along == whole.axis else []
        return [*pieces] or [None] * len(op.outputs)
    return [_slice(op, whole)]


def _slice(op: Op, whole: Affine) -> Affine | None:
    starts, stops = op.eqn.params["start_indices"], op.eqn.params["limit_indices"]
    (var,) = op.eqn.invars
    cut = {
        axis
        for axis, size in enumerate(_shape(var))
        if (starts[axis], stops[axis]) != (0, size)
    }
    if cut - {whole.axis} or set(op.eqn.params["strides"] or (1,)) != {1}:
        return None
    return _columns(whole, starts[whole.axis], stops[whole.axis])


def _transposed(op: Op, seen: dict[int, Affine]) -> Affine | None:
    """The features may move, in one piece, from the first axis to the last or back."""
    if not seen:
        return None
    (whole,) = seen.values()
    permutation = tuple(op.eqn.params["permutation"])
    last = len(permutation) - 1
    to_last = whole.axis == 0 and permutation == (*range(1, last + 1), 0)
    to_first = whole.axis == last and permutation == (last, *range(last))
    if whole.biases or not (to_last or to_first):
        return None
    return whole._replace(axis=last if to_last else 0)


def _split(whole: Affine, sizes: list[int]) -> Iterator[Affine]:
    start = 0
    for size in sizes:
        yield _columns(whole, start, start + size)
        start += size


def _columns(whole: Affine, start: int, stop: int) -> Affine:
    def within(part):
        first = part.columns[0]
        return part._replace(columns=(first + start, first + stop))

    return Affine(
        whole.axis,
        stop - start,
        tuple(map(within, whole.terms)),
        tuple(map(within, whole.biases)),
    )
