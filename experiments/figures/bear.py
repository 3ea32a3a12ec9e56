"""The bear in the memory: what of the first scene is kept, and of the gradient."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from experiments.common.report import TRAINED
from experiments.common.statistics import median_index, quartiles
from experiments.common.variants import variant_of
from experiments.figures.nature_show import NAMES, SOLVED
from lstm_jax import plots
from lstm_jax.tasks.nature_show import ANSWERS

GUESSED = 0.6  # at most, of the ambiguous images
FLOAT32_STEP = np.log10(np.finfo(np.float32).eps / 2)  # 1 + less than this is 1
BESIDE: dict[str, Any] = {"coords": "axes fraction", "va": "center", "size": 9}
ABOVE: dict[str, Any] = {"coords": ("data", "axes fraction"), "size": 10}


def plot(record: Record) -> Figure:
    """Draws the median seed of every trained cell, and the untrained gradients."""
    entries = record.axes["variant"]
    rows = ["film", *(entry["label"] for entry in entries), "gradient"]
    heights = [0.36, *(0.68 for _ in entries), 2.1]
    figure = Figure(figsize=(7.2, 1.7 + sum(heights)), layout="constrained")
    axes = figure.subplot_mosaic([[row] for row in rows], height_ratios=heights)
    plots.headline(figure, finding(record), size=15)
    _plot_film(axes["film"], record)
    for entry in entries:
        _plot_memory(axes[entry["label"]], record, entry)
    axes[rows[1]].set_title("Trained: memory with the bear minus with an armchair")
    _plot_gradient(axes["gradient"], record)
    return figure


def finding(record: Record) -> str:
    """Returns what the figure shows, as a sentence that this record supports."""
    right = {
        entry["cell"]: take(record, "accuracy", variant=entry, stage=TRAINED)
        for entry in record.axes["variant"]
    }
    if not {"rnn", "lstm"} <= set(right):
        return "What each memory keeps of the bear"
    if (right["rnn"] <= GUESSED).all() and (right["lstm"] >= SOLVED).all():
        return "An RNN forgets the bear. An LSTM told to keep, keeps."
    rnn, lstm = np.median(right["rnn"]), np.median(right["lstm"])
    lag = record.config["lag"]
    return f"{lag} images after the bear: RNN {rnn:.0%} right, LSTM {lstm:.0%}"


def _plot_film(axes: Axes, record: Record) -> None:
    inputs = take(record, "scene_input")[:, 0]
    last = len(inputs) - 1
    if record.config["rendering"] == "digits":
        plots.film_strip(axes, inputs, ["" for _ in inputs])
        seen = "8 x 8 handwritten\ndigits stand in\nfor the animals"
    else:
        axes.imshow(inputs.T, cmap="Greys", aspect="auto")
        axes.set(xticks=[], yticks=[])
        seen = "seen"
    axes.set_ylabel(seen, rotation=0, ha="right", va="center", fontsize=8)
    plots.note(axes, "the bear", (-0.5, 1), (0, 4), fontweight="bold", **ABOVE)
    between = f"{last - 1} oaks, pines and squirrels"
    small = ABOVE | {"size": 8, "ha": "center"}
    plots.note(axes, between, (last / 2, 1), (0, 4), **small)
    asked = "dog or wolf?"
    end = {"ha": "right", "fontweight": "bold"}
    plots.note(axes, asked, (last + 0.5, 1), (0, 4), **end, **ABOVE)


def _plot_memory(axes: Axes, record: Record, entry: dict[str, Any]) -> None:
    """Draws one network's memory with the bear minus that with the armchair.

    As a share of its largest size, unit by unit: a bear that comes to matter more and
    more does not look forgotten at the start.
    """
    right = take(record, "accuracy", variant=entry, stage=TRAINED)
    seed = median_index(right)
    difference = take(record, "scene_difference", variant=entry, seed=seed)
    largest = np.abs(difference).max(axis=0)
    difference = difference / np.where(largest > 0, largest, 1)
    order, variant = np.argsort(difference[-1]), variant_of(entry)
    name = NAMES.get(variant.cell, variant.cell)
    plots.heat_map(axes, difference[:, order], name, signed=True)
    axes.yaxis.label.set(
        color=plots.colour_of(variant.cell), fontweight="bold", fontsize=11
    )
    bear, armchair = take(record, "scene_answer", variant=entry, seed=seed)
    told = f"{_answer(bear)}\nhad it been an\narmchair: {_answer(armchair)}"
    plots.note(axes, told, (1.09, 0.5), **BESIDE)


def _answer(probabilities: np.ndarray) -> str:
    best = int(np.argmax(probabilities))
    return f"{ANSWERS[best]} {probabilities[best]:.2f}"


def _plot_gradient(axes: Axes, record: Record) -> None:
    """Draws how much of the answer's gradient is left in untrained networks."""
    lags = np.array(record.axes["far_lag"])
    lowest = FLOAT32_STEP
    for entry in record.axes["far_variant"]:
        variant = variant_of(entry)
        shares = take(record, "far_log_share", far_variant=entry)
        _, median, _ = quartiles(shares, axis=(0, 1)) / np.log(10)
        usual = variant.forget_bias is not None and variant.order == 0
        style = plots.line_of(variant.cell, int(usual))
        style["marker"] = ""
        name = NAMES[variant.cell]
        if variant.forget_bias is not None:
            name += f", forget bias {variant.forget_bias:.2g}"
        axes.plot(lags, median, label=f"{name}:\n{_left(median[-1])}", **style)
        lowest = min([lowest, *median[np.isfinite(median)]])
    plots.log_axis(axes, int(lags[-1]), "")
    axes.axhspan(lowest - 2, FLOAT32_STEP, color="0.93", zorder=0)
    axes.set_ylim(lowest - 2, None)
    lost = "lost in float32: too small to change a sum"
    plots.note(axes, lost, (2, lowest - 1.4), color=plots.GREY, size=9)
    axes.set_title("Before training: how much of the answer's gradient is left")
    axes.set(xlabel="steps back from the answer", ylabel="share of the gradient")
    plots.label_ends(axes, size=9)


def _left(log_share: float) -> str:
    """Returns a share as a power of ten, or as it is where it is above 1/100."""
    if not np.isfinite(log_share):
        return wording.LOST if log_share == -np.inf else wording.OVERFLOW
    if log_share > -2:
        return f"{10**log_share:.2f}"
    return f"$10^{{{round(log_share)}}}$"
