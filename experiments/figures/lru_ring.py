"""The figure of `experiments.lru_ring`: how a memory grows, and what training makes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from experiments.common.records import Record, take
from experiments.criteria.lru_ring import RINGS, SIDES, ahead, last
from lstm_jax import plots, theory

SHADES = ("#D55E00", "#0072B2")
MARKERS = "os"
RATE_MARKERS = "os^Dv"
GREYS = ("#BBBBBB", "#777777", "#000000")


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the growth of the memory on every ring, and the losses of training."""
    figure = Figure(figsize=(7.4, 3.5), layout="constrained")
    plots.headline(figure, finding(record))
    rings, networks = figure.subplots(1, 2, width_ratios=[1, 1.7])
    _plot_rings(rings, record)
    _plot_networks(networks, record)
    return figure


def finding(record: Record) -> str:
    """Returns what γ keeps at which scale, and at which rates it was ahead."""
    without, having = take(record, "growth")[-1].mean(-1)
    told = f"γ keeps E|h|² at {having:.2f} times its input's, not {without:.3g}"
    if not {"ring", "ring_gamma"} <= set(record.axes["network"]):
        return told
    wins = ahead(record)
    seeds = ", ".join(str(int(of.sum())) for of in wins)
    rates = ", ".join(f"{rate:g}" for rate in record.axes["rate"])
    return f"{told}; it helps {seeds} of {wins.shape[1]} seeds at rates {rates}"


def _plot_rings(axes: Axes, record: Record) -> None:
    names = record.axes["ring"]
    laws = np.array([theory.lru_ring_variance(*RINGS[name]) for name in names])
    for k, (side, law) in enumerate(
        zip(SIDES, (laws, np.ones(len(laws))), strict=True)
    ):
        places = np.arange(len(names))
        found = take(record, "growth", side=side).mean(-1)
        axes.hlines(law, places - 0.3, places + 0.3, plots.GREY, linewidth=1)
        style = {"color": SHADES[k], "markersize": 6, "markerfacecolor": "none"}
        axes.plot(places, found, MARKERS[k], **style)
        at = (places[0], found[0])
        plots.note(axes, side, at, (0, 8), color=SHADES[k], ha="center")
    axes.set_xticks(range(len(names)), [name.replace("..", " to\n") for name in names])
    axes.set(yscale="log", ylim=(0.6, 2 * laws.max()), xlim=(-0.6, len(names) - 0.4))
    axes.set_yticks([1, 10], ["1", "10"])
    axes.set(xlabel="|λ|", ylabel="E|h|² / E|x B|²")
    axes.set_title("White input (lines: closed form)")


def _plot_networks(axes: Axes, record: Record) -> None:
    """Draws a mark for each network, a bar for each median."""
    names, rates = record.axes["network"], record.axes["rate"]
    for k, rate in enumerate(rates):
        losses, shade = last(record)[:, k], GREYS[-len(rates) :][k % len(GREYS)]
        middles = np.arange(len(names)) + (k - (len(rates) - 1) / 2) * 0.25
        spread = np.linspace(-0.06, 0.06, losses.shape[1]) * (losses.shape[1] > 1)
        style = {"color": shade, "markersize": 4, "markerfacecolor": "none"}
        axes.plot(
            (middles[:, None] + spread).ravel(),
            losses.ravel(),
            RATE_MARKERS[k % len(RATE_MARKERS)],
            label=f"{'' if k else 'rate '}{rate:g}",
            **style,
        )
        medians = np.median(losses, axis=1)
        axes.hlines(medians, middles - 0.1, middles + 0.1, shade, linewidth=2)
    axes.axhline(np.log(10), color=plots.GREY, linewidth=0.6)
    plots.note(axes, "chance", (len(names) - 0.5, np.log(10)), (0, 2), ha="right")
    labels = [name.replace("_gamma", "\nwith γ") for name in names]
    axes.set_xticks(range(len(names)), labels)
    axes.set(yscale="log", xlim=(-0.5, len(names) - 0.5))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.set_ylabel("loss at the end, nats")
    axes.set_title("Sequential digits, trained")
    close = {"handletextpad": 0.0, "columnspacing": 0.8, "borderaxespad": 0.0}
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1.01), ncols=len(rates), **close)
