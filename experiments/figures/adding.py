"""The figure of `experiments.adding`: errors of 1997 and of today, by training."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from experiments.criteria.adding import (
    MEAN_OF_ONE,
    MEAN_OF_TWO,
    PUBLISHED,
    SMALL,
    WINDOW,
    moving_mean,
)
from lstm_jax import plots
from lstm_jax.tasks import adding_1997

LOWEST = 1e-5


@plots.styled
def plot(record: Record) -> Figure:
    """Draws errors against sequences in 1997, against updates today, T and 2 T."""
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    plots.headline(figure, finding(record))
    then, now, longer = figure.subplots(1, 3, width_ratios=[1.15, 1, 1])
    _plot_1997(then, record)
    longer.sharey(now)
    _plot_today(now, record, "", "length")
    _plot_today(longer, record, "long_", "long_length")
    longer.set_ylabel("")
    return figure


def finding(record: Record) -> str:
    """Returns how many nets of 1997 were solved, and how many LSTMs by Adam."""
    solved = np.isfinite(take(record, "solved_at")).sum(1)
    nets = record.config["num_nets"]
    told = [
        f"{int(of)} of {nets} nets of 1997 with a {output} output"
        for output, of in zip(record.axes["output"], solved, strict=True)
    ]
    if "lstm" in record.axes["cell"]:
        tests = take(record, "test_loss", cell="lstm")
        told.append(f"{int((tests <= SMALL).sum())} of {tests.size} LSTMs by Adam")
    return f"Two numbers added: {', '.join(told)}"


def _plot_1997(axes: Axes, record: Record) -> None:
    sequences = np.array(record.axes["sequence"]) / 1000
    lag, errors = record.config["lag"], take(record, "error")
    for k, output in enumerate(record.axes["output"]):
        color, style = plots.PALETTE[k], plots.LINE_STYLES[k]
        lines = axes.semilogy(sequences, errors[k].T, color=color, ls=style, lw=0.7)
        lines[0].set_label(f"{output}\noutput")
    length = lag + lag // 10
    (known,) = adding_1997.sum_plateaus(length).values()
    floor = adding_1997.sum_floor(length)
    right = sequences[np.isfinite(errors).any((0, 1))].max()
    _name_plateaus(axes, right, floor, known)
    axes.set(xlim=(0, right), ylim=(np.nanmin(errors) / 3, 3 * floor))
    _plot_solved(axes, record, right)
    axes.set(xlabel="thousand sequences", ylabel="mean squared error")
    axes.set_title(f"1997: 93 weights, T = {lag}")
    axes.legend(loc="center right")


def _plot_solved(axes: Axes, record: Record, right: float) -> None:
    """Marks at the foot where nets were solved, and where the paper's were."""
    foot, color = 1.4 * axes.get_ylim()[0], "black"
    solved_at = take(record, "solved_at").ravel() / 1000
    solved = solved_at[np.isfinite(solved_at)]
    axes.plot(solved, np.full(solved.size, foot), "|", color=color, ms=8)
    if solved.size:
        plots.note(axes, "solved", (solved.max(), foot), (4, -3))
    if PUBLISHED / 1000 < right:
        axes.plot([PUBLISHED / 1000], [foot], "D", color=color, ms=4)
        plots.note(axes, "1997", (PUBLISHED / 1000, foot), (0, 5), ha="center")


def _name_plateaus(
    axes: Axes, right: float, none: float, one: float, above: float = 2
) -> None:
    """Draws both plateaus; the name of the upper one is so many points above it."""
    for level, text, by in ((none, "no number known", above), (one, "one of two", 2)):
        axes.axhline(level, color=plots.GREY, linewidth=0.6)
        plots.note(axes, text, (right, level), (0, by), ha="right", color=plots.GREY)


def _plot_today(axes: Axes, record: Record, prefix: str, length: str) -> None:
    config, axis = record.config, f"{prefix}cell"
    window = min(WINDOW, config["num_steps"])
    updates = np.arange(window, config["num_steps"] + 1)
    for k, cell in enumerate(record.axes[axis]):
        losses = take(record, f"{prefix}loss", **{axis: cell})
        smooth = np.maximum(moving_mean(losses, window), LOWEST)
        style = {"color": plots.colour_of(cell), "ls": plots.LINE_STYLES[k % 4]}
        lines = axes.semilogy(updates, smooth.T, lw=0.9, **style)
        lines[np.argsort(smooth[:, -1])[len(smooth) // 2]].set_label(cell)
    _name_plateaus(axes, config["num_steps"], MEAN_OF_TWO, MEAN_OF_ONE, above=9)
    axes.set(xlim=(0, config["num_steps"]), ylim=(None, 3 * MEAN_OF_TWO))
    axes.set(xlabel="updates", ylabel="mean squared error")
    axes.set_title(f"Today: Adam, T = {config[length]}")
    plots.label_ends(axes)
