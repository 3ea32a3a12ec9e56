"""The look of every figure, once.

The same colour for a cell everywhere (Okabe & Ito's colour-blind-safe palette), a
second mark (line style, marker) so that a grey print reads too, thin axes, no boxes.
"""

from typing import Any

import matplotlib

COLOURS = {
    "rnn": "#D55E00",
    "irnn": "#D55E00",
    "indrnn": "#D55E00",
    "antisymmetric_rnn": "#D55E00",
    "minimal_rnn": "#D55E00",
    "lstm": "#0072B2",
    "projection_lstm": "#0072B2",
    "layer_norm_lstm": "#0072B2",
    "lstm97": "#56B4E9",
    "peephole_lstm": "#56B4E9",
    "lesson_peephole_lstm": "#56B4E9",
    "four_gate": "#009E73",
    "gru": "#CC79A7",
    "gru_reset_before": "#CC79A7",
    "mgu": "#CC79A7",
    "cifg_lstm": "#E69F00",
    "janet": "#E69F00",
}
"""One colour for a family of cells; the marker tells its members apart."""

MARKERS = {
    "rnn": "o",
    "irnn": "v",
    "indrnn": "<",
    "antisymmetric_rnn": ">",
    "minimal_rnn": "X",
    "lstm": "s",
    "projection_lstm": "p",
    "layer_norm_lstm": "h",
    "lstm97": "s",
    "peephole_lstm": "P",
    "lesson_peephole_lstm": "*",
    "four_gate": "^",
    "gru": "D",
    "gru_reset_before": "d",
    "mgu": "H",
    "cifg_lstm": "s",
    "janet": "o",
}
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
    """Returns the colour of a cell, by its name in CELLS or a variant's, rnn_relu."""
    for name in sorted(COLOURS, key=len, reverse=True):
        if cell.startswith(name):
            return COLOURS[name]
    return GREY


def marker_of(cell: str) -> str:
    """Returns the marker of a cell, found like its colour."""
    for name in sorted(MARKERS, key=len, reverse=True):
        if cell.startswith(name):
            return MARKERS[name]
    return "x"
