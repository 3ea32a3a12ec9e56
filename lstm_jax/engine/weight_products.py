"""Where a step multiplies its state with its weights.

A **weight product** is a `dot_general` of a value that changes from step to step with a
matrix that does not. Products, and whatever does not change, that are only summed make
up ONE pre-activation

    z = Σ_i a_i W_i + b,

and pre-activations with the same operands a_i, such as the gates of an LSTM, make up
one **point**: one product per operand, with their matrices side by side. Sums, slices
and splits commute with a product, so they are moved onto the matrices. `analyse` reads
all of this from a `Program`, whatever library the step was written in.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from jax.extend.core import Literal

from lstm_jax.engine.programs import Op, Program, Value

# Repeated inside the loop, although they do not change: storing their results outside
# costs more than making them.
CHEAP = {"broadcast_in_dim", "iota"}

SUMMING = {"add", "sub", "add_any", "neg"}
SLICING = {"slice", "split"}
COMMUTING = SUMMING | SLICING | {"transpose"}

SQUASHES = {"tanh", "logistic"}

_OPAQUE = {
    "conv_general_dilated": "convolutions are not looked into",
    **dict.fromkeys(
        ("scan", "while", "cond", "remat", "checkpoint", "custom_jvp_call"),
        "what is inside is not looked into",
    ),
}


class Term(NamedTuple):
    """sign * (operand · weight[rows, columns]), the axes counted on their arrays."""

    operand: int
    operand_axis: int
    weight: int
    weight_axis: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    sign: int
    settings: tuple[Any, Any]

    @property
    def reading(self) -> tuple[int, int, Any]:
        """What has to agree for two terms to share one product."""
        return self.operand, self.operand_axis, self.settings


class Bias(NamedTuple):
    """sign * value[columns]: a summand that is the same at every step."""

    value: Value
    columns: tuple[int, int]
    sign: int


class Affine(NamedTuple):
    """A pre-activation; its features lie along `axis`, the last one or the first."""

    axis: int
    width: int
    terms: tuple[Term, ...]
    biases: tuple[Bias, ...]


class Point(NamedTuple):
    """Pre-activations with the same operands, computed and squashed together.

    Attributes:
      place: among the points of a plan, counted from 0.
      outputs: the numbers of the pre-activations, after their squash.
      affines: what each of them is.
      squashes: per pre-activation a name in `SQUASHES`, or None.
    """

    place: int
    outputs: tuple[int, ...]
    affines: tuple[Affine, ...]
    squashes: tuple[str | None, ...]

    @property
    def axis(self) -> int:
        """Along which the features lie."""
        return self.affines[0].axis

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of features of every pre-activation."""
        return tuple(affine.width for affine in self.affines)

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the first; the others read the same operands the same way."""
        return self.affines[0].terms

    @property
    def reads(self) -> set[int]:
        """The numbers of its operands."""
        return {term.operand for term in self.terms}


class Plan(NamedTuple):
    """A step, taken apart.

    Attributes:
      program: the step.
      outside: operations on what does not change, run once, in order.
      inside: points and the remaining operations, in order.
      constants: numbers of those values from outside that `inside` reads.
      refused: one line for every product with weights that is not a weight product.
    """

    program: Program
    outside: tuple[Op, ...]
    inside: tuple[Op | Point, ...]
    constants: tuple[int, ...]
    refused: tuple[str, ...]

    @property
    def points(self) -> list[Point]:
        """In order of their places."""
        return [item for item in self.inside if isinstance(item, Point)]

    @property
    def saved_operands(self) -> list[int]:
        """Operands of weight products that are leaves neither of the carry nor of x."""
        operands = set().union(*(point.reads for point in self.points))
        return sorted(operands - {*self.program.carry, *self.program.x})

    @property
    def weights_as_given(self) -> bool:
        """Whether every point multiplies with whole matrices, as they lie in memory."""
        return all(
            _is_whole(column, self.program)
            for point in self.points
            for column in zip(*(affine.terms for affine in point.affines), strict=True)
        )

    @property
    def read_by_ops(self) -> set[int]:
        """Values that something else than a weight product reads."""
        reads = [item.reads for item in self.inside if isinstance(item, Op)]
        return _numbers(self.program.outputs).union(*reads)


def joined(terms: tuple[Term, ...]) -> list[Term]:
    """Joins neighbouring columns of one matrix, so that nothing is copied for them."""
    runs = [terms[0]]
    for term in terms[1:]:
        last = runs[-1]
        start, stop = last.columns[0], term.columns[1]
        both = [part._replace(columns=(start, stop)) for part in (last, term)]
        if last.columns[1] == term.columns[0] and both[0] == both[1]:
            runs[-1] = both[0]
        else:
            runs.append(term)
    return runs


def _is_whole(terms: tuple[Term, ...], program: Program) -> bool:
    first, *more = joined(terms)
    block = (first.rows[1] - first.rows[0], first.columns[1] - first.columns[0])
    shape = program.avals[first.weight].shape
    return not more and first.weight_axis == 0 and first.sign > 0 and block == shape


def analyse(program: Program) -> Plan:
    """Returns the points of a program, and an order to run everything in."""
    fixed = _fixed_values(program)
    outside = [op for op in program.ops if set(op.outputs) <= fixed]
    moving = [op for op in program.ops if not set(op.outputs) <= fixed]
    affines = _pre_activations(program, moving, fixed)
    scheduled = _scheduled(moving, affines)
    inside = _needed(_squashed(scheduled, program.outputs), program.outputs)
    repeated = _repeated(outside, _reads(inside, program.outputs))
    inside = [*repeated, *inside]
    made_inside = {number for op in repeated for number in op.outputs}
    constants = (_reads(inside, program.outputs) & fixed) - made_inside
    return Plan(
        program=program,
        outside=tuple(outside),
        inside=tuple(_numbered(inside)),
        constants=tuple(sorted(constants)),
        refused=tuple(_refusals(program, inside, fixed)),
    )


def _numbers(values: tuple[Value, ...]) -> set[int]:
    return {value for value in values if isinstance(value, int)}


def _fixed_values(program: Program) -> set[int]:
    fixed = set(program.params)
    for op in program.ops:
        if op.reads <= fixed and not op.eqn.effects:
            fixed |= set(op.outputs)
    return fixed


# Pre-activations


def _pre_activations(
    program: Program, ops: list[Op], fixed: set[int]
) -> dict[int, Affine]:
    """Returns the values that points compute.

    A value that a sum or a slice would swallow, but that somebody else reads as well,
    is kept whole: swallowing it would compute it twice.
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
    """Of a product: the value that changes, the matrix, and their positions."""

    moving: int
    weight: int
    moving_at: int
    weight_at: int


def _operands(op: Op, fixed: set[int]) -> Operands | None:
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
    operands = _operands(op, fixed)
    if operands is None or _why_no_weight_product(program, op, operands):
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


def _shape(atom: Any) -> tuple[int, ...]:
    return atom.aval.shape


def _parts(term: Term, side_by_side: dict[int, Op]) -> Iterator[Term]:
    """[a, b] W = a W[:m] + b W[m:]: what was put side by side is taken apart again."""
    source = side_by_side.get(term.operand)
    if source is None or source.eqn.params["dimension"] != term.operand_axis:
        yield term
        return
    start = 0
    for part, var in zip(source.inputs, source.eqn.invars, strict=True):
        stop = start + _shape(var)[term.operand_axis]
        yield term._replace(operand=part, rows=(start, stop))
        start = stop


def _why_no_weight_product(program: Program, op: Op, operands: Operands) -> str | None:
    contracting, batch = op.eqn.params["dimension_numbers"]
    if batch[0]:
        return "it has batch dimensions"
    if program.avals[operands.weight].ndim != 2 or len(contracting[0]) != 1:
        return "the weight is not a matrix, contracted along one axis"
    if op.eqn.params.get("out_sharding") is not None:
        return "its result has a sharding of its own"
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
                        squashes=(None,) * len(together),
                    )
                )
                placed |= set(together)
        if not values:
            inside.append(op)
    return inside


def _signature(affine: Affine) -> Any:
    return affine.axis, tuple(term.reading for term in affine.terms)


def _squashed(inside: list[Op | Point], outputs: tuple[Value, ...]) -> list[Op | Point]:
    """Moves a squash that alone reads a pre-activation into its point.

    The derivative of such a squash is known from its value, so that the backward pass
    needs neither the pre-activation nor the squash again.
    """
    reads = [*_numbers(outputs), *(n for item in inside for n in item.reads)]
    times_read = Counter(reads)
    made_by_points = {n for p in inside if isinstance(p, Point) for n in p.outputs}
    squash_of = {
        number: item
        for item in inside
        if isinstance(item, Op) and item.name in SQUASHES
        for number in item.reads & made_by_points
        if times_read[number] == 1
    }
    taken = {op.outputs for op in squash_of.values()}
    return [
        _with_squashes(item, squash_of) if isinstance(item, Point) else item
        for item in inside
        if item.outputs not in taken
    ]


def _with_squashes(point: Point, squash_of: dict[int, Op]) -> Point:
    ops = [squash_of.get(number) for number in point.outputs]
    outputs = [
        op.outputs[0] if op else number
        for op, number in zip(ops, point.outputs, strict=True)
    ]
    squashes = tuple(op.name if op else None for op in ops)
    return point._replace(outputs=tuple(outputs), squashes=squashes)


def _needed(inside: list[Op | Point], outputs: tuple[Value, ...]) -> list[Op | Point]:
    wanted, kept = _numbers(outputs), []
    for item in reversed(inside):
        if wanted & set(item.outputs):
            kept.append(item)
            wanted |= item.reads
    return kept[::-1]


def _numbered(inside: list[Op | Point]) -> Iterator[Op | Point]:
    place = 0
    for item in inside:
        if isinstance(item, Point):
            yield item._replace(place=place)
            place += 1
        else:
            yield item


def _reads(inside: list[Op | Point], outputs: tuple[Value, ...]) -> set[int]:
    return _numbers(outputs).union(*(item.reads for item in inside))


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
        operands = _operands(op, fixed)
        return operands and _why_no_weight_product(program, op, operands)
    if op.name in _OPAQUE and op.reads & fixed:
        return _OPAQUE[op.name]
    return None
