"""A plan: a step split into what is done once and what is done at every step.

A **point** is one product per operand, with the matrices of all its pre-activations
side by side:

    z = Σ_i a_i W_i + b
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from lstm_jax.engine.programs import Op, Program, Value, numbers

ACTIVATIONS = {"tanh", "logistic"}
"""Their derivatives follow from their values."""


class Term(NamedTuple):
    """sign * (operand · weight[rows, columns]), each axis that of its own array."""

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
        """What two terms must agree in to share one product."""
        return self.operand, self.operand_axis, self.settings


class Bias(NamedTuple):
    """sign * value[columns]: a summand that is the same at every step."""

    value: Value
    columns: tuple[int, int]
    sign: int


Columns = TypeVar("Columns", Term, Bias)


class Affine(NamedTuple):
    """A pre-activation; its features lie along `axis`, the last one or the first."""

    axis: int
    width: int
    terms: tuple[Term, ...]
    biases: tuple[Bias, ...]


class Point(NamedTuple):
    """Pre-activations with the same operands, computed and activated together.

    Attributes:
      place: its index among the points of a plan.
      outputs: the numbers of the pre-activations, after their activation.
      affines: the pre-activations.
      activations: for each pre-activation a name in `ACTIVATIONS`, or None.
    """

    place: int
    outputs: tuple[int, ...]
    affines: tuple[Affine, ...]
    activations: tuple[str | None, ...]

    @property
    def axis(self) -> int:
        """The axis along which the features lie."""
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
      constants: numbers of the values from outside that `inside` reads.
      refused: one line for every product with weights that is not a weight product.
      remade: places of the points whose outputs are recomputed, not saved.
      in_loop: places of the points whose weight gradients are summed in the loop.
      on_a_mesh: whether the batch may be sharded over devices.
      on_a_gpu: whether every array that a step stores costs a kernel of its own.
    """

    program: Program
    outside: tuple[Op, ...]
    inside: tuple[Op | Point, ...]
    constants: tuple[int, ...]
    refused: tuple[str, ...]
    remade: frozenset[int] = frozenset()
    in_loop: frozenset[int] = frozenset()
    on_a_mesh: bool = False
    on_a_gpu: bool = False

    @property
    def points(self) -> list[Point]:
        """The points, in the order of their places."""
        return [item for item in self.inside if isinstance(item, Point)]

    @property
    def leaving_points(self) -> list[Point]:
        """The points whose pre-activations leave as y and are read nowhere else."""
        leaving = self.program.outputs[: len(self.program.carry)]
        read = numbers(leaving).union(*(item.reads for item in self.inside))
        return [
            point
            for point in self.points
            if not any(point.activations) and not read & {*point.outputs}
        ]

    @property
    def saved_points(self) -> list[Point]:
        """The points whose outputs are saved."""
        without = self.remade | {point.place for point in self.leaving_points}
        return [point for point in self.points if point.place not in without]

    @property
    def saved_operands(self) -> list[int]:
        """The other values saved: operands of weight products, computed in the step."""
        points = [point for point in self.points if point.place not in self.in_loop]
        operands = set().union(*(point.reads for point in points))
        saved = {number for point in self.saved_points for number in point.outputs}
        return sorted(operands - saved - {*self.program.carry, *self.program.x})

    @property
    def weights_as_given(self) -> bool:
        """Whether every point multiplies by whole matrices, as they lie in memory."""
        return all(
            _is_whole(column, self.program)
            for point in self.points
            for column in zip(*(affine.terms for affine in point.affines), strict=True)
        )

    def moving_outputs(self, moves: frozenset[int]) -> list[bool]:
        """Which leaves of (carry, y) are among the values that move."""
        return [bool(numbers((value,)) & moves) for value in self.program.outputs]

    @property
    def read_in_the_loop(self) -> set[int]:
        """Values whose tangents the loop reads; `every_step_product` has the rest."""
        alone = {point.place for point in self.points} - self.in_loop
        reads = [
            item.reads
            for item in self.inside
            if not (isinstance(item, Point) and item.place in alone)
        ]
        return numbers(self.program.outputs).union(*reads)


def joined(terms: tuple[Columns, ...]) -> list[Columns]:
    """Joins neighbouring columns of one value, which saves copying them."""
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


def numbered(items: Iterable[Op | Point]) -> Iterator[Op | Point]:
    """Gives points their places, in order."""
    place = 0
    for item in items:
        yield item._replace(place=place) if isinstance(item, Point) else item
        place += isinstance(item, Point)
