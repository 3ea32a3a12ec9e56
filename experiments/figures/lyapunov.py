"""The figure of `experiments.lyapunov`: exponents, spectra, dimensions."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from lstm_jax import plots, theory
from lstm_jax.plots import spectra

LOWEST = -6  # nats per step: the steepest ends of the spectra are not drawn
CLOSE = 0.01  # nats per step
LEAST_GAP = 0.08  # of the axis, between gains that are written


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the largest exponents, spectra, those of fresh matrices, dimensions."""
    figure = Figure(figsize=(7.2, 6.6), layout="constrained")
    plots.headline(figure, finding(record))
    mosaic: Any = [
        ["largest", "spectra"],
        ["fresh", "dimension"],
        ["errors", "dimension"],
    ]
    axes = figure.subplot_mosaic(mosaic, height_ratios=[2, 0.85, 1])
    _plot_largest(axes["largest"], record)
    _plot_spectra(axes["spectra"], record)
    _plot_fresh(axes["fresh"], axes["errors"], record)
    _plot_dimension(axes["dimension"], record)
    return figure


def finding(record: Record) -> str:
    """Returns how far the slope of the gradient is from the largest exponent."""
    found = take(record, "gradient_rate") - take(record, "largest_exponent")
    apart = np.nanmean(np.abs(found))
    told = f"on average {apart:.1g} nats per step apart"
    if apart < CLOSE:
        return f"The slope of the gradient is the largest Lyapunov exponent: {told}"
    return f"Slope of the gradient and largest Lyapunov exponent: {told}"


def _plot_largest(axes: Axes, record: Record) -> None:
    gains = np.array(record.axes["gain"])
    spectra.zero_line(axes)
    below = np.linspace(min(gains.min(), 1), 1, 50)
    above = np.linspace(1.001, max(gains.max(), 1.1), 60)
    plots.theory_line(axes, below, np.log(below), "", dashed=True)
    plots.theory_line(axes, above, theory.mean_field_exponent(above), "")
    exponents, slopes = take(record, "largest_exponent"), take(record, "gradient_rate")
    label, colour = r"exponent $\lambda_1$", plots.colour_of("rnn")
    spectra.measured_dots(axes, gains, exponents, label, colour=colour)
    label, colour = "slope of the gradient", plots.GREY
    spectra.measured_dots(axes, gains, slopes, label, colour=colour, marker="x")
    axes.set_xscale("log")
    _write_some(axes, gains)
    middle = np.sqrt(below[0])
    plots.note(axes, "$\\ln\\,g$", (middle, np.log(middle)), (14, -8))
    place = above[len(above) // 2]
    height = float(theory.mean_field_exponent(place))
    plots.note(axes, "mean field", (place, height), (-6, 4), ha="right")
    axes.set_title(f"The decay curve has a number (N = {record.config['hidden_size']})")
    axes.set(xlabel="gain $g$", ylabel="nats per step")
    axes.legend(loc="lower right")


def _write_some(axes: Axes, gains: np.ndarray) -> None:
    """Marks every gain, and writes those that stand far enough apart to be read."""
    places = np.log(gains / gains.min())
    places = places / max(places.max(), 1e-9)
    texts, last = wording.told_apart(gains), -np.inf
    for k in np.argsort(places):
        if places[k] - last < LEAST_GAP:
            texts[k] = ""
        else:
            last = places[k]
    axes.set_xticks(gains, texts)
    axes.minorticks_off()


def _plot_spectra(axes: Axes, record: Record) -> None:
    gains = np.array(record.axes["spectrum_gain"])
    size = record.config["spectrum_size"]
    ramp = matplotlib.colormaps["viridis"]
    shades = [to_hex(ramp(place)) for place in np.linspace(0, 0.85, len(gains))]
    spectra.zero_line(axes)
    shares = (np.arange(size) + 0.5) / size
    texts, exponents = wording.told_apart(gains), take(record, "exponent")
    texts[int(np.argmax(gains))] = f"$g$ = {texts[int(np.argmax(gains))]}"
    for gain, text, found, shade in zip(gains, texts, exponents, shades, strict=True):
        spectra.ranked(axes, found, "", colour=shade)
        if gain > 1:
            predicted = theory.mean_field_spectrum(float(gain), size)
            plots.theory_line(axes, shares, predicted, "", dashed=True)
        _name_spectrum(axes, shares, np.median(found, axis=0), text, shade)
    axes.set(title=f"All exponents (N = {size}; dashed: theory)", ylim=(LOWEST, 0.9))
    axes.set_xlabel("share of the exponents above, $i/N$")
    axes.set_ylabel(r"$\lambda_i$, nats per step")


def _name_spectrum(
    axes: Axes, shares: np.ndarray, found: np.ndarray, text: str, shade: str
) -> None:
    """Writes the gain left of the spectrum's foot, or right of an end in the panel."""
    style: dict[str, Any] = {"color": plots.ink(shade), "va": "center"}
    height = 0.92 * LOWEST
    if found[-1] > height:
        plots.note(axes, text, (shares[-1], found[-1]), (7, 0), **style)
        return
    place = float(np.interp(-height, -found, shares))
    plots.note(axes, text, (place, height), (-6, 0), ha="right", **style)


def _plot_fresh(upper: Axes, lower: Axes, record: Record) -> None:
    """Draws the exponents of products of fresh matrices, and below their errors."""
    z = take(record, "fresh_z")
    places = np.arange(1.0, len(z) + 1)
    expected, found = (
        take(record, f"fresh_exponent{kind}") for kind in ("_expected", "")
    )
    plots.theory_line(upper, places, expected, "")
    upper.plot(places, found, ".", ms=4, color=plots.GREY)
    upper.set_title(f"Fresh Gaussian matrices, {record.config['num_matrices']} steps")
    upper.set_ylabel("$\\lambda_i$, nats\nper step")
    upper.tick_params(labelbottom=False)
    corner, where = (0.05, 0.12), "axes fraction"
    plots.note(upper, "line: exact", corner, coords=where)
    lower.axhspan(-1, 1, color="#E5E5E5", linewidth=0)
    spectra.zero_line(lower)
    lower.plot(places, z, "o", color=plots.GREY, markersize=3)
    limit = max(3.0, float(np.abs(z).max()) + 0.5)
    lower.set(ylim=(-limit, limit), xlabel="rank $i$ of the exponent")
    lower.set_ylabel("error, in\nstandard errors")


def _plot_dimension(axes: Axes, record: Record) -> None:
    gains = np.array(record.axes["spectrum_gain"])
    line = np.geomspace(1.02, max(gains.max(), 1.1), 40)
    predicted, measured = theory.mean_field_dimension(line), take(record, "dimension")
    plots.theory_line(axes, line, predicted, "")
    spectra.measured_dots(axes, gains, measured, "", colour=plots.colour_of("rnn"))
    middle = 2 * len(line) // 3
    place = (float(line[middle]), float(np.asarray(predicted)[middle]))
    plots.note(axes, "mean field", place, (8, 6))
    last = int(np.argmax(gains))
    size, end = record.config["spectrum_size"], (gains[last], measured[last].min())
    colour = plots.ink(plots.colour_of("rnn"))
    plots.note(axes, f"N = {size}", end, (0, -14), ha="right", color=colour)
    axes.set_ylim(bottom=0)
    axes.set_title("Dimension of the attractor per unit")
    axes.set(xlabel="gain $g$", ylabel="Kaplan-Yorke dimension $D/N$")
