"""The figure of `experiments.curse_of_memory`: variances against memory."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from lstm_jax import plots, theory

SHADES = ("#D55E00", "#0072B2", "#009E73")
MARKERS = "os^"


@plots.styled
def plot(record: Record) -> Figure:
    """Draws E[h²] and E[(dh/dλ)²] with their laws, and the cures."""
    figure = Figure(figsize=(7.4, 3.3), layout="constrained")
    plots.headline(figure, finding(record))
    curse, cure = figure.subplots(1, 2)
    _plot_curse(curse, record)
    _plot_cure(cure, record)
    for axes in (curse, cure):
        axes.set(xscale="log", yscale="log", xlabel="memory $1/(1-\\lambda)$, steps")
    return figure


def finding(record: Record) -> str:
    """Returns by how much the sensitivity grows, from the shortest memory on."""
    decays = np.array(record.axes["decay"])
    means = take(record, "sensitivity")[:, 0, :, 0].mean(-1)
    first, last = np.argmin(decays), np.argmax(decays)
    memory = (1 - decays[first]) / (1 - decays[last])
    larger = float(f"{means[last] / means[first]:.2g}")
    return (
        f"{memory:.2g} times the memory makes E (dh/dλ)² {larger:,.0f} times as large, "
        "without any exploding gradient"
    )


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
    axes.legend(loc="upper left")
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
