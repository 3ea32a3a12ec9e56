"""A record as text: what was asked and found, without the numbers.

It is `records.Record` that shows itself so, and its module imports this one.
"""

import dataclasses
from importlib import import_module
from typing import Any

from experiments.common import wording

MOST_LINES = 24  # of a screen


def text(record: Any) -> str:
    """Returns what a notebook or a Python prompt shows of a record, on one screen."""
    made = record.made
    sizes = {axis: len(entries) for axis, entries in record.axes.items()}
    width = max(map(len, record.arrays), default=0)
    quantities = (
        f"  {name:<{width}}  {_axes(quantity, sizes)}"
        for name, quantity in record.arrays.items()
    )
    lines = [
        f"Record of {record.experiment}: {made['wall_seconds']:.0f} s on "
        f"{device(made)}, {made['date'][:10]}",
        f"settings: {_settings(record)}",
        "arrays:",
        *quantities,
    ]
    verdict = list(filter(None, record.verdict))
    room = MOST_LINES - len(lines)
    if len(verdict) > room:
        verdict[room - 1 :] = [
            f"... and {len(verdict) - room + 1} lines more in .verdict"
        ]
    return "\n".join(map(wording.printable, [*lines, *verdict]))


def device(made: dict[str, Any]) -> str:
    """Returns the device of a record; JAX's two words for a CPU are the same."""
    return made["device"].removeprefix("cpu: ")


def _axes(quantity: Any, sizes: dict[str, int]) -> str:
    axes = ", ".join(f"{axis} {sizes[axis]}" for axis in quantity.axes)
    return f"({axes})" + (f" in {quantity.unit}" if quantity.unit != "1" else "")


def _settings(record: Any) -> str:
    """Returns the settings that are not the defaults, as in the call of a Config."""
    defaults = _defaults(record.experiment)
    changed = [
        f"{name}={value!r}"
        for name, value in record.config.items()
        if name not in defaults or _plain(defaults[name]) != _plain(value)
    ]
    if len(changed) == len(record.config):
        return ", ".join(changed)
    return (
        ", ".join(changed) + "; the others as by default" if changed else "the defaults"
    )


def _defaults(experiment: str) -> dict[str, Any]:
    """Returns the defaults of an experiment's Config; none of one that is not here."""
    try:
        config = import_module(f"experiments.{experiment}").Config
    except ImportError:
        return {}
    return {field.name: field.default for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    """Returns a list for a tuple, which a saved record holds as a list."""
    return list(value) if isinstance(value, tuple) else value
