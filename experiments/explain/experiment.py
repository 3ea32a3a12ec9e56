"""The memory of a model: the measurement as one call, and its figure."""

import math
import time
from dataclasses import asdict
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from experiments.common import records, sequences, wording
from experiments.common.progress import progress
from experiments.common.records import Record, take
from experiments.common.report import INITIAL, TRAINED
from experiments.common.saturation import Saturation
from experiments.common.statistics import quartiles
from experiments.explain import answer, measurements, models, report
from experiments.explain.models import Config as Config
from experiments.train import saved_run
from lstm_jax import plots

NAME = "explain"
FOREVER = "never"
LEAST_DRAWN = 0.1  # steps: a logarithmic axis can't show a half-life of 0
HALF_LIFE_TICKS = (1, 2, 5)
UNTRAINED: dict[str, Any] = {"color": plots.GREY, "linewidth": 0.9}


def run(config: Config) -> Record:
    """Reads the model, measures its memory and returns the record."""
    start = time.monotonic()
    model = models.read_model(config)
    read = models.sequences_of(config, model)
    measure = jax.jit(partial(measurements.measured, config, model, read.lag))
    with progress(1) as advance:
        advance("measuring", 0)
        found = measure(model.layers, model.readout, read.inputs, read.counts)
        measurements.check_finite(config, read, found)
        stages = {TRAINED: found}
        if model.run is not None:
            began = saved_run.untrained(model.run)
            before = measure((began.cell,), began.readout, read.inputs, read.counts)
            stages = {INITIAL: before, TRAINED: found}
        advance("measured", 1)
    return records.new(
        NAME,
        asdict(config)
        | {"lag": read.lag, "cell": model.cell.name, "name": model.name}
        | {"model": report.model_in_words(config, model), "read": read.what}
        | sequences.in_record(read.read),
        start,
        measurements.quantities(stages),
        axes={
            "stage": stages,
            "columns": Saturation._fields,
            "input": answer.names(read.columns, model.sizes[0]),
        },
        rows=report.table(found, read.lag),
        verdict=report.verdict(config, model, read, stages),
    )


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the half-lives of all units, the gradient, and the answer's parts."""
    figure = Figure(figsize=(10.8, 3.7), layout="constrained")
    plots.headline(figure, finding(record))
    gates, gradient, came_from = figure.subplots(1, 3)
    _plot_gates(gates, record)
    _plot_gradient(gradient, record)
    answer.plot(came_from, record)
    what = record.config["model"].rpartition(": ")[2]
    title = f"{record.config['name']}: {what}; on {record.config['read']}"
    # A file may be called a$b.csv, which is not a formula.
    below: dict[str, Any] = {"x": 0.01, "ha": "left", "parse_math": False}
    below |= {"color": plots.GREY, "fontsize": 8}
    figure.supxlabel(wording.printable(title), **below)
    return figure


def finding(record: Record) -> str:
    """Returns what the slowest unit keeps, and what is left of the gradient."""
    lag, halves = record.config["lag"], _half_life(record, TRAINED)
    keeps = f"halves in {halves}" if halves != FOREVER else "never halves"
    found = (
        f"The slowest unit {keeps}, and {_left(record, TRAINED)} of the gradient is "
        f"left at lag {lag}"
    )
    if INITIAL not in record.axes["stage"]:
        return found
    return (
        f"{found}. Untrained: {_half_life(record, INITIAL)}, {_left(record, INITIAL)}"
    )


def _half_life(record: Record, when: str) -> str:
    """Returns that of the slowest unit, in words."""
    steps = take(record, "half_life", stage=when).max()
    return f"{wording.steps(steps)} steps" if np.isfinite(steps) else FOREVER


def _left(record: Record, when: str) -> str:
    shares = take(record, "log_share", stage=when, lag=record.config["lag"])
    return wording.power(np.median(shares))


def _plot_gates(axes: Axes, record: Record) -> None:
    cell, half_lives = record.config["cell"], take(record, "half_life", stage=TRAINED)
    ranks = 1 + np.arange(half_lives.shape[1])
    before = _before(record, "half_life")
    for of_layer in before:
        style: dict[str, Any] = UNTRAINED | {"label": "before"}
        axes.plot(ranks, np.maximum(np.sort(of_layer), LEAST_DRAWN), **style)
    for number, of_layer in enumerate(half_lives):
        axes.plot(
            ranks,
            np.maximum(np.sort(of_layer), LEAST_DRAWN),
            color=plots.colour_of(cell),
            linestyle=plots.LINE_STYLES[number % len(plots.LINE_STYLES)],
            marker="." if len(half_lives) == 1 and len(of_layer) <= 128 else "",
            label=f"layer {number}" if len(half_lives) > 1 else "",
        )
    lag = record.config["lag"]
    axes.axhline(lag, color=plots.GREY, linewidth=0.6, label=f"lag {lag}")
    axes.set_yscale("log")
    axes.margins(x=0.02, y=0.1)
    if np.isfinite(half_lives).any():
        _mark_slowest(axes, half_lives)
    else:
        _say_all_is_kept(axes, len(ranks), lag)
    axes.yaxis.set_major_locator(LogLocator(subs=HALF_LIFE_TICKS, numticks=8))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_title("What the gates keep")
    axes.set_xlabel("units, from fast to slow")
    axes.set_ylabel("half-life, steps")
    plots.label_ends(axes)


def _before(record: Record, name: str) -> np.ndarray:
    """Returns what was measured before training; empty for weights alone."""
    if INITIAL not in record.axes["stage"]:
        return np.empty(0)
    return take(record, name, stage=INITIAL)


def _mark_slowest(axes: Axes, half_lives: np.ndarray) -> None:
    """Labels the slowest unit, unless its half-life is infinite."""
    slowest = half_lives.max()
    if not np.isfinite(slowest):
        return
    layer, unit = np.unravel_index(half_lives.argmax(), half_lives.shape)
    where = f"layer {layer}, unit" if len(half_lives) > 1 else "unit"
    plots.note(
        axes,
        f"{where} {unit}: {wording.steps(slowest)}",
        (half_lives.shape[1], slowest),
        (-7, 0),
        size=9,
        ha="right",
        va="center",
    )


def _say_all_is_kept(axes: Axes, num_units: int, lag: int) -> None:
    """Says in an empty panel that no unit forgets, in the decade above the lag."""
    axes.set_xlim(0.5, num_units + 0.5)
    axes.set_ylim(1, 10 * lag)
    plots.note(
        axes,
        "every unit keeps all it holds",
        (0.5, lag * math.sqrt(10)),
        coords=("axes fraction", "data"),
        size=9,
        ha="center",
        va="center",
    )


def _plot_gradient(axes: Axes, record: Record) -> None:
    cell, lag = record.config["cell"], record.config["lag"]
    found = quartiles(take(record, "log_share", stage=TRAINED), axis=0)
    before = _before(record, "log_share")
    what = "all of the\nmemory" + (", trained" if len(before) else "")
    plots.share_curve(axes, found, cell, what)
    slowest = take(record, "mean_log_gate", stage=TRAINED).max()
    of_gates = slowest * np.arange(lag + 1)
    axes.plot(
        np.arange(lag + 1),
        of_gates / math.log(10),
        color="black",
        linewidth=0.9,
        linestyle=(0, (2, 2)),
        label="slowest gate\nalone",
    )
    if len(before):
        median = np.median(before, axis=0) / math.log(10)
        axes.plot(np.arange(lag + 1), median, label="before\ntraining", **UNTRAINED)
    bottom, top = axes.get_ylim()
    bottom, top = min(bottom, -2), max(top, 0.3)
    axes.set_ylim(bottom, top)
    for name in report.FORMATS:
        height = math.log10(float(jnp.finfo(name).eps) / 2)
        if height >= bottom:
            style: dict[str, Any] = {"linewidth": 0.5, "linestyle": (0, (1, 2))}
            axes.axhline(height, label=f"lost to {name}", color=plots.GREY, **style)
    plots.log_axis(axes, lag, "How far back the gradient reaches")
    axes.set_ylabel("share of the gradient left")
    plots.label_ends(axes)
