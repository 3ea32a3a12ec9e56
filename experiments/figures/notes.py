"""Small texts inside a panel."""

from typing import Any

from matplotlib.axes import Axes


def note(
    axes: Axes,
    text: str,
    point: tuple[float, float],
    offset: tuple[float, float] = (0, 0),
    **looks: Any,
) -> None:
    """Writes a text at a point of the data, shifted by `offset` (1/72 inch)."""
    looks = {"xytext": offset, "textcoords": "offset points", "fontsize": 8} | looks
    axes.annotate(text, point, **looks)
