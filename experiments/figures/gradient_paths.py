"""The figure of `experiments.gradient_paths`: paths, carousel, time constants."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from experiments.common.report import INITIAL, TRAINED
from experiments.common.statistics import quartiles
from experiments.common.variants import Variant, variant_of
from lstm_jax import plots

WHEN = {INITIAL: "before training", TRAINED: "after training"}
PARTS = {"total": "all of it", "carousel": "carousel", "rest": "rest"}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws a row per forget bias: paths, carousel and rest, time constants."""
    variants, stages = record.axes["variant"], record.axes["stage"]
    count = len(stages)
    size = (2.6 * (2 * count + 1), 2.3 * len(variants) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(variants), 2 * count + 1, squeeze=False)
    for row, entry in zip(axes, variants, strict=True):
        for k, when in enumerate(stages):
            at = {"variant": entry, "stage": when}
            _plot_paths(row[k], record, at)
            _plot_parts(row[count + k], record, at)
        _plot_units(row[-1], record, entry)
        row[0].set_ylabel(f"{_name(variant_of(entry))}\nshare of the path")
    _share_y(axes[:, :count])
    _share_y(axes[:, count : 2 * count])
    for panel in axes[:-1].flat:
        panel.set_xlabel("")
    for panel in axes[1:].flat:
        panel.set_title("")
    return figure


def _plot_paths(axes: Axes, record: Record, at: dict[str, Any]) -> None:
    lag = record.config["lag"]
    shares = take(record, "path_share", **at).mean((1, 2))
    plots.path_curves(axes, dict(zip(record.axes["path"], shares, strict=True)))
    axes.set_title(f"Paths {WHEN[at['stage']]}")
    axes.set_xlim(0, lag + 1)
    axes.set_xlabel("lag: steps before the last one")
    plots.mark_lag(axes, lag, "scene")
    if at["stage"] == INITIAL:
        axes.legend(ncols=2)


def _plot_parts(axes: Axes, record: Record, at: dict[str, Any]) -> None:
    variant, lag = variant_of(at["variant"]), record.config["lag"]
    for order, (part, label) in enumerate(PARTS.items()):
        found = quartiles(take(record, "log_share", part=part, **at), axis=(0, 1))
        plots.share_curve(axes, found, variant.cell, label, variant=order)
    rate = variant.carousel_rate
    ends, heights = [0, lag + 1], [0, rate * (lag + 1) / np.log(10)]
    law = "$\\sigma(b_f)^{lag}$"
    plots.theory_line(axes, ends, heights, law, dashed=True, named=True)
    plots.log_axis(axes, lag + 1, f"Gradient of the memory\n{WHEN[at['stage']]}")
    plots.mark_lag(axes, lag, "scene")
    if at["stage"] == INITIAL:
        axes.legend()


def _plot_units(axes: Axes, record: Record, entry: dict[str, Any]) -> None:
    variant = variant_of(entry)
    colours = {INITIAL: plots.GREY, TRAINED: plots.colour_of(variant.cell)}
    for when in record.axes["stage"]:
        constants = take(record, "time_constant", variant=entry, stage=when).ravel()
        plots.cumulative_curve(axes, constants, WHEN[when], color=colours[when])
    rate = variant.carousel_rate
    if rate:
        axes.axvline(-1 / rate, color="black", linewidth=0.9, linestyle=(0, (2, 2)))
    axes.set_xscale("log")
    axes.set_xlim(*_range_of_time_constants(record))
    axes.set_ylim(0, 1)
    axes.set_title("Time constants of the units")
    axes.set_xlabel("time constant, in steps")
    axes.set_ylabel("share of the units")
    axes.legend()


def _range_of_time_constants(record: Record) -> tuple[float, float]:
    """Returns the powers of ten that enclose 99 % of the finite, positive ones."""
    values = take(record, "time_constant")
    shown = values[np.isfinite(values) & (values > 0)]
    if not shown.size:
        return 1.0, 10.0
    low, high = np.floor(np.log10(np.percentile(shown, (0.5, 99.5))))
    return 10.0**low, 10.0 ** (high + 1)


def _share_y(panels: np.ndarray) -> None:
    """Gives the panels of a row one y axis, labelled on the first panel."""
    for row in panels:
        limits = np.array([panel.get_ylim() for panel in row])
        for panel in row:
            panel.set_ylim(limits[:, 0].min(), limits[:, 1].max())
        for panel in row[1:]:
            panel.tick_params(labelleft=False)


def _name(variant: Variant) -> str:
    bias = variant.bias
    return variant.cell + (f", $b_f$ = {bias}" if bias else "")
