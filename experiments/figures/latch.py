"""The figure of `experiments.latch`: the trade-off, the power law, guessing."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from lstm_jax import plots, theory

PAPER_TRIALS = 718


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the trade-off, the power law, and how many guesses were needed."""
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    trade_off, law, guessing = figure.subplots(1, 3, width_ratios=[1.15, 1, 1])
    _plot_trade_off(trade_off, record)
    _plot_law(law, record)
    _plot_guessing(guessing, record)
    return figure


def _plot_trade_off(axes: Axes, record: Record) -> None:
    weights = record.axes["weight"]
    rates, margins = take(record, "rate"), take(record, "margin")
    w = np.geomspace(0.01, max(max(weights) - 1, 0.02), 200) + 1
    axes.plot(-theory.tanh_rate(w), theory.latch_threshold(w), color="black", lw=0.9)
    axes.plot(
        -rates,
        margins,
        plots.marker_of("rnn"),
        color=plots.colour_of("rnn"),
        markersize=5,
    )
    texts = wording.told_apart(weights)
    texts[-1] = f"w = {texts[-1]}"
    points = zip(-rates, margins, strict=True)
    for point, text in zip(points, texts, strict=True):
        plots.note(axes, text, point, (5, -8))
    axes.set(xscale="log", yscale="log", title="Latch or learn")
    axes.set(xlabel="gradient lost, nats per step", ylabel="noise margin $u^*$")


def _plot_law(axes: Axes, record: Record) -> None:
    log_product = take(record, "critical_log_product")
    time = np.arange(1, len(log_product))
    shown = np.unique(np.geomspace(1, len(time), 40).astype(int))
    products = np.exp(log_product[shown])
    axes.loglog(shown, products, color=plots.colour_of("rnn"), label="$w$ = 1")
    constant = products[-1] * shown[-1] ** 1.5
    axes.loglog(time, constant * time**-1.5, "--", color="black", lw=0.9)
    middle = shown[-1] ** 0.55  # on a logarithmic axis
    plots.note(axes, "$T^{-3/2}$", (middle, constant * middle**-1.5), (4, 4))
    for w, style in ((0.9, (0, (1, 1))), (1.1, (0, (4, 1.5)))):
        rate = float(theory.tanh_rate(w))
        near = time[time < 30 / -rate]
        heights = np.exp(rate * near)
        label = f"$w$ = {w:g}"
        axes.loglog(near, heights, color=plots.GREY, ls=style, lw=1, label=label)
    axes.set(title="Between: a power law", ylim=(products[-1] / 3, 3))
    axes.set(xlabel="lag $T$", ylabel="$|dh_T/dh_0|$")
    axes.legend(loc="upper right")


def _plot_guessing(axes: Axes, record: Record) -> None:
    config, ranges = record.config, record.axes["weight_range"]
    for k, text in enumerate(wording.told_apart(ranges)):
        trials = np.sort(take(record, "trials", weight_range=ranges[k]))
        share = np.arange(1, len(trials) + 1) / len(trials)
        found = np.isfinite(trials)
        axes.step(
            trials[found],
            share[found],
            where="post",
            color=plots.colour_of("rnn"),
            linestyle=plots.LINE_STYLES[k % len(plots.LINE_STYLES)],
            label=f"r = {text}",
        )
    axes.axvline(PAPER_TRIALS, color=plots.GREY, linewidth=0.6)
    place, colour = (PAPER_TRIALS, 0.02), plots.GREY
    plots.note(axes, "1996 paper", place, (-3, 0), ha="right", color=colour)
    axes.set(xscale="log", xlim=(0.9, config["max_trials"]), ylim=(0, 1.02))
    axes.set(xlabel="random nets tried", ylabel="searches solved")
    axes.set_title(f"Guessing: lag {config['lag']}")
    axes.legend(loc="upper left", title="weights U[-r, r]", title_fontsize=8)
