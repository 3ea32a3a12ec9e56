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

Reference (`experiments/reference/explain/`, 40 s on two idle cores): a model of the
adding problem at 100 steps,

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
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

import lstm_jax as lj
from experiments import cli, records, trained_run, weights_file
from experiments.cli import ConfigError, option
from experiments.progress import progress
from experiments.records import Record
from experiments.sequences import read_sequence
from experiments.trained_run import TrainedRun
from lstm_jax import plots, readouts
from lstm_jax.gradients.carousel import forget_factors, memory_field

NAME = "explain"
DEFAULT_LAG = 200
HORIZON_FRACTION = 1e-6
FORMATS = ("bfloat16", "float16", "float32")
LEAST_DRAWN = 0.1  # steps: a half-life of 0 has no place on a logarithmic axis
HALF_LIFE_TICKS = (1, 2, 5)
UNTRAINED: dict[str, Any] = {"color": plots.GREY, "linewidth": 0.9}
NOISE = "white noise of unit variance"


@dataclass(frozen=True)
class Config:
    """What is explained; every field is a flag."""

    torch: str | None = option(
        None,
        cli.optional(cli.text()),
        "FILE.safetensors, the state dict of a torch.nn.LSTM or GRU or of a module "
        "that holds one",
    )
    weights: str | None = option(
        None, cli.optional(cli.text()), "FILE.npz, params of lj.LSTM or lj.GRU by path"
    )
    checkpoint: str | None = option(
        None,
        cli.optional(cli.text()),
        "--out of experiments.train, or one of its checkpoints, or final.npz",
    )
    of_seed: int | None = option(
        None,
        cli.optional(cli.integer(minimum=0)),
        "which network of a run that trained several side by side",
    )
    module: str | None = option(
        None,
        cli.optional(cli.text()),
        "which of several in the file: what its keys begin with",
    )
    direction: str = option(
        "forward",
        cli.one_of(("forward", "backward")),
        "of a bidirectional layer; backward reads the sequence from its end",
    )
    sequence: str | None = option(
        None,
        cli.optional(cli.text()),
        "FILE.npy or FILE.csv, (time, input) numbers, read instead of white noise",
    )
    lag: int | None = option(
        None,
        cli.optional(cli.integer(minimum=2)),
        f"how many steps back it is looked ({DEFAULT_LAG} on noise; all of a sequence, "
        "if not given)",
    )
    num_examples: int = option(
        16, cli.integer(minimum=1), "random directions, each with inputs of its own"
    )
    seed: int = option(0, cli.integer(minimum=0), "everything random follows from it")

    def __post_init__(self) -> None:
        """Refuses what is not allowed."""
        cli.check(self)
        given = [self.torch, self.weights, self.checkpoint]
        if sum(path is not None for path in given) != 1:
            raise ConfigError(
                f"torch, weights, checkpoint: got {given}; it must be exactly one file "
                "or folder, such as --torch=model.safetensors"
            )


class Model(NamedTuple):
    """What is explained.

    Attributes:
      cell: of every layer.
      layers: params in float32, from the bottom to the top.
      readout: what answers from the last layer's output; None where there is none.
      sizes: (input, hidden, answer); without a readout the output is the answer.
      run: that trained it; None for weights alone.
    """

    cell: lj.Cell
    layers: tuple[Any, ...]
    readout: readouts.LinearParams | None
    sizes: tuple[int, int, int]
    run: TrainedRun | None


class Sequences(NamedTuple):
    """What the model reads; every sequence ends at the last step.

    Attributes:
      inputs: warm-up and all.
      counts: False before a sequence begins; None where all begin at the first step.
      lag: how many steps back it is looked.
      what: in words.
    """

    inputs: Float[Array, "time examples input"]
    counts: Bool[Array, "time examples"] | None
    lag: int
    what: str


class Measured(NamedTuple):
    """What is measured on the model.

    Attributes:
      log_kept: mean ln f_t of every unit, (layer, hidden).
      log_norms: of the whole carry entering each step, (time, examples).
      layer_log_norms: of the carry of each layer, (layer, time, examples).
    """

    log_kept: Float[Array, "layer hidden"]
    log_norms: Float[Array, "time examples"]
    layer_log_norms: Float[Array, "layer time examples"]


def run(config: Config) -> Record:
    """Reads the weights, measures and returns the record."""
    start = time.monotonic()
    model = _read(config)
    read = _sequences(config, model)
    measure = jax.jit(partial(_measured, config, model, read.lag))
    with progress(1) as advance:
        advance("measuring", 0)
        found = measure(model.layers, model.readout, read.inputs, read.counts)
        arrays = _arrays(found)
        if model.run is not None:
            began = trained_run.untrained(model.run)
            before = measure((began.cell,), began.readout, read.inputs, read.counts)
            arrays |= {f"untrained/{k}": v for k, v in _arrays(before).items()}
        advance("measured", 1)
    return Record(
        experiment=NAME,
        config=asdict(config)
        | {"lag": read.lag, "cell": model.cell.name, "model": _what(config, model)}
        | {"read": read.what},
        arrays=arrays,
        rows=_rows(found, read.lag),
        verdict=_verdict(config, model, read, found, arrays),
        made=records.provenance(time.monotonic() - start),
    )


def _read(config: Config) -> Model:
    if config.direction == "backward" and config.torch is None:
        raise ConfigError(
            "direction: got 'backward'; it must be forward without --torch"
        )
    path = config.checkpoint
    if path is not None and _is_run(path):
        return _of_run(path, trained_run.read_run(path, config.of_seed))
    if config.of_seed is not None:
        raise ConfigError(
            f"of_seed: got {config.of_seed}; it must not be given without a run of "
            "several seeds"
        )
    if config.torch is not None:
        found = weights_file.read_torch(config.torch, config.module, config.direction)
    elif path is None:
        found = weights_file.read_npz(config.weights or "", config.module)
    else:
        final = str(Path(path) / "final.npz") if Path(path).is_dir() else path
        found = weights_file.read_npz(final, config.module, "checkpoint")
    sizes = (found.input_size, found.hidden_size, found.hidden_size)
    return Model(found.cell, found.layers, None, sizes, None)


def _is_run(path: str) -> bool:
    """Whether it is no final.npz that is to be read."""
    has_final = (Path(path) / "final.npz").exists()
    return Path(path).is_dir() and (trained_run.is_run(path) or not has_final)


def _of_run(path: str, run: TrainedRun) -> Model:
    cell, task = lj.CELLS[run.config.cell], lj.TASKS[run.config.task]
    try:
        memory_field(cell)
    except ValueError as error:
        raise ConfigError(f"checkpoint: {path!r}: {error}") from error
    return Model(
        cell=cell,
        layers=(run.params.cell,),
        readout=run.params.readout,
        sizes=(task.input_size, run.config.hidden_size, task.output_size),
        run=run,
    )


def _sequences(config: Config, model: Model) -> Sequences:
    """Returns the sequences that are given, or of the run's task, or noise."""
    if config.sequence is not None:
        return _given(config, model.sizes[0])
    if model.run is not None:
        return _of_task(config, model.run)
    lag = config.lag or DEFAULT_LAG
    shape = (2 * lag + 1, config.num_examples, model.sizes[0])
    inputs = jax.random.normal(jax.random.key(config.seed), shape)
    return Sequences(inputs, None, lag, NOISE)


def _given(config: Config, input_size: int) -> Sequences:
    sequence = read_sequence(config.sequence or "")
    if sequence.shape[1] != input_size:
        raise ConfigError(
            f"sequence: {config.sequence!r} has {sequence.shape[1]} features a step; "
            f"it must have {input_size}, for these weights"
        )
    lag = _checked_lag(config, len(sequence), repr(config.sequence))
    sequence = sequence if config.direction == "forward" else sequence[::-1]
    shape = (len(sequence), config.num_examples, input_size)
    inputs = jnp.broadcast_to(jnp.asarray(sequence[:, None], np.float32), shape)
    return Sequences(inputs, None, lag, repr(config.sequence))


def _of_task(config: Config, run: TrainedRun) -> Sequences:
    """Returns sequences that training did not draw, moved to end at one step."""
    task, length = lj.TASKS[run.config.task], run.config.length
    sample = jax.jit(task.sample_test, static_argnums=(1, 2))
    batch = sample(jax.random.key(config.seed), config.num_examples, length)
    lengths = np.asarray(batch.lengths)
    before = length - lengths
    steps = np.arange(length)[:, None]
    moved = np.take_along_axis(
        np.asarray(batch.inputs), ((steps - before) % length)[..., None], axis=0
    )
    what = f"{config.num_examples} sequences of {task.name}"
    lag = _checked_lag(config, int(lengths.min()), what)
    counts = jnp.asarray(steps >= before) if before.any() else None
    return Sequences(jnp.asarray(moved), counts, lag, what)


def _checked_lag(config: Config, num_steps: int, of: str) -> int:
    longest = num_steps - 1
    lag = config.lag or longest
    if not 2 <= lag <= longest:
        raise ConfigError(
            f"lag: got {lag}; it must be in [2, {longest}], for the {num_steps} "
            f"steps of {of}"
        )
    return lag


def _measured(
    config: Config,
    model: Model,
    lag: int,
    layers: tuple[Any, ...],
    readout: readouts.LinearParams | None,
    inputs: Float[Array, "time examples input"],
    counts: Bool[Array, "time examples"] | None,
) -> Measured:
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    directions = jax.random.normal(key, (config.num_examples, model.sizes[2]))
    stacked = lj.stack(*(model.cell for _ in layers))
    carry = stacked.init_carry(layers, inputs.shape[1:-1])
    warm_up, measured = inputs[: -lag - 1], inputs[-lag - 1 :]
    if warm_up.shape[0]:
        mask = None if counts is None else counts[: -lag - 1]
        carry, _ = lj.unroll(stacked, layers, warm_up, carry, mask=mask)

    def heard(ys):
        last = ys[-1] if readout is None else readouts.linear(readout, ys[-1])
        return jnp.sum(last * directions)

    log_norms = lj.log_gradient_norms(stacked, layers, measured, heard, carry)
    log_kept = []
    for layer, entering in zip(layers, carry, strict=True):
        kept = forget_factors(model.cell, layer, measured, entering)
        log_kept.append(jnp.mean(jnp.log(kept), axis=(0, 1)))
        _, measured = lj.unroll(model.cell, layer, measured, entering)
    return Measured(
        log_kept=jnp.stack(log_kept),
        log_norms=lj.joint_log_norms(log_norms),
        layer_log_norms=jnp.stack([lj.joint_log_norms(of) for of in log_norms]),
    )


def _arrays(found: Measured) -> dict[str, np.ndarray]:
    by_layer = jnp.moveaxis(found.layer_log_norms, 1, 0)
    return {
        "lags": np.arange(found.log_norms.shape[0]),
        "log_share": np.asarray(lj.log_shares(found.log_norms)[::-1]),
        "layers/log_share": np.asarray(
            jnp.moveaxis(lj.log_shares(by_layer)[::-1], 1, 0)
        ),
        "layers/mean_log_gate": np.asarray(found.log_kept),
        "layers/half_life": np.asarray(lj.half_life(found.log_kept)),
    }


def _rows(found: Measured, lag: int) -> list[dict[str, str]]:
    rows = []
    for number, log_kept in enumerate(found.log_kept):
        half_lives = lj.half_life(log_kept)
        unit, log_norms = int(jnp.argmax(log_kept)), found.layer_log_norms[number]
        rate = float(np.median(lj.decay_rate(log_norms)))
        horizon = float(np.median(lj.horizon(log_norms, HORIZON_FRACTION)))
        rows.append(
            {
                "layer": str(number),
                "units": str(len(log_kept)),
                "half-life, median unit": _steps(float(jnp.median(half_lives))),
                "slowest unit": f"{unit}: {_steps(float(half_lives[unit]))}",
                "its gate, nats per step": f"{float(log_kept[unit]):+.4f}",
                "gradient, nats per step": f"{rate:+.4f}",
                "horizon at 1e-6": _steps(horizon, lag),
            }
        )
    return rows


def _verdict(
    config: Config,
    model: Model,
    read: Sequences,
    found: Measured,
    arrays: dict[str, np.ndarray],
) -> list[str]:
    return [
        "",
        *([] if model.run is None else _passed_over(model.run)),
        f"{_what(config, model)}; on {read.what}.",
        *_gate_lines(found),
        *_gradient_lines(found, read.lag),
        *([] if model.run is None else _untrained_lines(arrays, read.lag)),
    ]


def _passed_over(run: TrainedRun) -> list[str]:
    return [
        f"The checkpoint of step {step} is not whole, damaged or still being written; "
        f"this is that of step {run.step}."
        for step in run.passed_over
    ]


def _what(config: Config, model: Model) -> str:
    """Returns what is explained, in words."""
    layers = len(model.layers)
    inputs, units, _ = model.sizes
    size = f"{units} units" + (f" in {layers} layers" * (layers > 1))
    if model.run is None:
        path = config.torch or config.weights or config.checkpoint
        return f"{path}: {model.cell.name}, {inputs} inputs, {size}"
    of = model.run
    return (
        f"{config.checkpoint}: {model.cell.name}, {size}, after {of.step} updates on "
        f"{of.config.task} of {of.config.length} steps"
    )


def _untrained_lines(arrays: dict[str, np.ndarray], lag: int) -> list[str]:
    slowest = float(arrays["untrained/layers/half_life"].max())
    share = float(np.median(arrays["untrained/log_share"][-1]))
    return [
        f"  before:   untrained, the slowest unit kept half for {_steps(slowest)} "
        f"steps, and at lag {lag} {_power(share)} was left"
    ]


def _gate_lines(found: Measured) -> list[str]:
    half_lives = np.asarray(lj.half_life(found.log_kept))
    lines = []
    for number, of_layer in enumerate(half_lives):
        where = f"layer {number}, " if len(half_lives) > 1 else ""
        order = np.argsort(-of_layer, kind="stable")[:3]
        slowest = [f"unit {k} for {_steps(float(of_layer[k]))} steps" for k in order]
        middle = _steps(float(np.median(of_layer)))
        lines.append(
            f"  gates:    {where}half is kept by {', '.join(slowest)}; by the median "
            f"unit for {middle}"
        )
    return lines


def _gradient_lines(found: Measured, lag: int) -> list[str]:
    shares = np.asarray(lj.log_shares(found.log_norms))
    rate = float(np.median(lj.decay_rate(found.log_norms)))
    horizon = float(np.median(lj.horizon(found.log_norms, HORIZON_FRACTION)))
    if math.isfinite(horizon):
        down = f"it is down to 1e-6 after {horizon:.0f} steps"
    else:
        down = f"it is never down to 1e-6 within {lag} steps"
    heard = ", ".join(
        f"{name} {_heard(found.log_norms, name, lag)}" for name in FORMATS
    )
    gate = float(found.log_kept.max())
    return [
        f"  gradient: {down}; at lag {lag}, {_power(float(np.median(shares[0])))} is "
        f"left; {rate:+.4f} nats per step, the slowest gate alone {gate:+.4f}",
        f"  numbers:  steps back until a share is rounded away: {heard}",
    ]


def _heard(log_norms: Array, dtype: str, lag: int) -> str:
    return _steps(float(np.median(lj.rounding_lag(log_norms, dtype))), lag)


def _steps(value: float, longest: int | None = None) -> str:
    if math.isfinite(value):
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
    return "all" if longest is None else f"> {longest}"


def _power(log_share: float) -> str:
    """Returns exp(log_share) in words that do not underflow."""
    if not math.isfinite(log_share):
        return "nothing"
    if -2 <= log_share / math.log(10) < 2:
        return f"{math.exp(log_share):.2g}"
    exponent = math.floor(log_share / math.log(10))
    return f"{math.exp(log_share - exponent * math.log(10)):.1f}e{exponent:+03d}"


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the half-lives of all units, and the share of the gradient by lag."""
    figure = Figure(figsize=(7.2, 3.3), layout="constrained")
    gates, gradient = figure.subplots(1, 2)
    _plot_gates(gates, record)
    _plot_gradient(gradient, record)
    path, _, what = record.config["model"].rpartition(": ")
    title = f"{Path(path).name}: {what}; on {record.config['read']}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9)
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
    slowest = half_lives.max()
    if np.isfinite(slowest):
        layer, unit = np.unravel_index(half_lives.argmax(), half_lives.shape)
        where = f"layer {layer}, unit" if len(half_lives) > 1 else "unit"
        axes.annotate(
            f"{where} {unit}: {_steps(float(slowest))}",
            (ranks[-1], slowest),
            xytext=(-7, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9,
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
    axes.yaxis.set_major_locator(LogLocator(subs=HALF_LIFE_TICKS, numticks=8))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_title("What the gates keep")
    axes.set_xlabel("units, from fast to slow")
    axes.set_ylabel("half-life (steps)")
    if len(half_lives) > 1:
        axes.legend(loc="lower right")


def _plot_gradient(axes: Axes, record: Record) -> None:
    cell, lag = record.config["cell"], record.config["lag"]
    shares = record.arrays["log_share"]
    before = record.arrays.get("untrained/log_share")
    quartiles = np.percentile(shares, (25, 50, 75), axis=1)
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
    for name in FORMATS:
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
