"""The figure of `experiments.nature_show`: accuracy by lag, and one show, told."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from experiments.common.statistics import mean_interval
from lstm_jax import plots
from lstm_jax.tasks.nature_show import ANSWERS, ROLES

BESIDE = 1.03  # from the points of one variant to those of the next, along the lag
SOLVED = 0.95  # of the ambiguous images answered right
NAMES = {"rnn": "RNN", "lstm": "LSTM", "four_gate": "four-gate"}
SEEN = {"last image": "the last image alone", "show": "the whole show"}
STATES = {
    "i": "LSTM: input gate $i$",
    "f": "forget gate $f$",
    "g": "candidate $g$",
    "o": "output gate $o$",
    "c": "long-term $c$",
    "h": "short-term $h$",
}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws accuracy against lag and, below, the images of one show and its LSTM."""
    film = "state" in record.axes and record.config["rendering"] == "digits"
    rnn = ["rnn"] if "story_rnn" in record.arrays else []
    inside = [*rnn, *STATES] if film else []
    rows = ["accuracy", "film", *inside] if film else ["accuracy"]
    heights = [4, 0.6, *(0.8 for _ in inside)] if film else [1]
    figure = Figure(figsize=(6.6, 8.0 if film else 3), layout="constrained")
    plots.headline(figure, finding(record))
    axes = figure.subplot_mosaic([[row] for row in rows], height_ratios=heights)
    _plot_accuracy(axes["accuracy"], record)
    if film:
        _plot_film(axes, record, inside)
    return figure


def finding(record: Record) -> str:
    """Returns what the record shows: the farthest lag that each cell learns."""
    lags, parts = record.axes["lag"], []
    for cell in dict.fromkeys(entry["cell"] for entry in record.axes["variant"]):
        of_cell = [entry for entry in record.axes["variant"] if entry["cell"] == cell]
        solved = [take(record, "accuracy", variant=e) >= SOLVED for e in of_cell]
        most = np.max([of.mean(0) > 0.5 for of in solved], axis=0)
        far = max((lag for lag, m in zip(lags, most, strict=True) if m), default=0)
        parts.append(f"{NAMES.get(cell, cell)} {far}")
    return f"How many images back most networks remember: {', '.join(parts)}"


def _plot_accuracy(axes: Axes, record: Record) -> None:
    lags = record.axes["lag"]
    for k, entry in enumerate(record.axes["variant"]):
        accuracy = take(record, "accuracy", variant=entry)
        plots.accuracy_curve(
            axes,
            [lag * BESIDE**k for lag in lags],
            accuracy,
            mean_interval(accuracy),
            entry["cell"],
            _name(entry),
            variant=entry["order"],
        )
    axes.axhline(0.5, color=plots.GREY, linewidth=0.6, zorder=0)
    axes.set(xlabel="lag: distractors between scene and question, steps")
    axes.set(ylabel="accuracy on\nambiguous images")
    axes.set_xscale("log", base=2)
    axes.set_xticks(lags, [str(lag) for lag in lags])
    axes.set_yticks((0.5, 0.75, 1), ("no memory: 0.5", "0.75", "1"))
    axes.set_ylim(0.4, 1.02)
    axes.set_xlim(lags[0] / BESIDE**2, lags[-1] * BESIDE**6)
    plots.label_ends(axes)


def _name(entry: dict[str, Any]) -> str:
    name = str(NAMES.get(entry["cell"], entry["cell"]))
    bias = entry.get("forget_bias")
    shown = f"{bias:.3g}" if isinstance(bias, float) else bias
    return name if bias is None else f"{name}, $b_f$ {shown}"


def _plot_film(axes: dict[str, Axes], record: Record, inside: list[str]) -> None:
    roles = [ROLES[int(role)] for role in take(record, "story_role")[:-1]]
    captions = [*roles, "dog or wolf?"]
    plots.film_strip(axes["film"], take(record, "story_input"), captions)
    if "rnn" in axes:
        rnn, label = take(record, "story_rnn"), "RNN: memory $h$"
        plots.heat_map(axes["rnn"], rnn[:, np.argsort(rnn[-1])], label, signed=True)
    order = np.argsort(take(record, "story_state", state="c")[-1])
    for letter in STATES:
        values = take(record, "story_state", state=letter)[:, order]
        plots.heat_map(axes[letter], values, STATES[letter], signed=letter in "gch")
    answers = zip(record.axes["seen"], take(record, "story_probability"), strict=True)
    told = [
        f"{SEEN.get(seen, seen)}: {probabilities(values)}" for seen, values in answers
    ]
    axes[inside[-1]].set_xlabel("\n".join(told))


def probabilities(values: np.ndarray) -> str:
    """Returns the probability of each answer, in words."""
    pairs = zip(ANSWERS, values, strict=True)
    return ", ".join(f"{animal} {value:.2f}" for animal, value in pairs)
