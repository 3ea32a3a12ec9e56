"""What a figure says: a sentence above it, and names at the ends of its lines."""

import textwrap
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lstm_jax.plots.curves import note
from lstm_jax.plots.style import scale

WIDTH_OF_LETTER = 0.62  # of its size: the mean of the bold letters
LINE_HEIGHT = 1.25  # of the size of its letters
LEAST_HEIGHT = 0.75  # of axes, that titles and labels leave when all is laid out
DARK = 0.18  # relative luminance: on white a contrast of 4.6, WCAG's least for text
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear red, green and blue (sRGB)


def headline(figure: Figure, sentence: str, *, size: int = 12) -> None:
    r"""Writes the finding above a figure, bold and from its left edge.

    Args:
      figure: written on.
      sentence: broken into as many lines as the figure's width needs.
      size: of the letters, in points.

    Example:
      >>> from matplotlib.figure import Figure
      >>> figure = Figure(figsize=(3, 2))
      >>> lj.plots.headline(figure, "An RNN forgets the bear. An LSTM keeps it.")
      >>> figure.get_suptitle().count("\n")
      1
    """
    grown = scale()
    width = figure.get_figwidth() * grown.figure * 72
    letters = int(width / (WIDTH_OF_LETTER * size * grown.letters))
    text = "\n".join(textwrap.wrap(sentence, letters))
    figure.suptitle(text, x=0.01, ha="left", fontweight="bold", fontsize=size)


def label_ends(axes: Axes, *, size: int = 8) -> None:
    """Writes the label of every line to the right of its end, and none over another.

    It takes the place of a legend. Call it when everything is drawn: the limits of the
    axes must be final.

    Args:
      axes: their lines with a label get it, in their own colour, darkened to be read.
      size: of the letters, in points.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> lines = axes.plot([0, 1], [0, 1], label="up") + axes.plot([0, 1], [1, 0])
      >>> lj.plots.label_ends(axes)
      >>> [text.get_text() for text in axes.texts]
      ['up']
    """
    lines = [line for line in axes.lines if _name(line) and _end(axes, line)]
    if not lines:
        return
    height = LEAST_HEIGHT * axes.get_window_extent().height * 72 / axes.figure.dpi
    wanted = np.array([_end(axes, line)[0] for line in lines])
    rows = np.array([1 + _name(line).count("\n") for line in lines])
    moved = _apart(wanted * height, LINE_HEIGHT * size * rows) - wanted * height
    for line, y, offset in zip(lines, wanted, moved, strict=True):
        style: dict[str, Any] = {"coords": "axes fraction", "size": size}
        style |= {"va": "center", "color": ink(line.get_color())}
        note(axes, _name(line), (1, float(y)), (4, float(offset)), **style)


def ink(colour: Any) -> str:
    """Returns the colour, darkened until letters in it can be read on white.

    Example:
      >>> lj.plots.ink("#000000"), lj.plots.ink("#F0E442") < "#F0E442"
      ('#000000', True)
    """
    rgb = np.array(to_rgb(colour))
    while np.dot(LUMINANCE, rgb**2.2) > DARK:
        rgb = 0.95 * rgb
    return to_hex(tuple(rgb))


def _name(line: Line2D) -> str:
    name = str(line.get_label())
    return "" if name.startswith("_") else name


def _end(axes: Axes, line: Line2D) -> tuple[float, ...]:
    """Returns the height of a line's last point, as a share of the axes' height.

    Empty if no point of it lies between the left and the right edge.
    """
    axes.get_xlim(), axes.get_ylim()  # brings the transforms up to date
    pixels = line.get_transform().transform(line.get_xydata())
    places = axes.transAxes.inverted().transform(pixels)
    seen = np.isfinite(places).all(1) & (np.abs(places[:, 0] - 0.5) < 0.5 + 1e-6)
    return (float(np.clip(places[seen][-1, 1], 0, 1)),) if seen.any() else ()


def _apart(heights: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Returns the heights nearby at which texts of these sizes don't overlap."""
    order, placed = np.argsort(heights, kind="stable"), heights.astype(float)
    for _ in range(20 * len(placed)):
        for lower, upper in pairwise(order):
            overlap = (sizes[lower] + sizes[upper]) / 2 - (
                placed[upper] - placed[lower]
            )
            placed[lower] -= max(0, overlap) / 2
            placed[upper] += max(0, overlap) / 2
    return placed
