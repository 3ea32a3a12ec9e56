"""The figure of `experiments.gradient_paths`: paths, carousel, time constants."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from experiments.common.records import Record, take
from experiments.common.report import INITIAL, TRAINED
from experiments.common.statistics import quartiles
from experiments.common.variants import Variant, variant_of
from lstm_jax import plots

WHEN = {INITIAL: "before training", TRAINED: "after training"}
PARTS = {"total": "whole", "carousel": "carousel", "rest": "rest"}
ROWS = {"paths": "share of each path", "parts": "share of the gradient left"}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws per forget bias: paths above carousel and rest, time constants beside."""
    variants, stages = record.axes["variant"], record.axes["stage"]
    size = (2.5 * (len(stages) + 1), 4.1 * len(variants) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    plots.headline(figure, finding(record))
    blocks = figure.subfigures(len(variants), 1, squeeze=False)[:, 0]
    for block, entry in zip(blocks, variants, strict=True):
        block.suptitle(_name(variant_of(entry)), x=0.01, ha="left", fontsize=10)
        _plot_block(block, record, entry)
    return figure


def finding(record: Record) -> str:
    """Returns what the carousel is of the whole gradient, and if training raised it."""
    lag, ratios = record.config["lag"], {}
    for when in record.axes["stage"]:
        kept, whole = (
            take(record, "log_share", stage=when, part=part, lag=lag)
            for part in ("carousel", "total")
        )
        with np.errstate(invalid="ignore", over="ignore"):
            ratios[when] = np.exp(np.median(kept - whole, axis=(1, 2)))
    both = ", ".join(f"{_range(of)} {WHEN[when]}" for when, of in ratios.items())
    if TRAINED in ratios and (2 * ratios[INITIAL] < ratios[TRAINED]).all():
        found = "Training puts the gradient on the carousel"
        return f"{found}. Of the whole at lag {lag} it is {both}"
    return f"Carousel over whole gradient at lag {lag}: {both}"


def _range(ratios: np.ndarray) -> str:
    ends = dict.fromkeys(f"{ratio:.2g}" for ratio in np.sort(ratios)[[0, -1]])
    return " to ".join(ends)


def _plot_block(figure: SubFigure, record: Record, entry: dict[str, Any]) -> None:
    stages = record.axes["stage"]
    rows: Any = [[*(f"{row} {when}" for when in stages), "units"] for row in ROWS]
    axes = figure.subplot_mosaic(rows)
    for when in stages:
        at = {"variant": entry, "stage": when}
        _plot_paths(axes[f"paths {when}"], record, at)
        _plot_parts(axes[f"parts {when}"], record, at)
    for row, label in ROWS.items():
        panels = [axes[f"{row} {when}"] for when in stages]
        _share_y(panels)
        panels[0].set_ylabel(label)
        for panel in panels:
            plots.label_ends(panel)
    _plot_units(axes["units"], record, entry)


def _plot_paths(axes: Axes, record: Record, at: dict[str, Any]) -> None:
    lag = record.config["lag"]
    shares = take(record, "path_share", **at).mean((1, 2))
    plots.path_curves(axes, dict(zip(record.axes["path"], shares, strict=True)))
    axes.set_title(WHEN[at["stage"]].capitalize())
    axes.set_xlim(0, lag + 1)
    plots.mark_lag(axes, lag, "scene")
    axes.tick_params(labelbottom=False)


def _plot_parts(axes: Axes, record: Record, at: dict[str, Any]) -> None:
    variant, lag = variant_of(at["variant"]), record.config["lag"]
    for order, (part, label) in enumerate(PARTS.items()):
        found = quartiles(take(record, "log_share", part=part, **at), axis=(0, 1))
        plots.share_curve(axes, found, variant.cell, label, variant=order)
    rate = variant.carousel_rate
    ends, heights = [0, lag + 1], [0, rate * (lag + 1) / np.log(10)]
    plots.theory_line(axes, ends, heights, "$\\sigma(b_f)^{lag}$", dashed=True)
    plots.log_axis(axes, lag + 1, "")
    axes.axvline(lag, color=plots.GREY, linewidth=0.6)
    axes.set_xlabel("lag: steps before the last")


def _plot_units(axes: Axes, record: Record, entry: dict[str, Any]) -> None:
    variant, ends = variant_of(entry), _range_of_time_constants(record)
    colours = {INITIAL: plots.GREY, TRAINED: plots.colour_of(variant.cell)}
    lines = dict(zip(colours, ("-", (0, (4, 1.5))), strict=True))
    for when in record.axes["stage"]:
        constants = take(record, "time_constant", variant=entry, stage=when).ravel()
        style = {"color": colours[when], "linestyle": lines[when]}
        before_or_after, _, _ = WHEN[when].partition(" ")
        plots.cumulative_curve(axes, constants, before_or_after, **style)
    rate = variant.carousel_rate
    if rate and ends[0] < -1 / rate < ends[1]:
        axes.axvline(-1 / rate, color="black", linewidth=0.9, linestyle=(0, (1, 1.5)))
        above = ("data", "axes fraction")
        law = "$-1/\\ln\\,\\sigma(b_f)$"
        plots.note(axes, law, (-1 / rate, 1), (0, 4), coords=above, ha="center")
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    axes.set_ylim(0, 1)
    axes.set_xlabel("time constant, steps")
    axes.set_ylabel("share of the units")
    axes.legend(loc="best", handlelength=1.8)


def _range_of_time_constants(record: Record) -> tuple[float, float]:
    """Returns the powers of ten that enclose 99 % of the finite, positive ones."""
    values = take(record, "time_constant")
    shown = values[np.isfinite(values) & (values > 0)]
    if not shown.size:
        return 1.0, 10.0
    low, high = np.floor(np.log10(np.percentile(shown, (0.5, 99.5))))
    return 10.0**low, 10.0 ** (high + 1)


def _share_y(panels: list[Axes]) -> None:
    """Gives the panels of a row one y axis, labelled on the first panel."""
    limits = np.array([panel.get_ylim() for panel in panels])
    for panel in panels:
        panel.set_ylim(limits[:, 0].min(), limits[:, 1].max())
    for panel in panels[1:]:
        panel.tick_params(labelleft=False)


def _name(variant: Variant) -> str:
    bias = variant.bias
    return variant.cell.upper() + (f", forget bias {bias}" if bias else "")
