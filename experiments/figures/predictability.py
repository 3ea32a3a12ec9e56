"""The figure of `experiments.predictability`: iterations by exponent, and by T."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from experiments.criteria.predictability import CLEAR, longest
from lstm_jax import plots


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the iterations of every net against its exponent, and against T."""
    figure = Figure(figsize=(7.8, 3.6), layout="constrained")
    plots.headline(figure, finding(record))
    nets, lengths = figure.subplots(1, 2, width_ratios=(3, 2), sharey=True)
    _plot_nets(nets, record)
    _plot_lengths(lengths, record)
    return figure


def finding(record: Record) -> str:
    """Returns the medians on both sides of 0, of all cells."""
    found = [longest(record, cell) for cell in record.axes["cell"]]
    exponents = np.concatenate([of.ravel() for of, _ in found])
    iterations = np.concatenate([of.ravel() for _, of in found])
    length = max(record.axes["length"])
    sides = iterations[exponents < -CLEAR], iterations[exponents > CLEAR]
    if not all(side.size for side in sides):
        return f"Newton's method on {length} steps at once, by the exponent of the run"
    below, above = (f"{np.median(side):.3g}" for side in sides)
    return (
        f"For {length} steps at once Newton's method takes {below} iterations where "
        f"small differences die out, and {above} where they grow"
    )


def _plot_nets(axes: Axes, record: Record) -> None:
    axes.axvline(0, color=plots.GREY, linewidth=0.6)
    length = max(record.axes["length"])
    for place, cell in enumerate(record.axes["cell"]):
        exponents, iterations = longest(record, cell)
        colour = plots.colour_of(cell)
        axes.plot(
            exponents.ravel(),
            iterations.ravel(),
            plots.marker_of(cell),
            color=colour,
            markerfacecolor="none",
            markersize=4,
        )
        where = (0.72, 0.38 - 0.08 * place)
        ink = plots.ink(colour)
        plots.note(axes, cell, where, coords="axes fraction", color=ink)
    axes.axhline(length, color=plots.GREY, linewidth=0.6)
    plots.note(axes, f"as many as steps, {length}", (0, length), (-4, -10), ha="right")
    axes.set_yscale("log")
    axes.set_title(f"The exponent decides ($T$ = {length})")
    axes.set_xlabel("largest Lyapunov exponent $\\lambda_1$, nats per step")
    axes.set_ylabel("iterations")


def _plot_lengths(axes: Axes, record: Record) -> None:
    """The first cell's: the median of the nets clearly on either side, by T."""
    cell, lengths = record.axes["cell"][0], np.array(record.axes["length"])
    exponents, found = (
        take(record, "exponent", cell=cell),
        take(record, "iterations", cell=cell),
    )
    plots.theory_line(axes, lengths, lengths, "")
    plots.note(axes, "$T$", (lengths[-1], lengths[-1]), (-10, 2), ha="right")
    colour = plots.colour_of(cell)
    sides = (">", exponents > CLEAR, "-"), ("<", exponents < -CLEAR, "--")
    for sign, side, dashes in sides:
        if side.any():
            low, middle, high = np.quantile(found[side], (0.1, 0.5, 0.9), axis=0)
            axes.plot(lengths, middle, dashes, color=colour)
            axes.fill_between(lengths, low, high, color=colour, alpha=0.2, linewidth=0)
            at = (lengths[len(lengths) // 2], middle[len(lengths) // 2])
            name, ink = f"$\\lambda_1 {sign} 0$", plots.ink(colour)
            plots.note(axes, name, at, (6, -12), color=ink)
    axes.set_xscale("log", base=2)
    axes.set_title(f"{cell}: flat, or in proportion")
    axes.set_xlabel("steps $T$")
