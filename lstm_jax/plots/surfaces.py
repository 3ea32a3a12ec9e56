"""Functions of two numbers, and walks over them."""

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.patheffects import withStroke


def error_surface(
    axes: Axes,
    x: Float[np.ndarray, " x"],
    y: Float[np.ndarray, " y"],
    values: Float[np.ndarray, "y x"],
    label: str,
) -> None:
    """Draws a surface from above, dark where it is low, with a colour bar.

    Colours scale with the square root of the height, to show the bottom.

    Args:
      axes: drawn on.
      x: evenly spaced.
      y: evenly spaced.
      values: the height at (x, y), at least 0.
      label: what the height is.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> x, y = np.linspace(0, 1, 3), np.linspace(0, 1, 4)
      >>> lj.plots.error_surface(axes, x, y, np.add.outer(y, x) + 1, "error")
      >>> len(axes.get_figure().axes)  # the surface, and its colour bar
      2
    """
    picture = axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        extent=(x[0], x[-1], y[0], y[-1]),
        cmap="cividis",
        norm=PowerNorm(0.5, vmin=0.0),
        interpolation="none",
    )
    bar = axes.figure.colorbar(picture, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2)


def walk(
    axes: Axes,
    points: Float[np.ndarray, "update 2"],
    label: str,
    *,
    colour: str,
    marker: str,
) -> None:
    """Draws the points an optimiser visits; the start is hollow, the end filled.

    Args:
      axes: drawn on.
      points: (x, y) before the first update and after each.
      label: for the legend.
      colour: of line and marker.
      marker: at both ends.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> points = np.array([[0, 0], [1, 1]])
      >>> lj.plots.walk(axes, points, "plain", colour="black", marker="o")
      >>> axes.get_legend_handles_labels()[1]
      ['plain']
    """
    width = matplotlib.rcParams["lines.linewidth"]
    # A white rim: on the surface's own shade a line in grey print is not seen.
    rim = withStroke(linewidth=width + 1.2, foreground="white")
    axes.plot(
        *points.T,
        path_effects=[rim],
        linewidth=width,
        color=colour,
        marker=marker,
        markevery=[len(points) - 1],
        markeredgecolor="white",
        markersize=7,
        label=label,
    )
    axes.plot(*points[0], "o", color="white", markeredgecolor="black", markersize=5)
