"""What does a trained LSTM or GRU keep, and how far back does its gradient hear?

Question: given the weights of a model of your own, for how many steps do its gates hold
a memory, how many steps back does the gradient of its last output arrive, and how many
of those does a number format leave?

  python -m experiments.explain --torch=model.safetensors
  python -m experiments.explain --torch=model.safetensors --sequence=mine.csv
  python -m experiments.explain --torch=model.safetensors --module=encoder.lstm
  python -m experiments.explain --weights=final.npz
  python -m experiments.explain --checkpoint=out/adding
  python -m experiments.explain --checkpoint=out/adding/checkpoints/500

--checkpoint is the --out of `experiments.train` and means its newest whole checkpoint,
or names one of them. Cell, sizes and task come from the run's own config, and the model
is measured on fresh sequences of that task, before training too.

What is drawn. Left, what the gates keep: f_t (an LSTM's forget gate, a GRU's z, which
multiplies the old memory) is averaged as ln f_t over steps and sequences for every
unit; its half-life is -ln 2 / mean ln f_t. Right, what the gradient hears: a random
direction u of the last output, u . y, is differentiated with respect to the memory (all
of the carry, all layers) that enters each step; drawn is the share, norm at that step /
norm entering the last step, median and quartiles over the sequences. Of a run it is
not the output but the answer of the trained readout, u . answer, at the last step of
every sequence; thin grey lines are the same measurement of the weights it began with.
Weights alone, without --sequence, read white noise of unit variance, `lag` steps as a
warm-up and `lag` + 1 that are measured; what a model keeps depends on what it reads, so
give it a sequence of its own where you have one. Everything is computed in float32,
norms without underflow.

Expected. The slowest gate alone leaves exp(lag * mean ln f_t). The measured gradient
lies below that line where such units are few or hardly shown, and above it where the
hidden path, which no forget gate is on, carries more: an untrained LSTM at forget bias
1 has a mean ln f_t of about ln sigma(1) = -0.313, and its whole gradient decays more
slowly (`experiments.gradient_decay`). Where all weights but a forget bias b are zero,
gates and gradient decay at ln sigma(b) exactly (`tests/test_experiment_explain.py`).

Reference (`experiments/reference/explain/`, 12 s and 10 s on two idle cores): a model
of the adding problem at 100 steps,

  python -m experiments.train --learning_rate=1e-2 --out=out/adding
  python -m experiments.explain --checkpoint=out/adding

Found: training makes one unit of 32 a store. It keeps half for about 180 steps, where
the slowest kept half for 2.8 before; the median unit gets faster, 1.7. What was left of
the gradient at lag 99 was 0.011, and is 1.3: all of it, as the answer, a sum, needs.

Sources: Tallec & Ollivier (2018), https://arxiv.org/abs/1804.11188 (time constants from
gates); Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735.
"""

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

from experiments import (
    cli,
    decay,
    explain_words,
    explained_memory,
    explained_models,
    records,
    trained_run,
    words,
)
from experiments.explained_models import Config as Config
from experiments.progress import progress
from experiments.records import Record
from lstm_jax import plots

NAME = "explain"
LEAST_DRAWN = 0.1  # steps: a half-life of 0 has no place on a logarithmic axis
HALF_LIFE_TICKS = (1, 2, 5)
UNTRAINED: dict[str, Any] = {"color": plots.GREY, "linewidth": 0.9}


def run(config: Config) -> Record:
    """Reads the weights, measures and returns the record."""
    start = time.monotonic()
    model = explained_models.read_model(config)
    read = explained_models.sequences_of(config, model)
    measure = jax.jit(partial(explained_memory.measured, config, model, read.lag))
    with progress(1) as advance:
        advance("measuring", 0)
        found = measure(model.layers, model.readout, read.inputs, read.counts)
        explained_memory.check_finite(config, read, found)
        arrays = explained_memory.arrays_of(found)
        if model.run is not None:
            began = trained_run.untrained(model.run)
            before = measure((began.cell,), began.readout, read.inputs, read.counts)
            of_before = explained_memory.arrays_of(before)
            arrays |= {f"untrained/{k}": v for k, v in of_before.items()}
        advance("measured", 1)
    return Record(
        experiment=NAME,
        config=asdict(config)
        | {"lag": read.lag, "cell": model.cell.name, "name": model.name}
        | {"model": explain_words.model_in_words(config, model), "read": read.what},
        arrays=arrays,
        rows=explain_words.table(found, read.lag),
        verdict=explain_words.verdict(config, model, read, found, arrays),
        made=records.provenance(time.monotonic() - start),
    )


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the half-lives of all units, and the share of the gradient by lag."""
    figure = Figure(figsize=(7.2, 3.3), layout="constrained")
    gates, gradient = figure.subplots(1, 2)
    _plot_gates(gates, record)
    _plot_gradient(gradient, record)
    what = record.config["model"].rpartition(": ")[2]
    title = f"{record.config['name']}: {what}; on {record.config['read']}"
    # A file may be called a$b.csv: no formula.
    figure.suptitle(
        words.printable(title), x=0.01, ha="left", fontsize=9, parse_math=False
    )
    return figure


def _plot_gates(axes: Axes, record: Record) -> None:
    cell, half_lives = record.config["cell"], record.arrays["layers/half_life"]
    ranks = 1 + np.arange(half_lives.shape[1])
    for of_layer in record.arrays.get("untrained/layers/half_life", []):
        axes.plot(ranks, np.maximum(np.sort(of_layer), LEAST_DRAWN), **UNTRAINED)
    for number, of_layer in enumerate(half_lives):
        axes.plot(
            ranks,
            np.maximum(np.sort(of_layer), LEAST_DRAWN),
            color=plots.colour_of(cell),
            linestyle=plots.LINE_STYLES[number % len(plots.LINE_STYLES)],
            marker="." if len(half_lives) == 1 and len(of_layer) <= 128 else "",
            label=f"layer {number}",
        )
    lag = record.config["lag"]
    axes.axhline(lag, color=plots.GREY, linewidth=0.6)
    axes.annotate(
        f"lag {lag}",
        (0, lag),
        xycoords=("axes fraction", "data"),
        xytext=(2, 2),
        textcoords="offset points",
        color=plots.GREY,
        fontsize=9,
    )
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
    axes.set_ylabel("half-life (steps)")
    if len(half_lives) > 1:
        axes.legend(loc="lower right")


def _mark_slowest(axes: Axes, half_lives: np.ndarray) -> None:
    """Writes which unit is the slowest, unless it keeps all and has no place."""
    slowest = half_lives.max()
    if not np.isfinite(slowest):
        return
    layer, unit = np.unravel_index(half_lives.argmax(), half_lives.shape)
    where = f"layer {layer}, unit" if len(half_lives) > 1 else "unit"
    axes.annotate(
        f"{where} {unit}: {words.steps(slowest)}",
        (half_lives.shape[1], slowest),
        xytext=(-7, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=9,
    )


def _say_all_is_kept(axes: Axes, num_units: int, lag: int) -> None:
    """Writes into a panel without curves, in the decade above the lag."""
    axes.set_xlim(0.5, num_units + 0.5)
    axes.set_ylim(1, 10 * lag)
    axes.annotate(
        "every unit keeps all it holds",
        (0.5, lag * math.sqrt(10)),
        xycoords=("axes fraction", "data"),
        ha="center",
        va="center",
        fontsize=9,
    )


def _plot_gradient(axes: Axes, record: Record) -> None:
    cell, lag = record.config["cell"], record.config["lag"]
    shares = record.arrays["log_share"]
    before = record.arrays.get("untrained/log_share")
    quartiles = decay.quartiles(shares, axis=1)
    what = "all of the memory" + (", trained" if before is not None else "")
    plots.share_curve(axes, quartiles, cell, what)
    of_gates = record.arrays["layers/mean_log_gate"].max() * np.arange(lag + 1)
    axes.plot(
        np.arange(lag + 1),
        of_gates / math.log(10),
        color="black",
        linewidth=0.9,
        linestyle=(0, (2, 2)),
        label="the slowest gate alone",
    )
    if before is not None:
        median = np.median(before, axis=1) / math.log(10)
        axes.plot(np.arange(lag + 1), median, label="before training", **UNTRAINED)
    bottom, top = axes.get_ylim()
    bottom, top = min(bottom, -2), max(top, 0.3)
    axes.set_ylim(bottom, top)
    for name in explain_words.FORMATS:
        height = math.log10(float(jnp.finfo(name).eps) / 2)
        if height < bottom:
            continue
        axes.axhline(height, color=plots.GREY, linewidth=0.5, linestyle=(0, (1, 2)))
        axes.annotate(
            f"lost to {name}",
            (0, height),
            xycoords=("axes fraction", "data"),
            xytext=(2, 2),
            textcoords="offset points",
            color=plots.GREY,
            fontsize=8,
        )
    plots.log_axis(axes, lag, "What the gradient hears")
    axes.set_ylabel("share of the gradient left")
    axes.legend(loc="best")


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
