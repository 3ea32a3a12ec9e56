"""The figure of `experiments.temporal_order`: success by length, and the plateau."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from experiments.common.records import Record, take
from experiments.criteria.temporal_order import (
    LONGER,
    dwells,
    pauses,
    runs_of_a_method,
    successes,
)
from lstm_jax import plots

WINDOW = 10  # updates over which a loss is averaged
LOOKS = {"MSGD": ("v", ":"), "MSGD-C": ("s", "--"), "MSGD-CR": ("o", "-")}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the share of runs that learn by length, pauses at ln 2, losses by Adam."""
    inits = record.axes["init"]
    figure = Figure(figsize=(3.2 + 2.2 * (len(inits) + 1.4), 3), layout="constrained")
    plots.headline(figure, finding(record))
    widths = [1.3] * (len(inits) + 1) + [1.7]
    panels = figure.subplots(1, len(widths), width_ratios=widths)
    for axes, init in zip(panels, inits, strict=False):
        _plot_success(axes, record, init)
    _plot_dwells(panels[-2], record)
    _plot_losses(panels[-1], record)
    return figure


def finding(record: Record) -> str:
    """Returns how many runs learnt the order, with gates and without."""
    runs = runs_of_a_method(record)
    told = [
        f"{count} of {runs} ({name})"
        for count, name in zip(successes(record), record.axes["method"], strict=True)
    ]
    if "lstm" in record.axes["cell"]:
        right = take(record, "modern_accuracy", cell="lstm") > 0.99
        told.append(f"{int(right.sum())} of {right.size} (LSTM, Adam)")
    return f"Runs that learn which came first: {', '.join(told)}"


def _plot_success(axes: Axes, record: Record, init: str) -> None:
    """Draws the rate of success on the axes of the paper's figure 7."""
    lengths = record.axes["length"]
    middle = len(lengths) // 2  # where the methods differ most
    for method in record.axes["method"]:
        learnt = np.isfinite(take(record, "learnt", init=init, method=method))
        marker, line = LOOKS[method]
        axes.plot(
            lengths,
            learnt.mean(1),
            marker,
            ls=line,
            color=plots.colour_of("rnn"),
            markerfacecolor="white" if method == "MSGD-C" else None,
            clip_on=False,
            markersize=5,
        )
        named = lengths[middle], learnt.mean(1)[middle]
        plots.note(axes, method, named, (7, 3), color=plots.colour_of("rnn"))
    axes.set_xscale("log")
    axes.set_xticks(lengths, map(str, lengths))
    axes.minorticks_off()
    axes.set(ylim=(0, 1.03), xlabel="length, steps", title=f"RNN, {init}")
    axes.set_ylabel("runs that learn the task")


def _plot_dwells(axes: Axes, record: Record) -> None:
    """Draws how long each loss stays near ln 2 against how long beside it.

    None is drawn a factor of `LONGER` below the least, one mean: there the line still
    parts what pauses from what does not.
    """
    least = record.axes["mean"][0]
    none = least / LONGER
    ends = np.array([none, LONGER * record.axes["mean"][-1]])
    for method in record.axes["method"]:
        above, at, below = np.maximum(dwells(record, method=method), none).T
        marker = LOOKS[method][0]
        axes.plot(
            np.maximum(above, below),
            at,
            marker,
            color=plots.colour_of("rnn"),
            markerfacecolor="white" if method == "MSGD-C" else None,
            markersize=4,
            alpha=0.8,
            clip_on=False,
        )
    axes.plot(ends, LONGER * ends, color=plots.GREY, lw=0.6, zorder=0)
    told = f"above the line,\n{LONGER} × as long: a pause"
    plots.note(axes, told, (1, 0.08), coords="axes fraction", ha="right")
    paused = pauses(dwells(record))
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    powers = 10 ** np.arange(np.ceil(np.log10(least)), np.log10(ends[1]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([none, *powers], ["0", *(f"{power:.0f}" for power in powers)])
        axis.set_minor_locator(NullLocator())
    axes.set(xlabel="updates beside ln 2", ylabel="updates near ln 2")
    axes.set_title(f"{paused.sum()} of {len(paused)} losses pause at ln 2")


def _plot_losses(axes: Axes, record: Record) -> None:
    """Draws the loss of every network trained by Adam, and the two plateaus."""
    for cell in record.axes["cell"]:
        for seed, loss in enumerate(take(record, "modern_loss", cell=cell)):
            size = max(1, min(WINDOW, len(loss) // 4))
            smooth = np.convolve(loss, np.full(size, 1 / size), "valid")
            axes.plot(
                size + np.arange(len(smooth)),
                smooth,
                color=plots.colour_of(cell),
                lw=0.8,
                ls=plots.LINE_STYLES[record.axes["cell"].index(cell) % 4],
                label=cell if seed == 0 else "",
            )
    for level, text in ((np.log(4), "ln 4: nothing"), (np.log(2), "ln 2: one symbol")):
        axes.axhline(level, color=plots.GREY, linewidth=0.6, zorder=0)
        plots.note(
            axes,
            text,
            (1, level),
            (-2, 3),
            ha="right",
            coords=("axes fraction", "data"),
        )
    axes.set(xlabel="updates", ylabel="cross-entropy, nats", ylim=(-0.05, 1.8))
    axes.set_title(f"Adam, {max(record.axes['length'])} steps")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
