"""The figure of `experiments.lyapunov`: the largest exponent against the gain."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from lstm_jax import plots, theory
from lstm_jax.plots import spectra

CLOSE = 0.01  # nats per step
LEAST_GAP = 0.08  # of the axis, between gains that are written


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the largest exponents and the slopes of the gradient against the gain."""
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    plots.headline(figure, finding(record))
    _plot_largest(figure.subplots(), record)
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
