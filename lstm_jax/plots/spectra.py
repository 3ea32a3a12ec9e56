"""Exponents and rates, measured and predicted."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from lstm_jax.plots.style import GREY


def measured_dots(
    axes: Axes,
    x: Sequence[float] | Float[np.ndarray, " x"],
    values: Float[np.ndarray, "x seed"],
    label: str,
    *,
    colour: str = GREY,
    marker: str = "o",
    offset: float = 0.0,
) -> None:
    """Draws every seed as a dot at its x, all with one label; NaN is left out.

    `offset` shifts the dots along x, so that two sets do not overlap.
    """
    places = np.repeat(np.asarray(x, float) + offset, values.shape[1])
    axes.plot(
        places,
        values.ravel(),
        linestyle="none",
        marker=marker,
        markersize=4,
        markeredgewidth=0.8,
        markerfacecolor="none",
        color=colour,
        label=label,
    )


def ranked(
    axes: Axes,
    exponents: Float[np.ndarray, "seed n"],
    label: str,
    *,
    colour: str = GREY,
) -> None:
    """Draws descending spectra over the share of larger exponents, a line per seed."""
    count = exponents.shape[1]
    shares = (np.arange(count) + 0.5) / count
    for k, row in enumerate(exponents):
        axes.plot(
            shares, row, color=colour, linewidth=1.0, label=label if k == 0 else None
        )


def zero_line(axes: Axes) -> None:
    """Draws the thin line between growth and decay."""
    axes.axhline(0, color=GREY, linewidth=0.6)
