"""The figure of `experiments.latch`: the trade-off, the power law, guessing."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from lstm_jax import plots, theory

PAPER_TRIALS = 718  # Hochreiter & Schmidhuber (1996)


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the trade-off, the power law, and how many guesses were needed."""
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    plots.headline(figure, finding(record))
    trade_off, law, guessing = figure.subplots(1, 3, width_ratios=[1.15, 1, 1])
    _plot_trade_off(trade_off, record)
    _plot_law(law, record)
    _plot_guessing(guessing, record)
    return figure


def finding(record: Record) -> str:
    """Returns what a safer bit costs, if it costs anything at every weight."""
    order = np.argsort(take(record, "margin"))
    lost = -take(record, "rate")[order]
    if (np.diff(lost) > 0).all() and len(lost) > 1:
        return "The more noise a latched bit survives, the less gradient it sends back"
    return "Noise that a latched bit survives, and gradient that it loses"


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
    texts[0] = f"weight {texts[0]}"
    points = zip(-rates, margins, strict=True)
    for point, text in zip(points, texts, strict=True):
        plots.note(axes, text, point, (5, -8))
    axes.set(xscale="log", yscale="log", title="Latch or learn (line: theory)")
    axes.margins(x=0.12)
    axes.set(xlabel="gradient lost, nats per step", ylabel="noise survived, $u^*$")


def _plot_law(axes: Axes, record: Record) -> None:
    log_product = take(record, "critical_log_product")
    time = np.arange(1, len(log_product))
    shown = np.unique(np.geomspace(1, len(time), 40).astype(int))
    products = np.exp(log_product[shown])
    axes.loglog(shown, products, color=plots.colour_of("rnn"))
    constant = products[-1] * shown[-1] ** 1.5
    axes.loglog(time, constant * time**-1.5, "--", color="black", lw=0.9)
    middle = shown[-1] ** 0.5  # on a logarithmic axis
    law = "weight 1: $T^{-3/2}$"
    plots.note(axes, law, (middle, constant * middle**-1.5), (4, 4))
    for w, style in ((0.9, (0, (1, 1))), (1.1, (0, (4, 1.5)))):
        rate = float(theory.tanh_rate(w))
        near = time[time < 30 / -rate]
        axes.loglog(near, np.exp(rate * near), color=plots.GREY, ls=style, lw=1)
    _name_exponentials(axes, products[-1])
    axes.set(title="Between: a power law", ylim=(products[-1] / 3, 3))
    axes.set(xlabel="lag $T$, steps", ylabel="gradient left, $|dh_T/dh_0|$")


def _name_exponentials(axes: Axes, lowest: float) -> None:
    """Names the two curves at the foot, the faster one on its left."""
    for w, side in ((0.9, "left"), (1.1, "right")):
        lag = np.log(lowest) / float(theory.tanh_rate(w))
        shift = (4 if side == "left" else -4, 2)
        plots.note(axes, f"{w:g}", (lag, lowest), shift, ha=side, color=plots.GREY)


def _plot_guessing(axes: Axes, record: Record) -> None:
    config, ranges = record.config, record.axes["weight_range"]
    names = wording.told_apart(ranges)
    for k in range(len(ranges)):
        trials = np.sort(take(record, "trials", weight_range=ranges[k]))
        share = np.arange(1, len(trials) + 1) / len(trials)
        found = np.isfinite(trials)
        axes.step(
            trials[found],
            share[found],
            where="post",
            color=plots.colour_of("rnn"),
            linestyle=plots.LINE_STYLES[k % len(plots.LINE_STYLES)],
            label=f"U[-{names[k]}, {names[k]}]",
        )
    if len(ranges) == 2:
        _name_both(axes, record, names)
    else:
        axes.legend(loc="upper left")
    axes.axvline(PAPER_TRIALS, 0.4, 1, color=plots.GREY, linewidth=0.6)
    style: dict[str, Any] = {"ha": "center", "color": plots.GREY}
    above = ("data", "axes fraction")
    plots.note(axes, "1996 paper", (PAPER_TRIALS, 1), (0, 2), coords=above, **style)
    axes.set(xscale="log", xlim=(0.9, config["max_trials"]), ylim=(0, 1.02))
    axes.set(xlabel="random nets tried", title="Guessing")
    axes.set_ylabel(f"searches that solve lag {config['lag']}")


def _name_both(axes: Axes, record: Record, names: list[str]) -> None:
    """Writes the weights' range left of the faster search, right of the slower."""
    ranges = record.axes["weight_range"]
    quick, slow = np.argsort([np.median(take(record, "trials"), axis=1)])[0]
    for k, share, side in ((quick, 0.75, "right"), (slow, 0.17, "left")):
        trials = np.quantile(take(record, "trials", weight_range=ranges[k]), share)
        if np.isfinite(trials):
            text, shift = f"weights\n±{names[k]}", (-6 if side == "right" else 8, 0)
            style: dict[str, Any] = {"ha": side, "va": "center"}
            plots.note(axes, text, (float(trials), share), shift, **style)
