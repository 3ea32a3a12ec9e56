"""The figure of `experiments.curse_of_memory`: variances against memory."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.memory_nets import NETS, label_of
from experiments.common.records import Record, take
from lstm_jax import plots, theory

SHADES = ("#D55E00", "#0072B2", "#009E73")
MARKERS = "os^"
SHADE_OF = dict(zip("λWθνb", (*SHADES[:1] * 3, *SHADES[1:]), strict=True))


@plots.styled
def plot(record: Record) -> Figure:
    """Draws E[h²] and E[(dh/dλ)²] with their laws, the cures, and networks."""
    figure = Figure(figsize=(10.2, 3.6), layout="constrained")
    plots.headline(figure, finding(record))
    panels = figure.subplots(1, 3)
    for axes in panels:
        axes.set(xscale="log", yscale="log", xlabel="memory $1/(1-\\lambda)$, steps")
    for axes, draw in zip(panels, (_plot_curse, _plot_cure, _plot_nets), strict=True):
        draw(axes, record)
    return figure


def finding(record: Record) -> str:
    """Returns by how much the sensitivity grows, from the shortest memory on."""
    decays = np.array(record.axes["decay"])
    means = take(record, "sensitivity")[:, 0, :, 0].mean(-1)
    first, last = np.argmin(decays), np.argmax(decays)
    memory = (1 - decays[first]) / (1 - decays[last])
    larger = float(f"{means[last] / means[first]:.2g}")
    told = (
        f"{memory:.2g} times the memory makes E (dh/dλ)² {larger:,.0f} times as large"
    )
    if "gru" in record.axes["network"]:
        of_gru = take(record, "network_sensitivity", network="gru").mean(-1)
        told += (
            f", by the bias of a GRU's gate {of_gru[last] / of_gru[first]:.1g} times"
        )
    return f"{told}, without any exploding gradient"


def _plot_curse(axes: Axes, record: Record) -> None:
    decays = np.array(record.axes["decay"])
    memory, correlations = 1 / (1 - decays), record.axes["correlation"]
    line = 1 - 1 / np.geomspace(memory.min(), memory.max(), 60)
    texts = wording.told_apart(correlations)
    for j, (rho, text) in enumerate(zip(correlations, texts, strict=True)):
        marker = MARKERS[j % len(MARKERS)]
        told = (
            (take(record, "variance", correlation=rho), theory.memory_variance, "E h²"),
            (
                take(record, "sensitivity", correlation=rho)[..., 0],
                theory.sensitivity_variance,
                "E (dh/dλ)²",
            ),
        )
        shades = (plots.GREY, SHADES[0])
        for (found, law, name), shade in zip(told, shades, strict=True):
            plots.theory_line(axes, 1 / (1 - line), law(line, rho), "")
            style: dict[str, Any] = {
                "color": shade,
                "markersize": 5,
                "markerfacecolor": "none",
            }
            label = f"{name}, ρ = {text}"
            axes.plot(memory, found.mean(-1), marker, label=label, **style)
    axes.legend(loc="upper left", fontsize=7, borderaxespad=0)
    axes.set_title("The curse (lines: closed forms)")
    axes.set_ylabel("variance")


def _plot_cure(axes: Axes, record: Record) -> None:
    decays = np.array(record.axes["decay"])
    found = take(record, "sensitivity")[:, 0]  # decay, seed, parameter
    order = np.argsort(decays)
    for k, name in enumerate(record.axes["parameter"]):
        axes.plot(
            1 / (1 - decays[order]),
            found[order, :, k].mean(-1),
            MARKERS[k] + "-",
            color=SHADES[k],
            markersize=4,
            linewidth=1,
            label=f"by {name}",
        )
    axes.legend(loc="upper left")
    axes.set_title("The cure: another parameter")
    axes.set_ylabel("mean square of dh/d·")


def _plot_nets(axes: Axes, record: Record) -> None:
    """Medians over seeds: of some LSTMs the gradient explodes."""
    decays = np.array(record.axes["decay"])
    order = np.argsort(decays)
    slopes, squares = (
        take(record, f"network_{of}")[:, order] for of in ("sensitivity", "square")
    )
    relative = np.median(slopes / squares, axis=-1)
    for name, of in zip(record.axes["network"], relative, strict=True):
        known = NETS[name].power is not None
        shade = SHADE_OF[NETS[name].parameter] if known else plots.GREY
        shown = {"color": shade, "linewidth": 1.2, "linestyle": "-" if known else ":"}
        memory = 1 / (1 - decays[order])
        axes.plot(memory, of / of[0], label=label_of(name), **shown)
    axes.set_title("Networks: by what sets the memory")
    axes.set_ylabel("E (dh/dθ)² / E h², first = 1")
    plots.label_ends(axes)
