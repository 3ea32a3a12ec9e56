"""The figure of `experiments.forward_adjoint`: errors, alignment, cells."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from lstm_jax import plots


@plots.styled
def plot(record: Record) -> Figure:
    """Draws error against forgetting, alignment against modulus, and cells."""
    figure = Figure(figsize=(7.8, 3.3), layout="constrained")
    plots.headline(figure, finding(record))
    errors, quality, cells = figure.subplots(1, 3)
    _plot_errors(errors, record)
    _plot_quality(quality, record)
    _plot_cells(cells, record)
    return figure


def finding(record: Record) -> str:
    """Returns how fast the error grows, if it grows as the network forgets."""
    apart = take(record, "error_rate").mean(-1) / -np.log(record.axes["modulus"]) - 1
    if np.abs(apart).max() <= 0.05:
        return (
            "Run forwards in time, the gradient drowns in rounding errors as fast as "
            "the network forgets"
        )
    return "The error of an adjoint that is run forwards"


def shades(count: int) -> list[str]:
    """Returns colours of values in order, none too light for white paper."""
    ramp = matplotlib.colormaps["viridis"]
    return [to_hex(ramp(place)) for place in np.linspace(0, 0.8, count)]


def _plot_errors(axes: Axes, record: Record) -> None:
    for name, marker, epsilon in (("float32", "o", 2**-24), ("float64", "x", 2**-53)):
        nats = np.array(record.axes[f"forgotten_{name}"])
        logs = take(record, f"log_error_{name}").mean(-1) / np.log(10)
        for of, shade in zip(logs, shades(len(logs)), strict=True):
            axes.plot(
                nats, of, marker, color=shade, markersize=4, markerfacecolor="none"
            )
        ends = np.array([0, nats[-1]])
        law = (ends + np.log(epsilon)) / np.log(10)
        plots.theory_line(axes, ends, law, "")
    axes.axhline(0, color=plots.GREY, linewidth=0.6)
    texts = wording.told_apart(record.axes["modulus"])
    for k, (text, shade) in enumerate(zip(texts, shades(len(texts)), strict=True)):
        place = (0.97, 0.05 + 0.085 * k)
        told = f"$r$ = {text}" if k == len(texts) - 1 else text
        plots.note(
            axes,
            told,
            place,
            coords="axes fraction",
            ha="right",
            color=plots.ink(shade),
        )
    plots.note(axes, "float32 o", (70, 25), (-2, 8), ha="right")
    plots.note(axes, "float64 x", (210, 77), (-6, 6), ha="right")
    axes.set_title("Error grows as $r^{-T}$ (lines)")
    axes.set_xlabel("forgotten by the fastest unit,\n$-T\\,\\ln\\,r$, nats")
    axes.set_ylabel("$\\log_{10}$ error of the last adjoint")


def _plot_quality(axes: Axes, record: Record) -> None:
    moduli = np.array(record.axes["smallest_modulus"])
    lengths = record.axes["length"]
    for length, shade in zip(lengths, shades(len(lengths)), strict=True):
        found = take(record, "alignment", length=length)
        axes.plot(1 - moduli, found.mean(-1), color=shade)
        low, high = np.percentile(found, (10, 90), axis=-1)
        axes.fill_between(1 - moduli, low, high, color=shade, alpha=0.2, linewidth=0)
        at = float(take(record, "least_modulus", length=length))
        text = f"$T$ = {length}" if length == max(lengths) else str(length)
        plots.note(axes, text, (1 - at, 0.5), (4, 0), color=plots.ink(shade))
    axes.set(xscale="log", ylim=(-0.1, 1.05))
    axes.set_xlim((1 - moduli).max(), (1 - moduli).min())
    ticks = [t for t in (0.3, 0.1, 0.03, 0.01, 0.003) if t < 0.5]
    axes.set_xticks(ticks, [f"{1 - t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_title("Useless if units forget (float32)")
    axes.set_xlabel("smallest modulus $r$")
    axes.set_ylabel("cosine of the two gradients")


def _plot_cells(axes: Axes, record: Record) -> None:
    rates, exponents = take(record, "cell_rate"), take(record, "exponent")
    first, last = exponents[:, 0], exponents[:, 1]
    expected = np.stack([-last, first - 2 * last], axis=1)
    end = 1.08 * max(expected.max(), rates.max())
    plots.theory_line(axes, np.array([0, end]), np.array([0, end]), "")
    for k, cell in enumerate(record.axes["cell"]):
        for p, fill in enumerate(("none", plots.colour_of(cell))):
            axes.plot(
                expected[k, p],
                rates[k, p],
                plots.marker_of(cell),
                color=plots.colour_of(cell),
                markerfacecolor=fill,
                markersize=5,
            )
        place = (float(expected[k, 1].mean()), float(rates[k, 1].mean()))
        ink = plots.ink(plots.colour_of(cell))
        plots.note(axes, cell, place, (8, -10), color=ink)
    axes.set(xlim=(0, end * 1.2), ylim=(0, end))
    axes.set_title("Cells: exponents foretell it")
    axes.set_xlabel(
        "open: $-\\lambda_n$ (second pass)\nfull: $\\lambda_1-2\\lambda_n$ (both)"
    )
    axes.set_ylabel("growth of the error, nats per step")
