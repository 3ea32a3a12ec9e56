"""The figure of `experiments.flip_flop`: losses, and errors on three languages."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from lstm_jax import plots

WINDOW = 20  # updates over which a loss is averaged


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the losses of all networks, and their errors."""
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    plots.headline(figure, finding(record))
    losses, errors = figure.subplots(1, 2, width_ratios=[1, 1.3])
    _plot_losses(losses, record)
    _plot_errors(errors, record)
    return figure


def finding(record: Record) -> str:
    """Returns in how many networks of each cell no bit was wrong."""
    clean = (take(record, "errors") == 0).all(1)
    told = ", ".join(
        f"{int(of.sum())} of {of.size} ({cell})"
        for cell, of in zip(record.axes["cell"], clean, strict=True)
    )
    return f"Networks that read every bit right: {told}"


def _plot_losses(axes: Axes, record: Record) -> None:
    config = record.config
    for cell in record.axes["cell"]:
        loss = take(record, "loss", cell=cell)
        size = max(1, min(WINDOW, loss.shape[1] // 4))
        kernel = np.full(size, 1 / size)
        for one in loss:
            smooth = np.convolve(one, kernel, "valid")
            places = np.arange(len(smooth)) + (size + 1) / 2
            axes.semilogy(
                places, smooth, color=plots.colour_of(cell), linewidth=0.9, alpha=0.8
            )
    axes.axhline(np.log(2), color=plots.GREY, linewidth=0.6)
    plots.note(
        axes, "ln 2: no memory", (config["num_steps"], np.log(2)), (0, 3), ha="right"
    )
    axes.set_title("Training on FFL(0.8)")
    axes.set(xlabel="updates", ylabel="cross-entropy, nats per bit")


def _plot_errors(axes: Axes, record: Record) -> None:
    """Draws shares of wrong bits; those of networks without any at the foot."""
    reads, probes = take(record, "bits_read"), record.axes["ignored"]
    cells, foot = record.axes["cell"], 0.3 / reads.max()
    for k, cell in enumerate(cells):
        wrong = take(record, "errors", cell=cell) / reads[:, None]
        shift = (k - (len(cells) - 1) / 2) * 0.17
        spread = np.linspace(-0.05, 0.05, wrong.shape[1])
        places = np.arange(len(probes))[:, None] + shift + spread
        axes.semilogy(
            places.ravel(),
            np.maximum(wrong, foot).ravel(),
            plots.marker_of(cell),
            color=plots.colour_of(cell),
            markersize=4,
            markerfacecolor="none",
            label=cell,
        )
    axes.axhline(foot, color=plots.GREY, linewidth=0.6)
    plots.note(axes, "none", (-0.45, foot), (0, 3))
    axes.axhline(0.5, color=plots.GREY, linewidth=0.6)
    plots.note(axes, "chance", (-0.45, 0.5), (0, 3))
    axes.set_xticks(range(len(probes)), [f"FFL({p:g})" for p in probes])
    axes.set(xlim=(-0.5, len(probes) - 0.5), ylim=(foot / 2, 3))
    axes.set_title("Bits read wrongly, by network")
    axes.set_ylabel("share of the bits read")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
