"""Tables as lines of text that fit the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

# Aligned left; they say what a row is about.
TEXT_COLUMNS = ("cell", "when", "task", "networks", "what", "quantity")


def lines(rows: Sequence[Mapping[str, Any]], width: int | None = None) -> list[str]:
    """Returns a table as lines of text that fit into `width` characters, if given.

    Columns for which there is no room follow below, after those that say what a row is
    about. All rows have the same columns.
    """
    if not rows:
        return []
    columns = {name: _column(name, rows) for name in rows[0]}
    first = [name for name in columns if name in TEXT_COLUMNS] or [next(iter(columns))]
    shown, above = list(first), []
    for name in (name for name in columns if name not in first):
        if shown != first and not _fit([*shown, name], columns, width):
            above += [*_side_by_side(shown, columns), ""]
            shown = list(first)
        shown.append(name)
    return above + _side_by_side(shown, columns)


def _fit(shown: list[str], columns: dict[str, list[str]], width: int | None) -> bool:
    return width is None or len(_side_by_side(shown, columns)[0]) <= width


def _side_by_side(shown: list[str], columns: dict[str, list[str]]) -> list[str]:
    return ["  ".join(row) for row in zip(*map(columns.get, shown), strict=True)]


def _column(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the cells of a column, padded to the same width, under its name."""
    cells = [name, *(str(row[name]) for row in rows)]
    width, is_text = max(map(len, cells)), isinstance(rows[0][name], str)
    if is_text and name in TEXT_COLUMNS:
        return [cell.ljust(width) for cell in cells]
    return [cell.rjust(width) for cell in cells]
