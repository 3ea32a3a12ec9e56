"""The figure of `experiments.jacobian_laws`: four panels, one law each."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from lstm_jax import plots
from lstm_jax.plots import spectra

LOOKS = (  # colour and marker of the nets, in the order of the record
    ("#000000", "D"),
    (plots.GREY, "s"),
    (plots.colour_of("rnn"), "o"),
    ("#E69F00", "^"),
)


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the four panels."""
    figure = Figure(figsize=(7.2, 6.2), layout="constrained")
    axes = figure.subplot_mosaic([["rates", "bound"], ["float32", "gains"]])
    _plot_rates(axes["rates"], record)
    _plot_bound(axes["bound"], record)
    _plot_long_run(axes["float32"], record)
    _plot_sweep(axes["gains"], record)
    return figure


def _plot_rates(axes: Axes, record: Record) -> None:
    lag = record.config["lag"]
    for k, net in enumerate(record.axes["variant"]):
        colour, marker = LOOKS[k]
        curves = take(record, "log_share", variant=net)
        shares = np.median(curves, axis=0) / np.log(10)
        rate = float(np.median(take(record, "predicted_rate", variant=net)))
        # The law predicts the slope alone: its line ends where the curve does.
        line = shares[-1] + rate * (np.arange(lag + 1) - lag) / np.log(10)
        axes.plot(line, color="black", linewidth=0.8, linestyle=(0, (3, 2)))
        axes.plot(
            shares,
            color=colour,
            marker=marker,
            markevery=(k * lag // 24, max(1, lag // 6)),
            markersize=4,
            markerfacecolor="white" if k % 2 else colour,
            label=f"{net['label']}: {net['law']} = {rate:+.3f}",
        )
    plots.log_axis(axes, lag, f"Four laws, g = {record.config['gain']:g}, no input")
    axes.set(xlabel="lag $k$: Jacobians in the product")
    axes.set(ylabel="share of the gradient left")
    axes.legend(loc="lower left")


def _plot_bound(axes: Axes, record: Record) -> None:
    lowest = []
    for k, name in enumerate(record.axes["activation"]):
        bound = take(record, "bound", activation=name)
        rate = take(record, "bounded_rate", activation=name)
        shown = np.isfinite(rate)  # leaves out nets of dead ReLUs
        lowest.append(bound[shown].min())
        axes.plot(
            bound[shown],
            rate[shown],
            linestyle="none",
            marker="osD^"[k],
            markersize=2.5,
            alpha=0.6,
            markeredgewidth=0,
            color=(plots.colour_of("rnn"), "#56B4E9", "#E69F00", plots.GREY)[k],
            label=name,
        )
    ends = np.array([min(lowest), 2.0])
    plots.theory_line(axes, ends, ends, "the bound")
    axes.set_title(f"No net of {record.config['num_nets']} beats the bound")
    axes.set_xlabel(r"bound $\ln(\gamma\,\sigma_{max})$, nats per step")
    axes.set_ylabel("measured, nats per step")
    axes.legend(loc="lower right", markerscale=2)


def _plot_long_run(axes: Axes, record: Record) -> None:
    lags = np.array(record.axes["long_lag"])
    curves = {
        "long_log_root_of_squares": ("root of a sum of squares", "#999999", 6.0),
        "long_log_plain": ("plain gradient", "#444444", 3.0),
        "long_log_norm": ("log-norms", plots.colour_of("rnn"), 1.2),
    }
    for name, (label, colour, width) in curves.items():
        decades = -take(record, name) / np.log(10)
        seen = np.isfinite(decades)
        axes.plot(lags[seen], decades[seen], color=colour, lw=width, label=label)
        end = lags[seen][-1], decades[seen][-1]
        plots.note(
            axes, f"lag {end[0]}: $10^{{{-end[1]:.0f}}}$", end, (-8, 0), ha="right"
        )
    axes.set(xscale="log", yscale="log", title="float32, g = 1/2")
    axes.set(xlabel="lag $k$", ylabel="decades of gradient lost")
    axes.legend(loc="lower right")


def _plot_sweep(axes: Axes, record: Record) -> None:
    gains = np.array(record.axes["gain"])
    radius = np.median(take(record, "ln_spectral_radius"), 1)
    norm = np.median(take(record, "ln_spectral_norm"), 1)
    axes.axvspan(gains[0], 0.5, color="#DDDDDD", linewidth=0)
    spectra.zero_line(axes)
    bound = r"$\ln\,\sigma_{max}(W)$: bound"
    plots.theory_line(axes, gains, norm, bound, dashed=True)
    plots.theory_line(axes, gains, radius, r"$\ln\,\rho(W)$")
    rates, colour = take(record, "gain_rate"), plots.colour_of("rnn")
    spectra.measured_dots(axes, gains, rates, "measured", colour=colour)
    for place, words in {0.35: "certified", 0.72: "vanishes all the same"}.items():
        where = {"xycoords": ("data", "axes fraction"), "ha": "center"}
        axes.annotate(words, (place, 0.04), **where)
    axes.set(title="tanh nets without input", xlim=(gains[0], gains[-1] + 0.02))
    axes.set(xlabel="gain $g$", ylabel="nats per step of lag")
    axes.legend(loc="upper left")
