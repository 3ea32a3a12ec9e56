"""An experiment in parts: each measures one law, and together they make the record."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from experiments.common import records
from experiments.common.progress import progress
from experiments.common.records import Quantity, Record


class Found(NamedTuple):
    """What one part of the experiment found, as a `Record` has it."""

    arrays: dict[str, Quantity]
    axes: Mapping[str, Iterable[Any]] = {}
    rows: Sequence[dict[str, Any]] = ()
    lines: Sequence[str] = ()


def row(what: str, quantity: str, measured: str, expected: str) -> dict[str, str]:
    """Returns a row of the table: what was measured beside what a law says."""
    return dict(what=what, quantity=quantity, measured=measured, expected=expected)


def record_of(
    name: str, config: Any, parts: Mapping[str, Callable[[Any], Found]]
) -> Record:
    """Measures the parts, named as the progress shows them, and returns the record."""
    start, found = time.monotonic(), []
    with progress(len(parts)) as advance:
        for what, measure in parts.items():
            advance(what, 0)
            found.append(measure(config))
            advance(what, 1)
    return records.new(
        name,
        asdict(config),
        start,
        arrays={name: array for part in found for name, array in part.arrays.items()},
        axes={axis: entries for part in found for axis, entries in part.axes.items()},
        rows=[row for part in found for row in part.rows],
        verdict=["", *(line for part in found for line in part.lines)],
    )
