"""The figure of `experiments.lyapunov`: exponents, spectra, dimensions."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from lstm_jax import plots, theory
from lstm_jax.plots import spectra


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the four panels."""
    figure = Figure(figsize=(7.2, 6.0), layout="constrained")
    axes = figure.subplot_mosaic([["largest", "spectra"], ["fresh", "dimension"]])
    _plot_largest(axes["largest"], record)
    _plot_spectra(axes["spectra"], record)
    _plot_fresh(axes["fresh"], record)
    _plot_dimension(axes["dimension"], record)
    return figure


def _plot_largest(axes: Axes, record: Record) -> None:
    gains = np.array(record.axes["gain"])
    spectra.zero_line(axes)
    below = np.linspace(min(gains.min(), 1), 1, 50)
    above = np.linspace(1.001, max(gains.max(), 1.1), 60)
    plots.theory_line(axes, below, np.log(below), "$\\ln\\,g$", dashed=True)
    plots.theory_line(axes, above, theory.mean_field_exponent(above), "mean field")
    exponents, slopes = take(record, "largest_exponent"), take(record, "gradient_rate")
    label, colour = r"exponent $\lambda_1$", plots.colour_of("rnn")
    spectra.measured_dots(axes, gains, exponents, label, colour=colour)
    label, colour = "slope of the gradient", plots.GREY
    spectra.measured_dots(axes, gains, slopes, label, colour=colour, marker="x")
    axes.set_xscale("log")
    axes.set_xticks(gains, wording.told_apart(gains), rotation=45)
    axes.minorticks_off()
    axes.set_title(f"The decay curve has a number (N = {record.config['hidden_size']})")
    axes.set(xlabel="gain $g$", ylabel="nats per step")
    axes.legend(loc="lower right")


def _plot_spectra(axes: Axes, record: Record) -> None:
    gains = np.array(record.axes["spectrum_gain"])
    size = record.config["spectrum_size"]
    ramp = matplotlib.colormaps["viridis"]
    shades = [to_hex(ramp(place)) for place in np.linspace(0, 0.85, len(gains))]
    spectra.zero_line(axes)
    shares = (np.arange(size) + 0.5) / size
    texts, exponents = wording.told_apart(gains), take(record, "exponent")
    for gain, text, found, shade in zip(gains, texts, exponents, shades, strict=True):
        spectra.ranked(axes, found, f"g = {text}", colour=shade)
        if gain > 1:
            predicted = theory.mean_field_spectrum(float(gain), size)
            plots.theory_line(axes, shares, predicted, "", dashed=True)
    axes.set(title=f"All exponents (N = {size}; dashed: theory)", ylim=(-6, 0.9))
    axes.set_xlabel("share of the exponents above, $i/N$")
    axes.set_ylabel(r"$\lambda_i$, nats per step")
    axes.legend(loc="lower left")


def _plot_fresh(axes: Axes, record: Record) -> None:
    z = take(record, "fresh_z")
    places = np.arange(1.0, len(z) + 1)
    axes.axhspan(-1, 1, color="#E5E5E5", linewidth=0)
    spectra.zero_line(axes)
    axes.plot(places, z, "o", color=plots.GREY, markersize=3)
    limit = max(4.0, float(np.abs(z).max()) + 0.5)
    axes.set_ylim(-2.6 * limit, limit)
    axes.set_yticks([-4, -2, 0, 2, 4])
    axes.set_title(f"Fresh Gaussian matrices, {record.config['num_matrices']} steps")
    axes.set_xlabel("$i$")
    axes.set_ylabel(r"$(\lambda_i - $exact$)$ / standard error")
    inner = axes.inset_axes((0.14, 0.04, 0.8, 0.34))
    plots.theory_line(inner, places, take(record, "fresh_exponent_expected"), "exact")
    inner.plot(places, take(record, "fresh_exponent"), ".", ms=3, color=plots.GREY)
    inner.set_ylabel(r"$\lambda_i$")
    inner.tick_params(labelbottom=False)
    inner.legend(loc="lower left")


def _plot_dimension(axes: Axes, record: Record) -> None:
    gains = np.array(record.axes["spectrum_gain"])
    line = np.geomspace(1.02, max(gains.max(), 1.1), 40)
    predicted, measured = theory.mean_field_dimension(line), take(record, "dimension")
    plots.theory_line(axes, line, predicted, "mean field, free")
    label, colour = f"N = {record.config['spectrum_size']}", plots.colour_of("rnn")
    spectra.measured_dots(axes, gains, measured, label, colour=colour)
    axes.set_ylim(bottom=0)
    axes.set_title("Dimension of the attractor per unit")
    axes.set(xlabel="gain $g$", ylabel="Kaplan-Yorke $D/N$")
    axes.legend(loc="lower right")
