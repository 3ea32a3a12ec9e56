"""The figure of `experiments.lru_ring`: how a memory grows, and what training makes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    """Returns how much the memory grows, and at which rates γ was ahead."""
    without, having = take(record, "growth")[-1].mean(-1)
    told = (
        f"On |λ| in {record.axes['ring'][-1]} a memory grows to {without:.3g}, with γ "
        f"to {having:.2f}"
    )
    if not {"ring", "ring_gamma"} <= set(record.axes["network"]):
        return told
    wins = ahead(record)
    seeds = ", ".join(
        f"{int(of.sum())} ({rate:g})"
        for rate, of in zip(record.axes["rate"], wins, strict=True)
    )
    return (
        f"{told}; seeds of {wins.shape[1]} that train better with it, by rate: {seeds}"
    )


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
    losses = last(record)
    for k, rate in enumerate(rates):
        shift = (k - (len(rates) - 1) / 2) * 0.25
        shade = GREYS[-len(rates) :][k % len(GREYS)]
        for place, of in enumerate(losses[:, k]):
            spread = np.linspace(-0.06, 0.06, of.size) if of.size > 1 else [0]
            style = {"color": shade, "markersize": 4, "markerfacecolor": "none"}
            label = f"rate {rate:g}" if place == 0 else None
            marker = RATE_MARKERS[k % len(RATE_MARKERS)]
            axes.plot(
                place + shift + np.array(spread), of, marker, label=label, **style
            )
            middle = place + shift
            axes.hlines(np.median(of), middle - 0.1, middle + 0.1, shade, linewidth=2)
    axes.axhline(np.log(10), color=plots.GREY, linewidth=0.6)
    plots.note(axes, "chance", (len(names) - 0.5, np.log(10)), (0, 2), ha="right")
    labels = [name.replace("_gamma", "\nwith γ") for name in names]
    axes.set_xticks(range(len(names)), labels)
    axes.set(yscale="log", xlim=(-0.5, len(names) - 0.5))
    axes.set_ylabel("loss at the end, nats")
    axes.set_title("Trained on sequential digits")
    axes.legend(loc="lower left")
