"""Curves in, matplotlib figures out; nothing is computed here but units.

The look of every figure, once: the same colour for a cell everywhere (Okabe & Ito's
colour-blind-safe palette), a second mark (line style, marker) so that a grey print
reads too, thin axes, no boxes.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

COLOURS = {"rnn": "#D55E00", "lstm": "#0072B2", "four_gate": "#009E73"}
MARKERS = {"rnn": "o", "lstm": "s", "four_gate": "^"}
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


def share_curve(
    axes: Axes,
    quartiles: Float[np.ndarray, "3 lag"],
    cell: str,
    label: str,
    *,
    variant: int = 0,
) -> None:
    """Draws shares of a gradient against the lag: the median in its quartile band.

    Args:
      axes: drawn on by `log_axis`.
      quartiles: natural logarithms of the share, entry 0 of the lag = last step.
      cell: gives colour and marker.
      label: for the legend.
      variant: which of several curves of one cell; gives the line style.
    """
    lags = np.arange(quartiles.shape[1])
    low, median, high = quartiles / np.log(10)
    colour = colour_of(cell)
    axes.fill_between(lags, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(
        lags,
        median,
        color=colour,
        linestyle=LINE_STYLES[variant % len(LINE_STYLES)],
        marker=marker_of(cell),
        markevery=(variant % 3, max(1, len(lags) // 6)),
        markersize=4,
        markerfacecolor="white" if variant % 2 else colour,
        label=label,
    )


def predicted_line(axes: Axes, rate: float, last_lag: int, label: str) -> None:
    """Draws the share exp(rate * lag) that a theory predicts, with its name.

    Args:
      axes: drawn on by `log_axis`.
      rate: nats per step of lag.
      last_lag: where the line ends.
      label: the theory's name for the rate.
    """
    ends = np.array([0, last_lag])
    heights = rate * ends / np.log(10)
    axes.plot(ends, heights, color="black", linewidth=0.9, linestyle=(0, (2, 2)))
    axes.annotate(
        label,
        (0.55 * last_lag, 0.55 * heights[1]),
        xytext=(2, 4),
        textcoords="offset points",
        fontsize=8,
    )


def mark_lag(axes: Axes, lag: int, label: str) -> None:
    """Draws a thin vertical line at a lag and writes what happened there."""
    axes.axvline(lag, color=GREY, linewidth=0.6)
    axes.annotate(
        label,
        (lag, 0),
        xycoords=("data", "axes fraction"),
        xytext=(-3, 4),
        textcoords="offset points",
        ha="right",
        color=GREY,
        fontsize=8,
    )


def log_axis(axes: Axes, last_lag: int, title: str) -> None:
    """Labels axes whose y is a decimal logarithm, and whose x is the lag."""
    axes.set_title(title)
    axes.set_xlim(0, last_lag)
    axes.set_xlabel("lag: steps before the last one")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.yaxis.set_major_formatter(FuncFormatter(_power_of_ten))


def _power_of_ten(value: float, position: Any = None) -> str:
    del position  # matplotlib passes it; the label follows from the value alone
    return "1" if value == 0 else f"$10^{{{value:.0f}}}$"


def accuracy_curve(
    axes: Axes,
    lags: Sequence[int],
    values: Float[np.ndarray, "seed lag"],
    interval: Float[np.ndarray, "2 lag"],
    cell: str,
    label: str,
    *,
    variant: int = 0,
) -> None:
    """Draws accuracy against the lag: the mean, its interval, and every seed.

    Args:
      axes: linear axes.
      lags: where it was measured.
      values: accuracy of each seed.
      interval: lower and upper end of the mean's confidence interval.
      cell: gives colour and marker.
      label: for the legend.
      variant: which of several curves of one cell; gives the line style.
    """
    colour = colour_of(cell)
    axes.fill_between(lags, *interval, color=colour, alpha=0.15, linewidth=0)
    for seed in values:
        axes.plot(lags, seed, ".", color=colour, markersize=3, alpha=0.6)
    axes.plot(
        lags,
        values.mean(0),
        color=colour,
        linestyle=LINE_STYLES[variant % len(LINE_STYLES)],
        marker=marker_of(cell),
        markersize=5,
        markerfacecolor="white" if variant % 2 else colour,
        label=label,
    )


def film_strip(
    axes: Axes, images: Float[np.ndarray, "time 64"], captions: Sequence[str]
) -> None:
    """Draws 8x8 images side by side, step t at x = t, with a caption above each."""
    time = len(images)
    film = np.pad(images.reshape(time, 8, 8), ((0, 0), (0, 0), (1, 1)))
    film = film.transpose(1, 0, 2).reshape(8, -1)
    axes.imshow(
        film,
        cmap="Greys",
        vmin=0,
        vmax=1,
        aspect="auto",
        extent=(-0.5, time - 0.5, 0, 1),
    )
    axes.set_yticks([])
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.set_xticks(range(time), captions, rotation=35, ha="left", fontsize=8)
    axes.spines[:].set_visible(False)


def heat_map(
    axes: Axes, values: Float[np.ndarray, "time unit"], label: str, *, signed: bool
) -> None:
    """Draws one row a unit and one column a step, with its own colour bar.

    Args:
      axes: drawn on; step t is at x = t.
      values: in [0, 1], or in [-limit, limit] where `signed`.
      label: what the values are.
      signed: memories and candidates are, gates are not.
    """
    limit = float(np.abs(values).max()) if signed else 1.0
    picture = axes.imshow(
        values.T,
        aspect="auto",
        cmap="RdBu_r" if signed else "Greys",
        vmin=-limit if signed else 0,
        vmax=limit,
        interpolation="none",
    )
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    bar = axes.figure.colorbar(picture, cax=axes.inset_axes((1.01, 0.0, 0.012, 1.0)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2)
