"""The memory of a model: the measurement as one call, and its figure."""

import math
import time
from collections.abc import Callable
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
from experiments.explain import answer, measurements, models, network, paths, report
from experiments.explain.models import Config as Config
from experiments.train import saved_run
from lstm_jax import plots

NAME = "explain"
FOREVER = "never"
ALL = "all of the\nmemory"
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
        found = measure(model.params, model.readout, read.inputs, read.counts)
        measurements.check_finite(config, read, found)
        stages = {TRAINED: found}
        if model.run is not None:
            began = saved_run.untrained(model.run)
            form = jax.tree.structure(model.params)
            params = form.unflatten(jax.tree.leaves(began.cell))
            before = measure(params, began.readout, read.inputs, read.counts)
            stages = {INITIAL: before, TRAINED: found}
        shares = paths.shares(config, model, read)
        advance("measured", 1)
    return records.new(
        NAME,
        asdict(config)
        | {"lag": read.lag, "cell": model.network[0].cells[0].name, "name": model.name}
        | {"model": report.model_in_words(config, model), "read": read.what}
        | sequences.in_record(read.read),
        start,
        measurements.quantities(stages) | paths.quantities(shares),
        axes={
            "stage": stages,
            "layer": network.names(model.network),
            "path": paths.names(model),
            "columns": Saturation._fields,
            "input": answer.names(read.columns, model.sizes[0]),
        },
        rows=report.table(model, found, read.lag),
        verdict=report.verdict(config, model, read, stages, shares),
    )


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the half-lives of all units, the gradient, and the answer's parts."""
    figure = Figure(figsize=(10.8, 3.7), layout="constrained")
    plots.headline(figure, finding(record))
    *gates, gradient, came_from = figure.subplots(1, 3 if _has_gates(record) else 2)
    for axes in gates:
        _plot_gates(axes, record)
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
    lag, keeps = record.config["lag"], ""
    if _has_gates(record):
        halves, *before = _in_stages(record, _half_life)
        keeps = f"halves in {halves}" if halves != FOREVER else "never halves"
        keeps = f"The slowest unit {keeps}{_untrained(before)}, and "
    left, *before = _in_stages(record, _left)
    return f"{keeps}{left} of the gradient is left at lag {lag}{_untrained(before)}"


def _in_stages(record: Record, told: Callable[[Record, str], str]) -> list[str]:
    """Returns what is told of the trained network, and then of the untrained one."""
    return [told(record, stage) for stage in reversed(record.axes["stage"])]


def _untrained(told: list[str]) -> str:
    return "".join(f" (untrained: {words.removesuffix(' steps')})" for words in told)


def _has_gates(record: Record) -> bool:
    """Whether a layer has a memory of its own."""
    return "half_life" in record.arrays


def _half_life(record: Record, when: str) -> str:
    """Returns that of the slowest unit, in words."""
    steps = np.nanmax(take(record, "half_life", stage=when))
    return f"{wording.steps(steps)} steps" if np.isfinite(steps) else FOREVER


def _left(record: Record, when: str) -> str:
    shares = take(record, "log_share", stage=when, lag=record.config["lag"])
    return wording.power(np.median(shares))


def _plot_gates(axes: Axes, record: Record) -> None:
    cell, layers = record.config["cell"], network.called(record.axes["layer"])
    half_lives = take(record, "half_life", stage=TRAINED)
    for of_layer in _before(record, "half_life"):
        before: dict[str, Any] = UNTRAINED | {"label": "before"}
        axes.plot(*_ranked(of_layer), **before)
    for number, of_layer in enumerate(half_lives):
        ranks, ranked = _ranked(of_layer)
        axes.plot(
            ranks,
            ranked,
            color=plots.colour_of(cell),
            linestyle=plots.LINE_STYLES[number % len(plots.LINE_STYLES)],
            marker="." if len(half_lives) == 1 and len(ranks) <= 128 else "",
            label=layers[number] if len(ranks) else "",
        )
    lag = record.config["lag"]
    axes.axhline(lag, color=plots.GREY, linewidth=0.6, label=f"lag {lag}")
    axes.set_yscale("log")
    axes.margins(x=0.02, y=0.1)
    if np.isfinite(half_lives).any():
        _mark_slowest(axes, half_lives, layers)
    else:
        _say_all_is_kept(axes, half_lives.shape[1], lag)
    axes.yaxis.set_major_locator(LogLocator(subs=HALF_LIFE_TICKS, numticks=8))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_title("What the gates keep")
    axes.set_xlabel("units, from fast to slow")
    axes.set_ylabel("half-life, steps")
    plots.label_ends(axes)


def _ranked(half_lives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ranks of a layer's units, and what is drawn of each."""
    known = np.sort(half_lives[~np.isnan(half_lives)])
    return 1 + np.arange(len(known)), np.maximum(known, LEAST_DRAWN)


def _before(record: Record, name: str) -> np.ndarray:
    """Returns what was measured before training; empty for weights alone."""
    if INITIAL not in record.axes["stage"]:
        return np.empty(0)
    return take(record, name, stage=INITIAL)


def _mark_slowest(axes: Axes, half_lives: np.ndarray, layers: list[str]) -> None:
    """Labels the slowest unit, unless its half-life is infinite."""
    slowest = np.nanmax(half_lives)
    if not np.isfinite(slowest):
        return
    layer, unit = np.unravel_index(np.nanargmax(half_lives), half_lives.shape)
    where = ", ".join(filter(None, [layers[int(layer)], "unit"]))
    plots.note(
        axes,
        f"{where} {unit}: {wording.steps(slowest)}",
        (np.isfinite(half_lives[layer]).sum(), slowest),
        (0, 6),
        size=9,
        ha="right",
        va="bottom",
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


def _whose(layers: list[Any]) -> str:
    """Returns whose memory the gradient is taken of, see `measurements.Measured`."""
    both = any(isinstance(name, str) for name in layers)
    return "the last layer's\nmemory" if both and len(layers) > 2 else ALL


def _plot_gradient(axes: Axes, record: Record) -> None:
    cell, lag = record.config["cell"], record.config["lag"]
    found = quartiles(take(record, "log_share", stage=TRAINED), axis=0)
    before = _before(record, "log_share")
    what = _whose(record.axes["layer"]) + (", trained" if len(before) else "")
    plots.share_curve(axes, found, cell, what)
    if _has_gates(record):
        slowest = np.nanmax(take(record, "mean_log_gate", stage=TRAINED))
        axes.plot(
            np.arange(lag + 1),
            slowest * np.arange(lag + 1) / math.log(10),
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
