"""The figure of `experiments.cliff`: surface and walks, section, fixed points."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from lstm_jax import plots, theory

START = 0.5
# 1/σ'(1/2) = 4.2553: at a smaller weight the start is not an unstable fixed point.
STEEPEST_FLAT_W = 4.2554
LOOKS = {"plain": ("#D55E00", "s"), "clipped": ("#56B4E9", "o")}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the surface with the walks, the section, and the fixed points."""
    figure = Figure(figsize=(7.0, 5.6), layout="constrained")
    axes = figure.subplot_mosaic(
        [["far", "near"], ["section", "branches"]], height_ratios=[1.25, 1]
    )
    _plot_surface(axes["far"], record, "far_error")
    axes["far"].set_title("Gradient descent from the wall")
    axes["far"].legend(loc="upper left", labelcolor="white")
    _plot_surface(axes["near"], record, "near_error")
    axes["near"].set_title("The same, beside the wall")
    _plot_section(axes["section"], record)
    _plot_branches(axes["branches"], record)
    return figure


def _plot_surface(axes: Axes, record: Record, name: str) -> None:
    num_steps, errors = record.config["num_steps"], record.arrays[name]
    b, w = (np.array(record.axes[axis]) for axis in errors.axes)
    label = f"$E = (\\sigma(x_{{{num_steps}}}) - 0.7)^2$"
    plots.error_surface(
        axes, w, b, errors.values, label if name == "near_error" else ""
    )
    wall = np.linspace(STEEPEST_FLAT_W, w[-1], 50)
    axes.plot(wall, theory.cliff_bias(wall), "--", color="white", linewidth=0.9)
    for walk in record.axes["walk"]:
        colour, marker = LOOKS[walk]
        end = float(take(record, "walk_error", walk=walk)[-1])
        plots.walk(
            axes,
            take(record, "walk", walk=walk),
            f"{walk}: E = {end:.1g}",
            colour=colour,
            marker=marker,
        )
    corner, where = (0.05, 0.06), "axes fraction"
    plots.note(axes, "the wall $b^*(w)$", corner, coords=where)
    axes.set(xlim=(w[0], w[-1]), ylim=(b[0], b[-1]))
    axes.set(xlabel="weight $w$", ylabel="bias $b$")


def _plot_section(axes: Axes, record: Record) -> None:
    w, b = record.config["w"], np.array(record.axes["section_b"])
    axes.semilogy(
        b, take(record, "section_gradient_norm"), color="#D55E00", linewidth=1.2
    )
    kept = record.config["max_norm"]
    axes.axhline(kept, color=plots.GREY, linewidth=0.6)
    plots.note(axes, "clipped to here", (b[0], kept), (0, 3), color=plots.GREY)
    axes.set_title(f"Section at $w$ = {w:g}: steepness")
    axes.set(xlabel="bias $b$", ylabel="$||\\nabla E||$", xlim=(b[0], b[-1]))


def _plot_branches(axes: Axes, record: Record) -> None:
    w, x = record.config["w"], np.array(record.axes["x"])
    b, slope = take(record, "branch_b"), take(record, "branch_slope")
    folds = take(record, "saddle_node_b")
    for stable, style in ((True, "-"), (False, (0, (2, 1.5)))):
        shown = np.where((slope < 1) == stable, x, np.nan)
        label = "stable" if stable else "unstable"
        axes.plot(b, shown, color="black", linewidth=1.2, linestyle=style, label=label)
    middle = theory.cliff_bias(w)
    axes.plot(middle, START, "o", color="white", markeredgecolor="black", markersize=5)
    plots.note(axes, "start, on the wall", (float(middle), START), (7, -3))
    for fold in folds:
        axes.axvline(fold, color=plots.GREY, linewidth=0.6)
    axes.set_title(f"Fixed points at $w$ = {w:g}, two saddle-nodes")
    margin = 1.5 * np.ptp(folds) + 0.2
    centre = folds.mean()
    axes.set(xlabel="bias $b$", ylabel="$x = w\\,\\sigma(x) + b$")
    axes.set_xlim(centre - margin, centre + margin)
    inside = np.abs(b - centre) < margin
    axes.set_ylim(x[inside].min(), x[inside].max())
    axes.legend(loc="lower right")
