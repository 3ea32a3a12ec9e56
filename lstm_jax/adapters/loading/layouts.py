"""Recognises recurrent layers among arrays, by their names and shapes."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.adapters.loading.source import Source
from lstm_jax.cells.cell import Cell

Fields = dict[str, np.ndarray]


class Module(NamedTuple):
    """A recurrent module: `torch.nn.LSTM`, a Keras layer, a Flax cell.

    Attributes:
      cell: of every layer and direction.
      layers: params from bottom to top, or `Directions` of them.
      notes: what was assumed, in words.
    """

    cell: Cell
    layers: tuple[Any, ...]
    notes: tuple[str, ...] = ()


class Layout(NamedTuple):
    """How a framework lays out the weights of a recurrent module.

    Attributes:
      key: matches a whole path; its groups are `module` and `field`.
      needs: at least one of these sets of fields must be there.
      read: `(fields, settings) -> Module`; ValueError if something does not fit.
    """

    key: re.Pattern
    needs: tuple[frozenset[str], ...]
    read: Callable[[Fields, dict[str, Any]], Module]


class Candidate(NamedTuple):
    """A module that a layout recognises, before it is read."""

    layout: Layout
    fields: Fields
    settings: dict[str, Any]

    def read(self) -> Module:
        """Reads it."""
        return self.layout.read(self.fields, self.settings)


def layout(tail: str, *needs: str, read: Callable[..., Module]) -> Layout:
    """Returns the layout of paths [module/]tail; `needs` are fields with spaces."""
    # Lazy, so that the number of a layer belongs to the field.
    key = re.compile(rf"(?:(?P<module>.+?)/)??(?P<field>{tail})")
    return Layout(key, tuple(frozenset(one.split()) for one in needs), read)


def candidates(source: Source, layouts: tuple[Layout, ...]) -> dict[str, Candidate]:
    """Returns the recurrent modules of a source by path, in the order of its arrays.

    An array belongs to one module, of the first layout that has a place for it.
    """
    found: dict[str, Candidate] = {}
    taken: set[int] = set()
    for one in layouts:
        for module, fields in _grouped(source, one):
            fields = {f: array for f, array in fields.items() if id(array) not in taken}
            if any(needed <= fields.keys() for needed in one.needs):
                taken |= set(map(id, fields.values()))
                settings = source.settings.get(module, {})
                found.setdefault(module, Candidate(one, fields, settings))
    order = {path: at for at, path in enumerate(source.arrays)}
    first = {m: min(order[p] for p in order if _within(p, m)) for m in found}
    return {module: found[module] for module in sorted(found, key=first.__getitem__)}


def _grouped(source: Source, one: Layout) -> Iterator[tuple[str, Fields]]:
    groups: dict[str, Fields] = {}
    for path, array in source.arrays.items():
        match = one.key.fullmatch(path)
        if match:
            groups.setdefault(match["module"] or "", {})[match["field"]] = array
    return iter(groups.items())


def _within(path: str, module: str) -> bool:
    return not module or path.startswith(f"{module}/")
