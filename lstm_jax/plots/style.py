"""The style of every figure.

A cell has the same colour everywhere (from a colour-blind-safe palette) and a second
mark (line style, marker) that survives grey print; thin axes, no boxes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib

from lstm_jax.cells import CELLS
from lstm_jax.checks import check_choice
from lstm_jax.plots.enlarging import PAPER, Scale, enlarge

Given = ParamSpec("Given")
Drawn = TypeVar("Drawn")

# Okabe & Ito (2008); of their eight the two that white paper hides come last.
PALETTE = (
    *("#D55E00", "#0072B2", "#009E73", "#56B4E9", "#E69F00", "#CC79A7"),
    *("#000000", "#F0E442"),
)
"""One colour per family of cells, in the order of CELLS."""

MARKERS = (*"os^vpP*<hXDdH>", (4, 1, 0), (4, 1, 45), (3, 1, 0), (6, 1, 0), "8")
"""One per cell, in the order of CELLS, to tell the members of a family apart."""

LINE_STYLES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
"""One per variant of a cell, such as its forget biases."""

GREY = "#555555"
"""What belongs to no cell: theory, notes, cells without a family."""

STYLE: dict[Any, Any] = {
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "lstm_jax",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
"""What differs from matplotlib's own style; sizes are in points."""

STYLES = {"paper": PAPER, "slide": Scale(letters=1.4, lines=1.5, figure=1.2)}
"""How much larger things are than on paper: "slide" is read from afar."""

_current = ContextVar("style", default=PAPER)


def styled(draw: Callable[Given, Drawn]) -> Callable[Given, Drawn]:
    """Decorator: the function draws in STYLE, as large as `in_style` says.

    Example:
      >>> from matplotlib.figure import Figure
      >>> print(lj.plots.styled(lambda: Figure(figsize=(5, 4)))().get_figwidth())
      5.0
    """

    @wraps(draw)
    def drawn(*args: Given.args, **kwargs: Given.kwargs) -> Drawn:
        with matplotlib.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            enlarge(figure, scale())
        return figure

    return drawn


@contextmanager
def in_style(name: str) -> Iterator[None]:
    """Within it, every `styled` function draws for paper, or for a slide.

    Args:
      name: one of STYLES.

    Raises:
      ValueError: there is no such style.

    Example:
      >>> from matplotlib.figure import Figure
      >>> draw = lj.plots.styled(lambda: Figure(figsize=(5, 4)))
      >>> with lj.plots.in_style("slide"):
      ...     figure = draw()
      >>> print(figure.get_figwidth())
      6.0
    """
    check_choice("style", name, STYLES)
    former = _current.set(STYLES[name])
    try:
        yield
    finally:
        _current.reset(former)


def scale() -> Scale:
    """Returns how large things are drawn now, against paper."""
    return _current.get()


def colour_of(cell: str) -> str:
    """Returns the colour of a cell's family, grey if it has none.

    Args:
      cell: its name in CELLS or that of a variant, such as rnn_relu.

    Example:
      >>> lj.plots.colour_of("lstm"), lj.plots.colour_of("unknown")
      ('#0072B2', '#555555')
    """
    known = _known(cell)
    family = "" if known is None else CELLS[known].family
    families = list(dict.fromkeys(cell.family for cell in CELLS.values()))
    return PALETTE[families.index(family) % len(PALETTE)] if family else GREY


def marker_of(cell: str) -> Any:
    """Returns the marker of a cell, found like its colour; x if it is unknown.

    Example:
      >>> lj.plots.marker_of("rnn"), lj.plots.marker_of("unknown")
      ('o', 'x')
    """
    known = _known(cell)
    return "x" if known is None else MARKERS[[*CELLS].index(known) % len(MARKERS)]


def line_of(cell: str, variant: int) -> dict[str, Any]:
    """Returns the style of a cell's curve; its variants differ in line style.

    Args:
      cell: its name, as for `colour_of`.
      variant: which of several curves of that cell.

    Example:
      >>> style = lj.plots.line_of("rnn", 0)
      >>> style["color"], style["linestyle"]
      ('#D55E00', '-')
    """
    colour = colour_of(cell)
    return {
        "color": colour,
        "linestyle": LINE_STYLES[variant % len(LINE_STYLES)],
        "marker": marker_of(cell),
        "markerfacecolor": "white" if variant % 2 else colour,
    }


def _known(cell: str) -> str | None:
    """Returns the longest name of CELLS that a cell's name begins with."""
    return max(filter(cell.startswith, CELLS), key=len, default=None)
