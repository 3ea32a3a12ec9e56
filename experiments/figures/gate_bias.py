"""The figure of `experiments.gate_bias`: what a bias keeps, and how soon it learns."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from experiments.criteria.gate_bias import LAG, LONGEST
from lstm_jax import plots, theory

PAPER_RATIO = 3  # Gers, Schmidhuber & Cummins (2000), about
WINDOW = 20  # updates over which a loss is averaged


@plots.styled
def plot(record: Record) -> Figure:
    """Draws shares over the lag, updates until solved, and the losses of the copy."""
    panels = [_plot_shares, _plot_updates]
    panels += [_plot_copy] if "copy_loss" in record.arrays else []
    figure = Figure(figsize=(1 + 2.3 * len(panels), 3.2), layout="constrained")
    plots.headline(figure, finding(record))
    for draw, axes in zip(panels, figure.subplots(1, len(panels)), strict=True):
        draw(axes, record)
    return figure


def finding(record: Record) -> str:
    """Returns what the first bias costs against the last, in updates of one cell."""
    cell = record.axes["cell"][0]
    slow, fast = np.median(take(record, "updates", cell=cell), axis=-1)[[0, -1]]
    if not np.isfinite(fast) or not np.isfinite(slow):
        return "What a forget gate keeps, and how soon it learns"
    texts = wording.told_apart(record.axes["forget_bias"])
    times = f"{slow / fast:.1f} times the updates of {texts[-1]}"
    return f"A forget bias of {texts[0]} takes {times} ({cell})"


def _plot_shares(axes: Axes, record: Record) -> None:
    lags = np.geomspace(1, LONGEST, 200)
    for bias, share in zip(record.axes["bias"], take(record, "share"), strict=True):
        axes.semilogx(lags, theory.carousel_share(bias, lags), color="black", lw=0.9)
        if share > 1e-3:
            axes.plot(LAG, share, "o", color=plots.colour_of("lstm"), markersize=5)
        half = float(theory.carousel_half_life(bias))
        plots.note(axes, f"{bias:g}", (half, 0.5), (4, 3))
    chrono = theory.chrono_population_share(lags, LONGEST)
    axes.plot(lags, chrono, "--", color=plots.GREY, lw=1)
    place = np.searchsorted(lags, 60)
    at = lags[place], chrono[place]
    plots.note(axes, "chrono", at, (4, 6), color=plots.GREY)
    axes.set(xlabel="lag, steps", ylabel="share kept, $dc_T/dc_{T-k}$", ylim=(0, 1.05))
    axes.set_title("Bias, without weights")


def _plot_updates(axes: Axes, record: Record) -> None:
    """Draws a dot for a network; those that didn't solve it stand at the top."""
    most, biases = record.config["num_steps"], record.axes["forget_bias"]
    cells, last = record.axes["cell"], len(biases) - 1
    for k, cell in enumerate(cells):
        shift = (k - (len(cells) - 1) / 2) * 0.4
        for place, of in enumerate(take(record, "updates", cell=cell)):
            spread = np.linspace(-0.1, 0.1, of.size) if of.size > 1 else np.zeros(1)
            shown, middle = np.minimum(np.sort(of), most), place + shift
            first = {"color": plots.colour_of(cell), "marker": plots.marker_of(cell)}
            style = {"color": plots.GREY, "marker": "x"} if k else first
            style |= {"linestyle": "none", "markerfacecolor": "none"}
            axes.semilogy(middle + spread, shown, **style)
            axes.hlines(np.median(shown), middle - 0.17, middle + 0.17, "black")
            if place == 0:
                plots.note(axes, cell, (middle, shown.min()), (0, -12), ha="center")
    published = PAPER_RATIO * np.median(take(record, "updates", cell=cells[0])[-1])
    if np.isfinite(published):
        axes.plot(0, published, "D", color="black", markersize=5)
        text = f"2000 paper: 3 times\nthe {cells[0]}'s at {biases[-1]:g}"
        plots.note(axes, text, (0.4, published), (0, 0), va="center")
    axes.axhline(most, color=plots.GREY, linewidth=0.6)
    plots.note(axes, "not solved", (last + 0.45, most), (0, 2), ha="right")
    axes.set_xticks(range(last + 1), wording.told_apart(biases))
    axes.set(xlim=(-0.5, last + 0.5), xlabel="forget bias", ylabel="updates")
    axes.set_title("Temporal order")


def _plot_copy(axes: Axes, record: Record) -> None:
    config = record.config
    floor = 10 * np.log(8) / (config["copy_lag"] + 20)
    for k, start in enumerate(record.axes["start"]):
        losses = take(record, "copy_loss", start=start) / floor
        size = max(1, min(WINDOW, losses.shape[1] // 4))
        kernel = np.full(size, 1 / size)
        colour, style = plots.colour_of("lstm"), ("-", "--")[k % 2]
        smooth = np.stack([np.convolve(one, kernel, "valid") for one in losses])
        places = np.arange(smooth.shape[1]) + (size + 1) / 2
        lines = axes.plot(places, smooth.T, style, color=colour, lw=0.9)
        lines[0].set_label(start)
    axes.axhline(1, color=plots.GREY, linewidth=0.6)
    axes.set(xlabel="updates", ylabel="loss / no memory", yscale="log")
    plots.note(axes, "no memory", (0, 1), (2, 2), color=plots.GREY)
    axes.set_title(f"Copy, {config['copy_lag']} steps")
    axes.legend(loc="upper right")
