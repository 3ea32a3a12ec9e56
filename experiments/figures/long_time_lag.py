"""The figure of `experiments.long_time_lag`: errors, and sequences by distance."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from experiments.criteria.long_time_lag import PUBLISHED_FAR, learned_after
from lstm_jax import plots

SHORT = {"2a": "2a", "2b": "2b", "2a_shut": "2a with a shut gate"}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the errors of 2a, those of 2c, and the sequences of 2c by distance."""
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    plots.headline(figure, finding(record))
    near, far, distance = figure.subplots(1, 3, width_ratios=[1.2, 1, 1])
    _plot_near(near, record)
    _plot_far(far, record)
    _plot_distance(distance, record)
    return figure


def finding(record: Record) -> str:
    """Returns how many nets learned each experiment; all RNNs are one."""
    told = {
        **{
            SHORT[task]: _learned(record, "", task=task) for task in record.axes["task"]
        },
        "2a by RNNs": np.concatenate(
            [_learned(record, "rnn_", rnn=one) for one in record.axes["rnn"]] or [[]]
        ),
        **{
            f"2c at q = {q}": _learned(record, "far_", distance=q)
            for q in record.axes["distance"]
        },
    }
    shares = [f"{name} {int(np.sum(of))}/{len(of)}" for name, of in told.items()]
    return f"Nets that learned: {', '.join(shares)}"


def _learned(record: Record, prefix: str, **at: Any) -> np.ndarray:
    return np.isfinite(learned_after(record, prefix, **at))


def _plot_near(axes: Axes, record: Record) -> None:
    sequences = np.array(record.axes["sequence"]) / 1000
    lag, rnns = record.config["lag"], take(record, "rnn_error")
    for task, color, label in (
        ("2a", plots.colour_of("lstm97"), "one cell"),
        ("2a_shut", plots.colour_of("lstm"), "gate shut at first"),
    ):
        if task in record.axes["task"]:
            errors = take(record, "error", task=task)
            axes.semilogy(sequences, errors.T, color=color, lw=0.7, label=label)
    for k, activation in enumerate(record.axes["rnn"]):
        style = {"color": plots.colour_of("rnn"), "ls": plots.LINE_STYLES[k + 1]}
        axes.semilogy(sequences, rnns[k].T, lw=0.7, label=f"{activation} RNN", **style)
    floor = 0.5 / lag  # two units at 1/2 in one step of `lag`
    axes.axhline(floor, color=plots.GREY, linewidth=0.6)
    right = axes.get_xlim()[1]
    at, below = (right, floor), (-2, -9)
    plots.note(axes, "all but the last", at, below, ha="right", color=plots.GREY)
    axes.set(xlabel="thousand sequences", ylabel="squared error of a step")
    axes.set(title=f"2a, p = {lag}", ylim=(None, 100))  # the names stand above
    handles, labels = axes.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    axes.legend(first.values(), first.keys(), loc="upper right")


def _plot_far(axes: Axes, record: Record) -> None:
    sequences = np.array(record.axes["far_sequence"]) / 1000
    errors = take(record, "far_error")
    for k, q in enumerate(record.axes["distance"]):
        style = {"color": plots.PALETTE[k % 7], "ls": plots.LINE_STYLES[k % 4]}
        lines = axes.plot(sequences, errors[k].T, lw=0.7, **style)
        lines[0].set_label(f"q = {q}")
    right = sequences[np.isfinite(errors).any((0, 1))].max()
    axes.axhline(0.5, color=plots.GREY, linewidth=0.6)
    plots.note(axes, "chance", (right, 0.5), (0, 2), ha="right", color=plots.GREY)
    axes.set(xlim=(0, right), ylim=(0, 0.9), xlabel="thousand sequences")
    axes.set(ylabel="squared error", title="2c, two blocks of one cell")
    axes.legend(loc="upper right")


def _plot_distance(axes: Axes, record: Record) -> None:
    distances = record.axes["distance"]
    for q in distances:
        after = learned_after(record, "far_", distance=q) / 1000
        solved = after[np.isfinite(after)]
        color = plots.colour_of("lstm97")
        axes.plot([q] * solved.size, solved, "o", color=color, mfc="none", ms=4)
        if not solved.size:
            most = record.config["max_far"] / 1000
            plots.note(axes, "none", (q, most), (0, 2), ha="center", color=color)
    shown = [q for q in PUBLISHED_FAR if q <= max(2 * max(distances), 100)]
    published = [PUBLISHED_FAR[q] / 1000 for q in shown]
    axes.plot(shown, published, "D", color="black", ms=4)
    plots.note(axes, "1997", (shown[-1], published[-1]), (0, 6), ha="center")
    axes.set(xscale="log", yscale="log", xlabel="distractors $q$, $p = q$")
    axes.set_xticks(shown, list(map(str, shown)))
    axes.set_yticks([30, 50, 100, 150], ["30", "50", "100", "150"])
    axes.minorticks_off()
    axes.set(ylabel="thousand sequences", title="2c: learned after", ylim=(20, 200))
    axes.margins(x=0.15)
