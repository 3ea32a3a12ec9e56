"""The figure of `experiments.selective_copying`: who copies, which slots, and why."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from experiments.criteria.selective_copying import PUBLISHED, PUBLISHED_SLOTS
from lstm_jax import plots

NAMES = {
    "gru": "GRU",
    "min_gru": "minGRU",
    "min_lstm": "minLSTM",
    "min_gru_longer": "minGRU,\n3 x updates",
    "min_gru_two_layers": "minGRU,\n2 layers",
    "min_gru_real": "minGRU,\nreal n",
}
CELLS = {"gru": "gru", "min_lstm": "min_lstm"}  # the others are minGRUs
LINES = {"min_lstm": plots.LINE_STYLES[1], "min_gru_real": plots.LINE_STYLES[2]}
NUM_SYMBOLS = 8
TASKS = {"": "num", "far_": "far"}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws exact accuracies, accuracies by slot, and what is kept of each slot."""
    kept = "log_kept" in record.arrays
    figure = Figure(figsize=(9.6 if kept else 6.4, 3.3), layout="constrained")
    plots.headline(figure, finding(record))
    parts = figure.subplots(1, 3 if kept else 2, width_ratios=[1.1, 1, 1][: 2 + kept])
    _plot_exact(parts[0], record)
    _plot_slots(parts[1], record)
    if kept:
        _plot_kept(parts[2], record)
    return figure


def finding(record: Record) -> str:
    """Returns how often one layer of each cell copies everything in order."""
    told = ", ".join(
        f"{NAMES[name]} {take(record, 'exact', network=name).mean():.0%}"
        for name in record.axes["network"]
        if name in ("gru", "min_gru", "min_lstm")
    )
    steps, items = _sizes(record, "")
    sentence = f"{items} symbols of {steps} steps copied in order by one layer: {told}"
    if "min_gru" not in record.axes.get("far_network", ()):
        return sentence
    slots = take(record, "far_slot_accuracy", far_network="min_gru").mean(0)
    return (
        f"{sentence}; of {slots.size}, minGRU has the first right in "
        f"{slots[0]:.0%}, the last in {slots[-1]:.0%}"
    )


def _sizes(record: Record, prefix: str) -> tuple[int, int]:
    config, task = record.config, TASKS[prefix]
    return config[f"{task}_steps"], config[f"{task}_items"]


def _colour(name: str) -> str:
    return plots.colour_of(CELLS.get(name, "min_gru"))


def _plot_exact(axes: Axes, record: Record) -> None:
    """Draws a row for each network: a dot a seed, and a diamond, what is published."""
    networks, published = record.axes["network"], PUBLISHED.get(_sizes(record, ""), {})
    for place, name in enumerate(networks):
        found = take(record, "exact", network=name)
        spread = np.linspace(-0.12, 0.12, found.size) if found.size > 1 else [0]
        style = {"color": _colour(name), "markersize": 5, "mfc": "none"}
        axes.plot(found, place + np.array(spread), "o", clip_on=False, **style)
        if name in published:
            at = (published[name], place + 0.3)
            axes.plot(*at, "D", color=plots.GREY, markersize=4, clip_on=False)
            if name == "min_gru":
                words: dict[str, Any] = {"color": plots.GREY, "ha": "left"}
                plots.note(axes, "published", at, (6, 0), va="center", **words)
    axes.set_yticks(range(len(networks)), [NAMES[name] for name in networks])
    axes.set(xlim=(0, 1), ylim=(len(networks) - 0.4, -0.5))
    axes.set_xlabel("sequences with every symbol right")
    steps, items = _sizes(record, "")
    axes.set_title(f"{items} symbols of {steps} steps")


def _plot_slots(axes: Axes, record: Record) -> None:
    """Draws accuracies by slot in the longer task: a line a seed, named at its end."""
    slots = record.axes.get("far_slot", [])
    for name in record.axes.get("far_network", ()):
        found = take(record, "far_slot_accuracy", far_network=name)
        style = {"color": _colour(name), "ls": LINES.get(name, "-")}
        axes.plot(slots, found.T, linewidth=0.5, alpha=0.5, **style)
        axes.plot(slots, found.mean(0), linewidth=1.6, label=NAMES[name], **style)
    if _sizes(record, "far_") in PUBLISHED:
        axes.plot(slots, PUBLISHED_SLOTS, "D", color=plots.GREY, markersize=4)
        words: dict[str, Any] = {"color": plots.GREY, "ha": "center"}
        plots.note(
            axes, "published,\nminGRU", (5, PUBLISHED_SLOTS[4]), (0, -36), **words
        )
    axes.axhline(1 / NUM_SYMBOLS, color=plots.GREY, linewidth=0.6)
    plots.note(axes, "chance", (1, 1 / NUM_SYMBOLS), (0, -9), color=plots.GREY)
    axes.set(ylim=(0, 1.03), xlabel="slot, in the order of writing")
    axes.set_ylabel("share of right symbols")
    axes.set_xticks(slots)
    steps, items = _sizes(record, "far_")
    axes.set_title(f"{items} symbols of {steps} steps")
    plots.label_ends(axes)


def _plot_kept(axes: Axes, record: Record) -> None:
    """Draws the logarithms of what is kept of each slot's write, a line a seed."""
    slots, colour = record.axes["far_slot"], _colour("min_gru")
    ways = (
        ("log_kept", "-", "mean square\nof units"),
        ("typical_log_kept", plots.LINE_STYLES[1], "geometric\nmean"),
    )
    for name, line, words in ways:
        found = take(record, name)
        axes.plot(slots, found.T, color=colour, ls=line, linewidth=0.5, alpha=0.5)
        axes.plot(slots, found.mean(0), color=colour, ls=line, linewidth=1.6)
        above = name == "log_kept"
        at = (slots[0], found[:, 0].max() if above else found[:, 0].min())
        style: dict[str, Any] = {"color": plots.ink(colour)}
        style["va"] = "bottom" if above else "top"
        plots.note(axes, words, at, (0, 12 if above else -6), **style)
    blank, write = (
        take(record, "log_factor", step_of=step).mean()
        for step in ("a blank", "a write")
    )
    told = f"a write: {write:.2f} nats\na blank: {blank:.2f}"
    where: dict[str, Any] = {"coords": "axes fraction", "ha": "right", "va": "bottom"}
    plots.note(axes, told, (0.98, 0.04), color=plots.GREY, **where)
    axes.margins(y=0.25)
    axes.set_xticks(slots)
    axes.set(xlabel="slot, in the order of writing")
    axes.set_ylabel("ln of the factors' product")
    axes.set_title("minGRU: kept until the first marker")
