"""The figure of `experiments.learning_to_forget`: symbols, nats, states over time."""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from experiments.criteria.learning_to_forget import (
    KEEPS,
    NAMES_OF_2000,
    kinds_in,
    learnt_after,
    perfect,
)
from lstm_jax import plots

POINTS = 60  # of a curve over time
RESETS = "_resets"


@plots.styled
def plot(record: Record) -> Figure:
    """Draws who remembers at the end, how fast it was learnt, and the states."""
    rows = len(_nets(record))
    figure = Figure(figsize=(7.6, 2.4 + 0.11 * rows), layout="constrained")
    plots.headline(figure, finding(record))
    right, learning, states = figure.subplots(1, 3, width_ratios=[1.15, 1.1, 1.2])
    _plot_right(right, record)
    _plot_learning(learning, record)
    _plot_states(states, record)
    return figure


def finding(record: Record) -> str:
    """Returns who remembers with and without a forget gate, as in 2000 and by Adam."""
    if not {"lstm", "lstm_nfg"} <= {*record.axes["cell"]}:
        return "Symbols remembered in a stream without resets"
    with_gate, without = (
        _updates(np.median(learnt_after(record, cell)), record)
        for cell in ("lstm", "lstm_nfg")
    )
    if not {"forget", "nfg"} <= {*kinds_in(record)}:
        return (
            f"To remember in an endless stream took an LSTM {with_gate}; {without} "
            "without a forget gate"
        )
    forget, nfg = (perfect(record, kind) for kind in ("forget", "nfg"))
    return (
        f"Trained as in 2000, {forget.sum()} of {len(forget)} nets remember in endless "
        f"streams with a forget gate, {nfg.sum() or 'none'} without; by Adam an LSTM "
        f"needs {with_gate} with it, {without} without"
    )


def _updates(count: Any, record: Record) -> str:
    """Returns a number of updates in words; tests are rare, so that it is a bound."""
    if np.isfinite(count):
        return f"at most {count:.0f} updates"
    return f"more than {record.axes['updates'][-1]}"


def _plot_right(axes: Axes, record: Record) -> None:
    """Draws a row of networks for each kind and cell, open where it never forgets."""
    nets = _nets(record)
    for row, (_, cell, values) in enumerate(nets):
        spread = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else [0.0]
        colour = plots.colour_of(cell)
        axes.plot(
            values,
            row + np.array(spread),
            plots.marker_of(cell),
            color=colour,
            markersize=4.5,
            markerfacecolor="white" if _keeps(cell) else colour,
            linestyle="none",
        )
    axes.set_ylim(len(nets) - 0.5, -0.9)
    axes.axvline(0.5, color=plots.GREY, linewidth=0.6, zorder=0)
    plots.note(axes, "chance", (0.5, 0), (2, 3), coords=("data", "axes fraction"))
    axes.set(xlim=(-0.03, 1.03), xlabel="share right")
    axes.set_title("Outer symbols")
    axes.set_yticks(range(len(nets)), [label for label, _, _ in nets])
    kinds = len(kinds_in(record))
    if kinds:
        axes.axhline(kinds - 0.5, color=plots.GREY, linewidth=0.6, zorder=0)


def _nets(record: Record) -> list[tuple[str, str, np.ndarray]]:
    """Returns (label, cell, share right at the end) of the nets of 2000 and by Adam."""
    of_2000 = [
        (
            f"2000, {NAMES_OF_2000[kind]}",
            "lstm_nfg" if kind.startswith("nfg") else "lstm2000",
            take(record, "outer", kind=kind),
        )
        for kind in kinds_in(record)
    ]
    cells = zip(_names(record), record.axes["cell"], strict=True)
    right = lambda cell: take(record, "accuracy", cell=cell)[:, -1]
    return of_2000 + [(name, str(cell), right(cell)) for name, cell in cells]


def _keeps(cell: str) -> bool:
    """Returns whether a cell has no forget gate, or one held open."""
    return cell.startswith(KEEPS)


def _plot_learning(axes: Axes, record: Record) -> None:
    """Draws the share right against the updates: seeds thin, their mean thick."""
    updates = record.axes["updates"]
    for cell, name in zip(record.axes["cell"], _names(record), strict=True):
        if cell not in (*KEEPS, "lstm"):
            continue
        accuracy, style = take(record, "accuracy", cell=cell), _line_of(cell)
        axes.plot(updates, accuracy.T, lw=0.5, alpha=0.5, **style)
        axes.plot(updates, accuracy.mean(0), lw=1.6, label=name, **style)
    axes.set_xscale("log", base=2)
    axes.set_xticks(updates[::2], map(str, updates[::2]))
    axes.set(ylim=(0, 1.03), xlabel="updates", title="Learning them by Adam")
    plots.label_ends(axes)


def _line_of(cell: str) -> dict[str, Any]:
    dashes = {"lstm_nfg": 1, "lstm97": 2}.get(cell, 0)
    return {"color": plots.colour_of(cell), "ls": plots.LINE_STYLES[dashes]}


def _names(record: Record) -> list[str]:
    told = {"lstm_nfg": "lstm, f = 1", RESETS: ", resets"}
    names = [str(cell) for cell in record.axes["cell"]]
    for symbol, words in told.items():
        names = [name.replace(symbol, words) for name in names]
    return names


def _plot_states(axes: Axes, record: Record) -> None:
    """Draws the norm of the state over time, geometric mean over seeds."""
    curves = [
        (name, np.exp(np.log(take(record, "norm", cell=cell)).mean(0)), _line_of(cell))
        for cell, name in zip(record.axes["cell"], _names(record), strict=True)
        if not cell.endswith(RESETS)
    ]
    for kind in ("forget", "nfg"):
        if kind in kinds_in(record):
            name, norm = NAMES_OF_2000[kind], take(record, "state_norm", kind=kind)
            style = {"color": "black", "ls": plots.LINE_STYLES[kind == "nfg"]}
            curves.append((f"2000, {name}", norm, style))
    for name, norm, style in curves:
        edges = np.unique(np.geomspace(1, len(norm), POINTS).astype(int))
        binned = [norm[a - 1 : b].mean() for a, b in pairwise(edges)]
        axes.loglog(edges[1:], binned, lw=1.3, label=name, **style)
    end = record.config["length"]
    axes.axvline(end, color=plots.GREY, linewidth=0.6, zorder=0)
    plots.note(
        axes,
        "Adam, to here",
        (end, 0),
        (-2, 3),
        coords=("data", "axes fraction"),
        ha="right",
        color=plots.GREY,
    )
    axes.set(
        xlabel="steps of the stream",
        ylabel="norm",
        title="State of the memory",
    )
    axes.set_xlim(1, record.config["test_length"])
    plots.label_ends(axes)
