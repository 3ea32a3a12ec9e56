"""Curves against the lag."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lstm_jax.plots.style import GREY, line_of

DECADES = 2  # with fewer in view, powers of ten give too few ticks


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

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> lj.plots.share_curve(axes, -np.ones((3, 10)), "lstm", "LSTM")
      >>> axes.get_legend_handles_labels()[1]
      ['LSTM']
    """
    lags = np.arange(quartiles.shape[1])
    low, median, high = quartiles / np.log(10)
    style = line_of(cell, variant)
    axes.fill_between(lags, low, high, color=style["color"], alpha=0.18, linewidth=0)
    every = (variant % 3, max(1, len(lags) // 6))
    axes.plot(lags, median, markevery=every, markersize=4, label=label, **style)


def theory_line(
    axes: Axes,
    x: Sequence[int | float] | Float[np.ndarray, " x"],
    y: Sequence[int | float] | Float[np.ndarray, " x"],
    label: str,
    *,
    dashed: bool = False,
    named: bool = False,
) -> None:
    """Draws what a theory predicts, in black as everywhere.

    Args:
      axes: drawn on.
      x: places.
      y: what is predicted there; nothing is drawn where one is infinite or NaN.
      label: the theory's name, for the legend.
      dashed: tells it from another theory's.
      named: the name is written beside a straight line, and not into the legend.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> lj.plots.theory_line(axes, [0, 40], [0, -5], "forget gates alone")
      >>> axes.get_legend_handles_labels()[1]
      ['forget gates alone']
    """
    if not np.isfinite(y).all():
        return
    style, text = (0, (3, 2)) if dashed else "-", "" if named else label
    axes.plot(x, y, color="black", linewidth=0.9, linestyle=style, label=text)
    if named:
        middle = lambda ends: 0.45 * ends[0] + 0.55 * ends[-1]
        note(axes, label, (middle(x), middle(y)), (2, 4))


def note(
    axes: Axes,
    text: str,
    place: tuple[Any, Any],
    offset: tuple[int | float, int | float] = (0, 0),
    *,
    coords: Any = "data",
    size: int = 8,
    **style: Any,
) -> None:
    """Writes a text beside a place.

    Args:
      axes: written on.
      text: on one line.
      place: (x, y).
      offset: from the place to the text, in points.
      coords: of the place, as matplotlib's `annotate` names them.
      size: of the letters, in points.
      **style: colour and alignment of the text.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> lj.plots.note(axes, "here", place=(1, 2))
      >>> [text.get_text() for text in axes.texts]
      ['here']
    """
    axes.annotate(
        text,
        place,
        xycoords=coords,
        xytext=offset,
        textcoords="offset points",
        fontsize=size,
        **style,
    )


def mark_lag(axes: Axes, lag: int, label: str) -> None:
    """Draws a thin vertical line at a lag, with a label above, where no curve is.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> lj.plots.mark_lag(axes, 20, "the scene")
      >>> [text.get_text() for text in axes.texts]
      ['the scene']
    """
    axes.axvline(lag, color=GREY, linewidth=0.6)
    above = ("data", "axes fraction")
    note(axes, label, (lag, 1), (0, 2), coords=above, ha="center", color=GREY)


def log_axis(axes: Axes, last_lag: int, title: str) -> None:
    """Labels axes whose y is a decimal logarithm and whose x is the lag.

    Ticks are powers of ten; with fewer than two decades in view, 1, 2 and 5 times
    those; if these are too few as well, evenly spaced shares.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> lj.plots.log_axis(axes, last_lag=40, title="share of the gradient left")
      >>> axes.get_xlabel()
      'lag: steps before the last one'
    """
    axes.set_title(title)
    axes.set_xlim(0, last_lag)
    axes.set_xlabel("lag: steps before the last one")
    axes.yaxis.set_major_locator(_Decades())

    def share(log_share: float, position: Any) -> str:
        low, high = map(float, axes.get_ylim())
        return _share(log_share, plain=abs(high - low) < DECADES)

    axes.yaxis.set_major_formatter(FuncFormatter(share))


class _Decades(MaxNLocator):
    """Places ticks at decimal logarithms of round shares."""

    def __init__(self):
        super().__init__(integer=True, nbins=6)

    def tick_values(self, vmin: float, vmax: float) -> Any:
        if vmax - vmin >= DECADES:
            return super().tick_values(vmin, vmax)
        # Relative to a power of ten: float64 has no share of 1e-3000.
        power = math.floor(vmin)
        low, high = 10 ** (vmin - power), 10 ** (vmax - power)
        round_shares = np.outer(10.0 ** np.arange(4), (1, 2, 5)).ravel()
        seen = round_shares[(low <= round_shares) & (round_shares <= high)]
        if len(seen) < 3:
            even = MaxNLocator(nbins=6, steps=(1, 2, 2.5, 5, 10))
            seen = np.asarray(even.tick_values(low, high))
        return power + np.log10(seen[seen > 0])


def _share(log_share: float, *, plain: bool) -> str:
    """Returns a share as a power of ten, or `plain` where it is near 1."""
    power = math.floor(log_share + 1e-9)  # the tick at 3 may be 2.9999999999999996
    digits = f"{10 ** (log_share - power):.6g}"
    if power == 0 or (plain and -3 < power < 3):
        return f"{float(digits) * 10.0**power:.6g}"
    return f"$10^{{{power}}}$" if digits == "1" else f"${digits} \\cdot 10^{{{power}}}$"


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
      interval: lower and upper end of the mean's confidence interval, drawn as a bar.
      cell: gives colour and marker.
      label: for the legend.
      variant: which of several curves of one cell; gives the line style.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> values = np.array([[1.0, 0.8], [0.9, 0.6]])  # (seed, lag)
      >>> interval = np.array([[0.8, 0.5], [1.0, 0.9]])
      >>> lj.plots.accuracy_curve(axes, [5, 10], values, interval, "lstm", "LSTM")
      >>> axes.get_legend_handles_labels()[1]
      ['LSTM']
    """
    style = line_of(cell, variant)
    axes.vlines(lags, *interval, color=style["color"], alpha=0.35, linewidth=3)
    for seed in values:
        axes.plot(lags, seed, ".", color=style["color"], markersize=3, alpha=0.6)
    axes.plot(lags, values.mean(0), markersize=5, label=label, **style)
