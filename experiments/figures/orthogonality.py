"""The figure of `experiments.orthogonality`: copying, flossing, and exact spectra."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.common.records import Record, take
from experiments.criteria.orthogonality import COPIES, STAYS, of_chance, top
from lstm_jax import plots, theory
from lstm_jax.plots import spectra

POINTS = 60  # of a curve of training
NAMES = {COPIES: "exp_rnn,\northogonal", STAYS: "tanh RNN"}
LEAST_LOSS = 1e-4  # of chance, at the lower edge
DEEPEST = -3  # nats per step: exponents that are not flossed go below


@plots.styled
def plot(record: Record) -> Figure:
    """Draws losses on copy, exponents before and after flossing, and exact spectra."""
    figure = Figure(figsize=(7.4, 5.6), layout="constrained")
    plots.headline(figure, finding(record))
    (copying, flossing), (fresh, dimension) = figure.subplots(2, 2)
    _plot_copying(copying, record)
    _plot_flossing(flossing, record)
    _plot_fresh(fresh, record)
    _plot_dimension(dimension, record)
    return figure


def finding(record: Record) -> str:
    """Returns what was copied by whom, and what flossing did."""
    right, wrong = (np.median(of_chance(record, name)) for name in (COPIES, STAYS))
    before, after = top(record).mean(0)[[0, -1]]
    return (
        f"Copying over {record.config['delay']} steps, an orthogonal net comes to "
        f"{right:.2g} of the loss of chance, a tanh RNN to {wrong:.2f}; flossing "
        f"brings |λ| from {before:.2g} to {after:.1g}"
    )


def _plot_copying(axes: Axes, record: Record) -> None:
    """Draws the losses as shares of chance: seeds thin, their median thick."""
    floor = float(take(record, "copy_floor"))
    axes.axhline(1, color=plots.GREY, linewidth=0.6)
    for number, network in enumerate(record.axes["network"]):
        losses = take(record, "copy_loss", network=network) / floor
        parts = np.array_split(losses, min(POINTS, losses.shape[-1]), axis=-1)
        means = np.stack([part.mean(-1) for part in parts], -1)
        last = np.cumsum([part.shape[-1] for part in parts])
        style = {"color": plots.colour_of(network), "ls": plots.LINE_STYLES[number]}
        axes.plot(last, means.T, lw=0.5, alpha=0.5, **style)
        middle = np.median(means, axis=0)
        axes.plot(last, middle, lw=1.6, label=NAMES[network], **style)
    axes.set_yscale("log")
    axes.set(ylim=(LEAST_LOSS, 6), xlim=(0, record.config["num_updates"]))
    axes.set(xlabel="updates", ylabel="loss, share of chance")
    axes.set_title(f"Copy task, T = {record.config['delay']}")
    where = ("axes fraction", "data")
    plots.note(axes, "chance", (0.98, 1), (0, -10), coords=where, ha="right")
    plots.label_ends(axes)


def _plot_flossing(axes: Axes, record: Record) -> None:
    """Draws the exponents by rank before and after, a line for each net."""
    exponents, measures = take(record, "flossed_exponent"), record.axes["flossed"]
    count = record.config["floss_exponents"]
    places = np.arange(1, exponents.shape[-1] + 1)
    spectra.zero_line(axes)
    shown = (0, plots.GREY, "before"), (-1, plots.PALETTE[1], f"after {measures[-1]}")
    for at, colour, text in shown:
        axes.plot(places, exponents[:, at].T, color=colour, lw=1.1, ls=_line(at))
        rank = (count + 1) // 2
        height = exponents[:, at, rank - 1]
        height = float(height.min() if at == 0 else height.max())
        offset = (-8, -12) if at == 0 else (0, 8)
        words, side = (text, "right") if at == 0 else (f"{text} updates", "center")
        ink = plots.ink(colour)
        plots.note(axes, words, (rank, height), offset, color=ink, ha=side)
    axes.axvline(count + 0.5, color=plots.GREY, lw=0.6, ls=plots.LINE_STYLES[2])
    where = ("data", "axes fraction")
    told = f"{count} exponents are flossed"
    plots.note(axes, told, (count, 0.03), (-2, 0), coords=where, ha="right")
    axes.set(ylim=(DEEPEST, 0.35), xlabel="rank $i$ of the exponent")
    axes.set_ylabel(r"$\lambda_i$, nats per step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"Gradient flossing, N = {record.config['floss_size']}")


def _line(at: int) -> object:
    return plots.LINE_STYLES[1 if at == 0 else 0]


def _plot_fresh(axes: Axes, record: Record) -> None:
    """Draws how far the exponents of fresh matrices are from the exact ones."""
    z = take(record, "fresh_z")
    places = np.arange(1, len(z) + 1)
    axes.axhspan(-1, 1, color="#E5E5E5", linewidth=0)
    spectra.zero_line(axes)
    axes.plot(places, z, "o", color=plots.GREY, markersize=3)
    limit = max(3.0, float(np.abs(z).max()) + 0.5)
    axes.set(ylim=(-limit, limit), xlabel="rank $i$ of the exponent")
    axes.set_ylabel("measured - exact,\nin standard errors")
    config = record.config
    axes.set_title(f"{config['num_matrices']} fresh matrices, N = {len(z)}")


def _plot_dimension(axes: Axes, record: Record) -> None:
    """Draws the dimension per unit of every net, joined across the gains."""
    gains, found = np.array(record.axes["spectrum_gain"]), take(record, "dimension")
    line = np.linspace(min(gains.min(), 1.02), gains.max(), 60)
    predicted = np.asarray(theory.mean_field_dimension(line))
    plots.theory_line(axes, line, predicted, "")
    colour = plots.colour_of("rnn")
    axes.plot(gains, found, "o-", color=colour, ms=4, lw=0.6, mfc="none")
    middle = len(line) // 2
    place = (float(line[middle]), float(predicted[middle]))
    plots.note(axes, "theory, N → ∞", place, (4, 6))
    size, ink = record.config["spectrum_size"], plots.ink(colour)
    end = gains.max(), found[int(np.argmax(gains))].min()
    plots.note(axes, f"nets of {size}", end, (0, -14), ha="right", color=ink)
    axes.set(ylim=(0, None), xlabel="gain $g$", ylabel="Kaplan-Yorke dimension $D/N$")
    axes.set_title("Dimension of the attractor per unit")
