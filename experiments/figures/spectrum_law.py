"""The figure of `experiments.spectrum_law`: spectra, dimensions, and other cells."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from experiments.criteria.spectrum_law import DIMENSION, misses
from lstm_jax import plots, theory
from lstm_jax.plots import spectra

LOWEST = -6  # nats per step: the steepest ends of the spectra are not drawn
LATE = 0.95  # share at which a spectrum's foot is too near the others' to be named


@plots.styled
def plot(record: Record) -> Figure:
    """Draws spectra, dimensions by gain and size, and the same of other cells."""
    figure = Figure(figsize=(7.2, 6.0), layout="constrained")
    plots.headline(figure, finding(record))
    (shape, dimension), (cells, largest) = figure.subplots(2, 2)
    _plot_spectra(shape, record)
    _plot_dimension(dimension, record)
    _plot_cells(cells, record, "cell_dimension")
    cells.set_title("Gated cells: dimension, no theory")
    cells.set_ylabel("$D$ per number of the state")
    _plot_cells(largest, record, "cell_largest")
    spectra.zero_line(largest)
    largest.set_title("Gated cells: largest exponent")
    largest.set_ylabel(r"$\lambda_1$, nats per step")
    return figure


def finding(record: Record) -> str:
    """Returns how closely the law gives the dimension of the largest nets."""
    sizes = record.axes["size"]
    at = int(np.argmax(sizes))
    return (
        "One integral gives every exponent of a random tanh net: the dimension "
        f"within {misses(record)[at]:.1%} at N = {sizes[at]}"
    )


def _shades(count: int) -> list[str]:
    ramp = matplotlib.colormaps["viridis"]
    return [to_hex(ramp(place)) for place in np.linspace(0, 0.85, count)]


def _plot_spectra(axes: Axes, record: Record) -> None:
    gains, size = record.axes["gain"], max(record.axes["size"])
    spectra.zero_line(axes)
    shares = (np.arange(size) + 0.5) / size
    exponents, shades = take(record, "exponent"), _shades(len(gains))
    for gain, found, shade in zip(gains, exponents, shades, strict=True):
        spectra.ranked(axes, found[:1], "", colour=shade)
        predicted = theory.mean_field_spectrum(float(gain), size)
        plots.theory_line(axes, shares, predicted, "", dashed=True)
        _name(axes, shares, found[0], gain, shade)
    axes.set(title=f"All exponents, by gain $g$; N = {size}", ylim=(LOWEST, 1.2))
    plots.note(axes, "dashed: theory", (0.62, 0.93), coords="axes fraction")
    axes.set(xlabel="share of the exponents above, $i/N$", xlim=(0, 1.05))
    axes.set_ylabel(r"$\lambda_i$, nats per step")


def _name(
    axes: Axes, shares: np.ndarray, found: np.ndarray, gain: float, colour: str
) -> None:
    """Writes a gain at the foot of its spectrum; above or below one that ends late."""
    text, height = f"{gain:g}", 0.92 * LOWEST
    style: dict[str, Any] = {"color": plots.ink(colour), "va": "center"}
    foot = float(np.interp(-height, -found, shares))
    if found[-1] < height and foot < LATE:
        plots.note(axes, text, (foot, height), (-5, 0), ha="right", **style)
        return
    quiet = 0.9 - 0.5 * min(gain, 1)  # apart, where the chaotic ones have fallen below
    share, offset = (quiet, -7) if gain <= 1 else (0.6, 8)
    place = share, float(np.interp(share, shares, found))
    plots.note(axes, text, place, (0, offset), ha="center", **style)


def _plot_dimension(axes: Axes, record: Record) -> None:
    gains, sizes = np.array(record.axes["gain"]), record.axes["size"]
    line = np.geomspace(1.02, max(gains.max(), 1.1), 60)
    predicted = np.asarray(theory.mean_field_dimension(line))
    plots.theory_line(axes, line, predicted, "")
    for size, shade in zip(sizes, _shades(len(sizes)), strict=True):
        means = take(record, "dimension", size=size).mean(-1)
        axes.plot(gains, means, "o", ms=4, mfc="none", color=shade, label=f"N = {size}")
    known = {gain: of for gain, of in DIMENSION.items() if gain in gains}
    axes.plot([*known], [*known.values()], "x", ms=6, color="black", label="N = 4096")
    middle = int(0.85 * len(line))
    plots.note(axes, "theory", (line[middle], float(predicted[middle])), (6, 6))
    axes.legend(loc="lower right", title="ours; published ×", title_fontsize=8)
    axes.set(title="Dimension of the attractor per unit", xlabel="gain $g$")
    axes.set(ylabel="Kaplan-Yorke dimension $D/N$", ylim=(0, None))


def _plot_cells(axes: Axes, record: Record, name: str) -> None:
    """Draws the mean over seeds against the gain, and every seed as a dot."""
    gains = np.array(record.axes["cell_gain"])
    for cell in record.axes["cell"]:
        found = take(record, name, cell=cell)
        colour = plots.colour_of(cell)
        axes.plot(gains, found.mean(-1), color=colour, lw=1.2, label=cell)
        axes.plot(gains, found, plots.marker_of(cell), ms=3, color=colour, alpha=0.6)
    axes.set(xlabel="gain $g$ of all recurrent weights")
    plots.label_ends(axes)
