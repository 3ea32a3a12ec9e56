"""The look of every figure, once.

The same colour for a cell everywhere (a colour-blind-safe palette), a second mark
(line style, marker) so that a grey print reads too, thin axes, no boxes.
"""

from typing import Any

import matplotlib

from lstm_jax.cells import CELLS

# Okabe & Ito (2008); of their eight the two that white paper hides come last.
PALETTE = (
    *("#D55E00", "#0072B2", "#009E73", "#56B4E9", "#E69F00", "#CC79A7"),
    *("#000000", "#F0E442"),
)
"""One colour for a family of cells, in the order of CELLS."""

MARKERS = (*"os^vpP*<hXDdH>", (4, 1, 0), (4, 1, 45), (3, 1, 0), (6, 1, 0), "8")
"""One for a cell, in the order of CELLS: it tells the members of a family apart."""

LINE_STYLES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
GREY = "#555555"

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


styled = matplotlib.rc_context(STYLE)
"""Decorator of a function that draws: it draws in this style."""


def colour_of(cell: str) -> str:
    """Returns the colour of a cell's family, grey where it has none.

    Args:
      cell: its name in CELLS, or that of a variant, rnn_relu.
    """
    known = _known(cell)
    family = "" if known is None else CELLS[known].family
    families = list(dict.fromkeys(cell.family for cell in CELLS.values()))
    return PALETTE[families.index(family) % len(PALETTE)] if family else GREY


def marker_of(cell: str) -> Any:
    """Returns the marker of a cell, found like its colour; x where it is not known."""
    known = _known(cell)
    return "x" if known is None else MARKERS[[*CELLS].index(known) % len(MARKERS)]


def _known(cell: str) -> str | None:
    """Returns the longest name of CELLS that a cell's name begins with."""
    return max(filter(cell.startswith, CELLS), key=len, default=None)
