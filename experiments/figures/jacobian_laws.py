"""The figure of `experiments.jacobian_laws`: four panels, one law each."""

from typing import Any

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


RIGHT: dict[str, Any] = {"ha": "right", "va": "top"}
ROUNDING = 1e-9  # nats per step, of products in float64
NORMS = {
    "long_log_root_of_squares": "sum of squares",
    "long_log_plain": "plain",
    "long_log_norm": "log-norms",
}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the four panels."""
    figure = Figure(figsize=(7.6, 6.4), layout="constrained")
    plots.headline(figure, finding(record))
    axes = figure.subplot_mosaic([["rates", "bound"], ["float32", "gains"]])
    _plot_rates(axes["rates"], record)
    _plot_bound(axes["bound"], record)
    _plot_long_run(axes["float32"], record)
    _plot_sweep(axes["gains"], record)
    return figure


def finding(record: Record) -> str:
    """Returns for how many gains gradients vanish, and for how many by the bound."""
    rates, norms = (
        np.median(take(record, name), axis=1)
        for name in ("gain_rate", "ln_spectral_norm")
    )
    vanish, certified = int((rates < 0).sum()), int((norms < 0).sum())
    return (
        f"Gradients vanish at {vanish} of {len(rates)} gains; the bound on the largest "
        f"singular value foretells it for {certified}"
    )


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
            label=f"{net['label']}:\n{net['law']}\n= {rate:+.3f}",
        )
    plots.log_axis(axes, lag, f"Four laws, g = {record.config['gain']:g}, no input")
    axes.set(xlabel="lag $k$: Jacobians in the product")
    axes.set(ylabel="share of the gradient left")
    axes.locator_params(axis="x", prune="upper")  # room for the lowest name
    plots.label_ends(axes)


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
    plots.theory_line(axes, ends, ends, "")
    place, style = (ends[1], ends[1]), RIGHT
    plots.note(axes, "the bound", place, (-10, 2), **style)
    excess = take(record, "bounded_rate") - take(record, "bound")
    beaten = f"{(excess > ROUNDING).sum()} of {record.config['num_nets']} nets"
    axes.set_title(f"The bound is beaten by {beaten}")
    axes.set_xlabel(r"bound $\ln(\gamma\,\sigma_{max})$, nats per step")
    axes.set_ylabel("measured, nats per step")
    axes.legend(loc="upper left", markerscale=2)  # where no net can be


def _plot_long_run(axes: Axes, record: Record) -> None:
    lags = np.array(record.axes["long_lag"])
    curves = {  # colour, width, and where the name is written
        "long_log_root_of_squares": ("#999999", 6.0, (14, -12)),
        "long_log_plain": ("#444444", 3.0, (8, -1)),
        "long_log_norm": (plots.colour_of("rnn"), 1.2, (-8, 3)),
    }
    for name, (colour, width, offset) in curves.items():
        decades = -take(record, name) / np.log(10)
        seen = np.isfinite(decades)
        axes.plot(lags[seen], decades[seen], color=colour, lw=width)
        end = lags[seen][-1], decades[seen][-1]
        text = f"{NORMS[name]}: $10^{{{-end[1]:.0f}}}$"
        side: dict[str, Any] = {"ha": "left" if offset[0] > 0 else "right", "va": "top"}
        plots.note(axes, text, end, offset, color=plots.ink(colour), **side)
    axes.set(xscale="log", yscale="log")
    axes.set_title("The last gradient that float32 holds, $g$ = 1/2")
    axes.set(xlabel="lag $k$, steps", ylabel="decades of gradient lost")


def _plot_sweep(axes: Axes, record: Record) -> None:
    gains = np.array(record.axes["gain"])
    radius = np.median(take(record, "ln_spectral_radius"), 1)
    norm = np.median(take(record, "ln_spectral_norm"), 1)
    certified = np.interp(0, norm, gains)  # where the bound crosses 0
    axes.axvspan(gains[0], certified, color="#DDDDDD", linewidth=0)
    spectra.zero_line(axes)
    bound = "bound:\n$\\ln\\,\\sigma_{max}(W)$"
    plots.theory_line(axes, gains, norm, bound, dashed=True)
    plots.theory_line(axes, gains, radius, "law: $\\ln\\,\\rho(W)$\n(dots: measured)")
    rates, colour = take(record, "gain_rate"), plots.colour_of("rnn")
    spectra.measured_dots(axes, gains, rates, "", colour=colour)
    middles = (gains[0] + certified) / 2, (certified + gains[-1]) / 2
    for place, words in zip(middles, ("certified", "not certified"), strict=True):
        where = {"coords": ("data", "axes fraction"), "ha": "center"}
        plots.note(axes, words, (place, 0.04), **where)
    axes.set(title="tanh nets without input", xlim=(gains[0], gains[-1] + 0.02))
    axes.set(xlabel="gain $g$", ylabel="nats per step of lag")
    plots.label_ends(axes)
