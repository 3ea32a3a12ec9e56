"""Pictures of what a network sees and does: images, gates, memories."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

# Its lightness grows from the lowest to the highest value, so that grey print keeps
# the sign.
SIGNED = "cividis"


def film_strip(
    axes: Axes, images: Float[np.ndarray, "time 64"], captions: Sequence[str]
) -> None:
    """Draws 8x8 images side by side, step t at x = t, with a caption above each.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> lj.plots.film_strip(axes, np.zeros((2, 64)), ["bear", "oak"])
      >>> [label.get_text() for label in axes.get_xticklabels()]
      ['bear', 'oak']
    """
    time = len(images)
    film = np.pad(images.reshape(time, 8, 8), ((0, 0), (0, 0), (1, 1)))
    film = film.transpose(1, 0, 2).reshape(8, -1)
    axes.imshow(
        film,
        cmap="Greys",
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="none",
        extent=(-0.5, time - 0.5, 0, 1),
    )
    axes.set_yticks([])
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.set_xticks(range(time), captions, rotation=35, ha="left", fontsize=8)
    axes.spines[:].set_visible(False)


def heat_map(
    axes: Axes, values: Float[np.ndarray, "time unit"], label: str, *, signed: bool
) -> None:
    """Draws one row per unit and one column per step, with a colour bar.

    Args:
      axes: drawn on; step t is at x = t.
      values: in [0, 1], or in [-limit, limit] where `signed`.
      label: what the values are.
      signed: True for memories and candidates, False for gates.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> lj.plots.heat_map(axes, np.zeros((5, 4)), "forget gate", signed=False)
      >>> axes.images[0].get_clim()
      (0.0, 1.0)
    """
    limit = float(np.nanmax(np.abs(values))) if signed else 1.0
    picture = axes.imshow(
        values.T,
        aspect="auto",
        cmap=SIGNED if signed else "Greys",
        vmin=-limit if signed else 0,
        vmax=limit,
        interpolation="none",
    )
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    bar = axes.figure.colorbar(picture, cax=axes.inset_axes((1.01, 0.0, 0.012, 1.0)))
    bar.outline.set_visible(False)
    ticks = (-limit, 0, limit) if signed else (0, 1)
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    bar.ax.tick_params(labelsize=7, length=2)


def success_map(
    axes: Axes,
    solved: Float[np.ndarray, "row column"],
    columns: Sequence[str],
    rows: Sequence[str],
) -> None:
    """Draws shares in [0, 1] as shades and numbers, first row at the bottom.

    Args:
      axes: drawn on; column k is at x = k, row k at y = k.
      solved: share of the runs that solved the task.
      columns: labels.
      rows: labels.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> solved = np.array([[1.0, 0.5]])
      >>> lj.plots.success_map(axes, solved, ["lag 5", "lag 10"], ["lstm"])
      >>> [text.get_text() for text in axes.texts]
      ['1', '0.5']
    """
    # Beyond 1, so that lines over a full share stay visible.
    axes.imshow(solved, cmap="Greys", vmin=0, vmax=1.5, aspect="auto", origin="lower")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    for (row, column), share in np.ndenumerate(solved):
        colour = "white" if share > 0.5 else "black"
        place = (column - 0.42, row)  # leaves the right half to what is drawn over it
        axes.text(*place, f"{share:.2g}", color=colour, va="center", fontsize=7)


def time_lag_picture(
    axes: Axes,
    log_shares: Float[np.ndarray, "record lag"],
    updates: Float[np.ndarray, " record"] | Int[np.ndarray, " record"],
) -> AxesImage:
    """Draws the gradient's share over training time and lag; returns the picture.

    Args:
      axes: drawn on; x is the lag, y the updates.
      log_shares: natural logarithms.
      updates: of each record, evenly spaced.

    Example:
      >>> from matplotlib.figure import Figure
      >>> axes = Figure().subplots()
      >>> import numpy as np
      >>> shares, updates = -np.ones((3, 10)), np.array([0, 10, 20])
      >>> picture = lj.plots.time_lag_picture(axes, shares, updates)
      >>> picture.get_array().shape
      (3, 10)
    """
    half = (updates[-1] - updates[0]) / max(1, len(updates) - 1) / 2 or 0.5
    return axes.imshow(
        log_shares / np.log(10),
        aspect="auto",
        origin="lower",
        cmap="viridis",
        vmin=-8,
        vmax=0,
        extent=(
            -0.5,
            log_shares.shape[1] - 0.5,
            updates[0] - half,
            updates[-1] + half,
        ),
        interpolation="none",
    )
