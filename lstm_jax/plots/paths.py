"""Which paths a gradient takes, and how long the units of a memory keep it."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from lstm_jax.plots.style import LINE_STYLES

PATH_COLOURS = {
    "cell": "#000000",
    "i": "#E69F00",
    "f": "#0072B2",
    "g": "#009E73",
    "n": "#009E73",
    "o": "#CC79A7",
    "v": "#CC79A7",
    "z": "#0072B2",
    "r": "#E69F00",
    "u": "#56B4E9",
    "h": "#D55E00",
}
"""Gates with the same role in different cells share a colour."""


def path_curves(axes: Axes, shares: dict[str, Float[np.ndarray, " lag"]]) -> None:
    """Draws one curve per path against the lag, each with its own line style.

    Args:
      axes: linear axes.
      shares: of every path, entry 0 of the lag = last step.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> lj.plots.path_curves(axes, {"cell": np.full(5, 0.8), "f": np.full(5, 0.2)})
      >>> axes.get_legend_handles_labels()[1]
      ['cell', 'f']
    """
    for order, (path, share) in enumerate(shares.items()):
        axes.plot(
            share,
            color=PATH_COLOURS.get(path),
            linestyle=LINE_STYLES[order % len(LINE_STYLES)],
            label=path,
        )


def cumulative_curve(
    axes: Axes, values: Float[np.ndarray, " value"], label: str, **style: Any
) -> None:
    """Draws the share of values that are at most x, for every x.

    Values of inf count, but are never reached; NaN is left out.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> lj.plots.cumulative_curve(axes, np.array([3.0, 1.0, 2.0]), "half-lives")
      >>> axes.get_legend_handles_labels()[1]
      ['half-lives']
    """
    ordered = np.sort(values[~np.isnan(values)])
    heights = np.arange(1, len(ordered) + 1) / len(ordered)
    known = np.isfinite(ordered)
    axes.step(ordered[known], heights[known], where="post", label=label, **style)
