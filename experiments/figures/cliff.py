"""The figure of `experiments.cliff`: surface and walks, section, fixed points."""

from typing import Any

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
    figure = Figure(figsize=(7.2, 6.2), layout="constrained")
    plots.headline(figure, finding(record))
    axes = figure.subplot_mosaic(
        [["far", "near"], ["section", "branches"]], height_ratios=[1.25, 1]
    )
    _plot_surface(axes["far"], record, "far_error", "plain")
    axes["far"].set_title("Gradient descent from the wall")
    _plot_surface(axes["near"], record, "near_error", "clipped")
    axes["near"].set_title("The same, beside the wall")
    _plot_section(axes["section"], record)
    _plot_branches(axes["branches"], record)
    return figure


def finding(record: Record) -> str:
    """Returns what a step from the wall does, plain and clipped."""
    first, second, *_ = take(record, "walk", walk="plain")
    far = f"One plain step from the wall goes {np.hypot(*(second - first)):.2g} far"
    plain, clipped = (
        float(take(record, "walk_error", walk=walk)[-1])
        for walk in ("plain", "clipped")
    )
    if 0 < 2 * clipped < plain:
        times = f"{plain / clipped:.0f}"
        return f"{far}; clipped, descent ends with an error {times} times smaller"
    return f"{far}; the error ends at {plain:.2g}, clipped at {clipped:.2g}"


def _plot_surface(axes: Axes, record: Record, name: str, named: str) -> None:
    num_steps, errors = record.config["num_steps"], record.arrays[name]
    b, w = (np.array(record.axes[axis]) for axis in errors.axes)
    label = f"error $E = (\\sigma(x_{{{num_steps}}}) - 0.7)^2$"
    plots.error_surface(axes, w, b, errors.values, label)
    wall = np.linspace(STEEPEST_FLAT_W, w[-1], 50)
    axes.plot(wall, theory.cliff_bias(wall), "--", color="white", linewidth=0.9)
    axes.set(xlim=(w[0], w[-1]), ylim=(b[0], b[-1]))
    for walk in record.axes["walk"]:
        colour, marker = LOOKS[walk]
        points = take(record, "walk", walk=walk)
        plots.walk(axes, points, walk, colour=colour, marker=marker)
        if walk == named:
            error = float(take(record, "walk_error", walk=walk)[-1])
            _name_end(axes, points[-1], f"{walk}: E = {error:.1g}")
    middle = w[0] + 0.6 * (w[-1] - w[0])
    place, below = (middle, float(theory.cliff_bias(middle))), (-4, -4)
    plots.note(axes, "the wall $b^*(w)$", place, below, ha="right", va="top")
    axes.set(xlabel="weight $w$", ylabel="bias $b$")


def _name_end(axes: Axes, end: np.ndarray, text: str) -> None:
    """Writes above the end of a walk, towards the middle of the panel.

    Outside the panel nothing is written.
    """
    left = end[0] > np.mean(axes.get_xlim())
    style: dict[str, Any] = {"ha": "right" if left else "left", "color": "white"}
    plots.note(axes, text, tuple(end), (6 if left else -6, 7), **style)


def _plot_section(axes: Axes, record: Record) -> None:
    w, b = record.config["w"], np.array(record.axes["section_b"])
    axes.semilogy(
        b, take(record, "section_gradient_norm"), color="#D55E00", linewidth=1.2
    )
    kept = record.config["max_norm"]
    axes.axhline(kept, color=plots.GREY, linewidth=0.6)
    plots.note(axes, "clipped to here", (b[0], kept), (5, 3), color=plots.GREY)
    axes.locator_params(axis="x", nbins=4)
    axes.set_title(f"Steepness across the wall, at $w$ = {w:g}")
    axes.set(xlabel="bias $b$", ylabel="gradient $||\\nabla E||$", xlim=(b[0], b[-1]))


def _plot_branches(axes: Axes, record: Record) -> None:
    w, x = record.config["w"], np.array(record.axes["x"])
    b, slope = take(record, "branch_b"), take(record, "branch_slope")
    folds = take(record, "saddle_node_b")
    for stable, style in ((True, "-"), (False, (0, (2, 1.5)))):
        shown = np.where((slope < 1) == stable, x, np.nan)
        axes.plot(b, shown, color="black", linewidth=1.2, linestyle=style)
    middle, centre = float(theory.cliff_bias(w)), folds.mean()
    axes.plot(middle, START, "o", color="white", markeredgecolor="black", markersize=5)
    plots.note(axes, "start, on the wall", (middle, START), (7, -2))
    margin = 1.5 * np.ptp(folds) + 0.2
    inside = np.abs(b - centre) < margin
    axes.set_xlim(centre - margin, centre + margin)
    axes.set_ylim(x[inside].min(), x[inside].max())
    _name_branches(axes, b, np.where(inside, x, np.nan), slope)
    axes.set_title(f"Fixed points of a step, at $w$ = {w:g}")
    axes.set(xlabel="bias $b$", ylabel="$x = w\\,\\sigma(x) + b$")


def _name_branches(axes: Axes, b: np.ndarray, x: np.ndarray, slope: np.ndarray) -> None:
    """Names the branches, and marks the saddle-nodes between them."""
    (folds,) = np.nonzero(np.diff(slope < 1))
    axes.plot(b[folds], x[folds], "D", color="black", markersize=4)
    if len(folds) != 2:
        return
    lower, upper = folds
    low, high = np.nanargmin(x), np.nanargmax(x)
    between = (2 * lower + upper) // 3
    sides = {
        (low + lower) // 2: ("stable", (-5, 5), "right"),
        between: ("unstable", (6, -1), "left"),
        (upper + high) // 2: ("stable", (5, -10), "left"),
        lower: ("saddle-node", (6, -3), "left"),
    }
    for at, (text, offset, side) in sides.items():
        plots.note(axes, text, (float(b[at]), float(x[at])), offset, ha=side)
