"""A step edge by edge: each place that reads the carry reads a copy of its own.

A carry is read in several places of a step: by every gate, and by the part that is
kept. These places are the edges. Where all copies are equal the step is the cell's; its
derivative with respect to one copy is the part of the Jacobian that begins with that
edge, and the parts of all copies add up to the whole.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from lstm_jax.cells.cell import Cell
from lstm_jax.types import Carry, Params

Copies = Mapping[str, Carry]
"""One copy of the carry per edge, by the name of the edge."""

StepByEdge = Callable[[Params, Copies, Any], tuple[Carry, Any]]
"""`(params, copies, x) -> (carry, y)`."""


class Edges(NamedTuple):
    """The edges of a cell.

    Attributes:
      names: of the edges. A step that does not count hands its carry on along the
        first.
      step: `(params, copies, x) -> (carry, y)`; functions that make one are cached, so
        that equal cells have equal edges.
      memory: the field of the carry that the first edge keeps, each unit times its own
        forget factor; None for a cell without one.
      layers: of a stack, the edges of its layers; edge k of layer l is then named
        "l.k", and a step that does not count hands every layer on along its own first.
    """

    names: tuple[str, ...]
    step: StepByEdge
    memory: str | None
    layers: "tuple[Edges, ...]" = ()


def first_copy(edges: Edges, copies: Copies) -> Carry:
    """Returns the carry as the first edge reads it; of a stack, that of each layer."""
    if not edges.layers:
        return copies[edges.names[0]]
    return tuple(
        first_copy(layer, _of_layer(at, layer, copies))
        for at, layer in enumerate(edges.layers)
    )


@cache
def one_edge(cell: Cell) -> Edges:
    """Returns the edges of a cell whose memory is read in one place."""

    def step(params, copies, x):
        return cell.step(params, copies["h"], x)

    return Edges(("h",), step, memory=None)


@cache
def stacked(layers: tuple[Edges, ...]) -> Edges:
    """Returns the edges of `stack`, layer 0 at the bottom."""

    def step(params, copies, x):
        leaving = []
        for at, layer in enumerate(layers):
            carry, x = layer.step(params[at], _of_layer(at, layer, copies), x)
            leaving.append(carry)
        return tuple(leaving), x

    names = [f"{at}.{name}" for at, layer in enumerate(layers) for name in layer.names]
    return Edges(tuple(names), step, memory=None, layers=layers)


@cache
def around(
    wrapper: Callable[..., Cell], cell: Cell, edges: Edges, **options: Any
) -> Edges:
    """Returns the edges of a wrapped cell, which are those of the cell.

    Args:
      wrapper: its `step` calls that of the cell once, with the carry as it is; what it
        reads of the carry itself it reads along the first edge.
      cell: inside.
      edges: of the cell.
      **options: of the wrapper.
    """
    # Not the cached wrapper, which would hold on to the copies.
    wrapped = inspect.unwrap(wrapper)

    def step(params, copies, x):
        def of_copies(params, carry, x):
            del carry
            return edges.step(params, copies, x)

        by_edge = wrapped(replace(cell, step=of_copies), **options)
        return by_edge.step(params, first_copy(edges, copies), x)

    return edges._replace(step=step)


def _of_layer(at: int, layer: Edges, copies: Copies) -> Copies:
    return {name: copies[f"{at}.{name}"][at] for name in layer.names}
