"""A drawn figure, enlarged: its letters, its lines, and the space around them."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axis import Axis
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation, Text


class Scale(NamedTuple):
    """How large things are against paper.

    Attributes:
      letters: factor of all sizes of text, and of its distance from what it names.
      lines: factor of the widths of lines and the sizes of markers.
      figure: factor of width and height, in which the larger letters find room.
    """

    letters: float
    lines: float
    figure: float


PAPER = Scale(letters=1.0, lines=1.0, figure=1.0)


def enlarge(figure: Any, scale: Scale) -> None:
    """Enlarges what a figure holds; leaves anything but a figure as it is."""
    if not isinstance(figure, Figure) or scale == PAPER:
        return
    figure.set_figwidth(figure.get_figwidth() * scale.figure)
    figure.set_figheight(figure.get_figheight() * scale.figure)
    for text in _found(figure, Text):
        text.set_fontsize(text.get_fontsize() * scale.letters)
        if isinstance(text, Annotation):
            text.xyann = tuple(np.multiply(text.xyann, scale.letters))
    for axis in _found(figure, Axis):
        # Ticks that a later draw makes are as large as those of now.
        for tick in axis.get_major_ticks()[:1]:
            axis.set_tick_params(which="both", labelsize=tick.label1.get_fontsize())
    for line in _found(figure, Line2D):
        line.set_markersize(line.get_markersize() * scale.lines)
        line.set_linewidth(line.get_linewidth() * scale.lines)
    for shape in (*_found(figure, Patch), *_found(figure, Collection)):
        shape.set_linewidth(np.multiply(shape.get_linewidth(), scale.lines))


def _found(figure: Figure, kind: type) -> list[Any]:
    """Returns every artist of a kind once."""
    return list(dict.fromkeys(figure.findobj(kind)))
