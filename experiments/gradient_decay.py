"""How much of the last step's gradient reaches the first?

Question: on sequences of real images, how does the gradient of the last prediction with
respect to the memory fade with the lag, before and after training; and what does that
say about the lag you ask for?

  python -m experiments.gradient_decay
  python -m experiments.gradient_decay --cells=lstm --lag=200 --num_steps=0
  python -m experiments.gradient_decay --sequence=mine.csv
  python -m experiments.gradient_decay --recorder=30

What is drawn. A network watches the nature show (`lstm_jax/tasks/nature_show.py`) and
answers at the last step. The margin, logit of the right answer minus the logit of the
wrong animal, is differentiated with respect to the memory (all of the carry) that
enters each step; drawn is the share, norm at that step / norm entering the last step.
The margin and not the loss, whose gradient is small after training because the task is
solved, not because memory fades. A sequence of one's own has no right answer: a random
direction of the last output is differentiated, and nothing is trained.

Expected (`experiments/reference/gradient_decay/`, the default run; README quotes it):
untrained, the gradient at lag 40 is lost in an RNN and mostly lost in an LSTM at forget
bias 1; at the matched bias it arrives. Trained, what solves the task carries it. Among
LSTM biases the initial curve orders what learns. Across cells it need not.

Sources: Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735;
Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063; the carousel's bias
ln(lag - 1): Tallec & Ollivier (2018), https://arxiv.org/abs/1804.11188.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

import lstm_jax as lj
from experiments.common import (
    cli,
    decay,
    gradient_shares,
    memory_limit,
    records,
    report,
    saturation,
    training,
    wording,
)
from experiments.common.cli import ConfigError, option
from experiments.common.gradient_shares import Measured, Watched
from experiments.common.progress import Advance, progress
from experiments.common.records import Record
from experiments.common.report import INITIAL, TRAINED
from experiments.common.sequence_file import read_sequence
from experiments.common.variants import MATCHED, TAUGHT, Variant, variants_of
from lstm_jax import initializers, plots, theory
from lstm_jax.cells.rnn import ACTIVATIONS
from lstm_jax.tasks.nature_show import RENDERINGS
from lstm_jax.training import loop

NAME = "gradient_decay"
DEFAULT_LAG = 40


@dataclass(frozen=True)
class Config:
    """What is measured; every field is a flag."""

    cells: tuple[str, ...] = option(TAUGHT, cli.list_of(cli.one_of(lj.CELLS)), "cells")
    lag: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1)),
        f"steps between scene and question ({DEFAULT_LAG} if not given); with "
        "--sequence the lag of the verdict (its longest if not given)",
    )
    hidden_size: int = option(64, cli.integer(minimum=1), "units of a cell")
    num_seeds: int = option(3, cli.integer(minimum=1), "networks per cell")
    num_steps: int = option(
        300,
        cli.integer(minimum=0),
        "updates of the training; with 0, or a --sequence, nothing is trained",
    )
    batch_size: int = option(64, cli.integer(minimum=1), "sequences per update")
    learning_rate: float = option(3e-3, cli.number(above=0), "of Adam")
    recorder: int = option(
        0,
        cli.integer(minimum=0),
        "updates between two records of the curve while training, drawn as a picture "
        "of training time and lag; 0 for none",
    )
    gain: float = option(1.0, cli.number(), "factor on the recurrent weights")
    forget_bias: tuple[float | str, ...] = option(
        (1.0, MATCHED),
        cli.list_of(cli.either(MATCHED, cli.number())),
        f"biases of the forget gate, side by side; {MATCHED!r} is the one whose "
        "carousel keeps 3/4 over the lag",
    )
    activation: str = option("tanh", cli.one_of(ACTIVATIONS), "squash of the RNN")
    recurrent_init: str = option(
        "orthogonal", cli.one_of(initializers.INITIALIZERS), "recurrent weights"
    )
    rendering: str = option("digits", cli.one_of(RENDERINGS), "the images")
    sequence: str | None = option(
        None,
        cli.optional(cli.text()),
        "FILE.npy or FILE.csv, (time, input) numbers, measured instead of the show",
    )
    num_examples: int = option(
        32, cli.integer(minimum=1), "test sequences that are measured"
    )
    dtype: str = option(
        "float32", cli.one_of(("float32", "float64", "bfloat16")), "of all weights"
    )
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Refuses what is not allowed."""
        cli.check(self)
        if self.recorder and (self.sequence is not None or not self.num_steps):
            raise ConfigError(
                f"recorder: got {self.recorder}; it must be 0 with num_steps=0 or a "
                "sequence, where nothing is trained"
            )
        if self.recorder and self.num_steps % self.recorder:
            raise ConfigError(
                f"recorder: got {self.recorder}; it must divide num_steps, "
                f"{self.num_steps}"
            )


class Found(NamedTuple):
    """What was found about one cell.

    Attributes:
      arrays: named "label/when/what".
      rows: of the table.
      lines: of the verdict.
    """

    arrays: dict[str, np.ndarray]
    rows: list[dict[str, Any]]
    lines: list[str]


def run(config: Config) -> Record:
    """Trains, measures and returns the record."""
    start = time.monotonic()
    _check_memory(config)
    with jax.enable_x64(config.dtype == "float64"):
        watched = _watched(config)
        arrays, rows, lines = _undriven(config, watched), [], []
        arrays["lags"] = np.arange(watched.inputs.shape[0])
        total = len(config.cells) * _units_per_cell(config, watched)
        with progress(total) as advance:
            for name in config.cells:
                found = _study(config, watched, name, advance)
                arrays |= found.arrays
                rows += found.rows
                lines += found.lines
    return Record(
        experiment=NAME,
        config=asdict(config) | {"lag": watched.lag},
        arrays=arrays,
        rows=rows,
        verdict=[
            *report.verdict_head(watched.lag, config.num_seeds),
            *lines,
            *_of_inputs(watched, arrays),
        ],
        made=records.provenance(time.monotonic() - start),
    )


def _check_memory(config: Config) -> None:
    """Refuses weights, shows, and memories at all steps that can't be held."""
    images = lj.tasks.nature_show(config.rendering).input_size
    arrays = [("num_seeds", "hidden_size", "hidden_size")]
    if config.sequence is None:
        watched = "lag", "num_examples"
        arrays += [(*watched, images), ("num_seeds", *watched, "hidden_size")]
    if config.sequence is None and config.num_steps:
        drawn = "lag", "batch_size"
        arrays += [(*drawn, images), ("num_seeds", *drawn, "hidden_size")]
    memory_limit.check(asdict(config) | {"lag": config.lag or DEFAULT_LAG}, arrays)


def _watched(config: Config) -> Watched:
    if config.sequence is None:
        lag = config.lag or DEFAULT_LAG
        return gradient_shares.watched_show(
            jax.random.key(config.seed), config.rendering, lag, config.num_examples
        )
    sequence = read_sequence(config.sequence, config.dtype)
    longest = len(sequence) - 1
    lag = config.lag or longest
    if lag > longest:
        raise ConfigError(
            f"lag: got {lag}; it must be at most {longest}, for the {len(sequence)} "
            f"steps of {config.sequence!r}"
        )
    return gradient_shares.watched_sequence(sequence, lag)


def _of_inputs(watched: Watched, arrays: dict[str, np.ndarray]) -> list[str]:
    """Returns what a sequence of one's own does to the networks it saturates most."""
    shares = [of for name, of in arrays.items() if name.endswith("/saturation")]
    known = [np.median(of, axis=0) for of in shares if np.isfinite(of).all()]
    if not known:
        return []
    given, standardised = max(known, key=lambda pair: pair[0] - pair[1])
    return saturation.in_words(given, standardised, np.asarray(watched.inputs))


def _cell_of(config: Config, name: str) -> lj.Cell:
    return lj.rnn(config.activation) if name == "rnn" else lj.CELLS[name]


def _units_per_cell(config: Config, watched: Watched) -> int:
    """Returns the progress of one cell; a measurement counts as 20 updates."""
    trains = watched.task is not None and config.num_steps > 0
    return 20 + (config.num_steps + 20 if trains else 0)


def _study(config: Config, watched: Watched, name: str, advance: Advance) -> Found:
    """Measures one cell at all its forget biases, before and after training."""
    cell = _cell_of(config, name)
    variants = variants_of(name, config.forget_bias, watched.lag)
    models = _initial_models(config, watched, name, cell, variants)
    advance(f"{name}: measuring", 0)
    measure = gradient_shares.measurer(cell, watched)
    stages = {INITIAL: jax.block_until_ready(measure(models))}
    signal = gradient_shares.signal_to_noise(cell, watched, models, config.batch_size)
    recording: dict[int, np.ndarray] = {}
    advance(f"{name}: measured", 20)
    if watched.task is not None and config.num_steps > 0:
        models, recording = _trained_models(
            config, watched.task, watched, name, models, measure, advance
        )
        stages[TRAINED] = jax.block_until_ready(measure(models))
        advance(f"{name}: measured", 20)
    shape = (len(variants), config.num_seeds)
    stages = {
        when: gradient_shares.unflatten(found, shape) for when, found in stages.items()
    }
    found = Found({}, [], [])
    if config.recorder and TRAINED in stages:
        found.arrays.update(_recorded(variants, recording, shape))
    for k, variant in enumerate(variants):
        of_variant = {when: stages[when].of_variant(k) for when in stages}
        for when, measured in of_variant.items():
            found.arrays.update(_arrays(variant, when, measured))
            found.rows.append(report.row(variant, when, measured))
        ratio = None if signal is None else signal.reshape(*shape, 2)[k]
        line = report.verdict_line(variant, of_variant, ratio, watched.lag)
        found.lines.append(line)
    return found


def _initial_models(
    config: Config,
    watched: Watched,
    name: str,
    cell: lj.Cell,
    variants: list[Variant],
) -> loop.ModelParams:
    """Returns untrained networks, leaves (variant * seed, ...)."""
    key = jax.random.fold_in(jax.random.key(config.seed), list(lj.CELLS).index(name))
    num_answers = 1 if watched.task is None else watched.task.output_size
    return training.initial_models(
        variants,
        jax.random.split(key, config.num_seeds),
        cell,
        (watched.inputs.shape[-1], config.hidden_size, num_answers),
        gain=config.gain,
        recurrent_init=initializers.INITIALIZERS[config.recurrent_init],
        dtype=jnp.dtype(config.dtype),
    )


def _trained_models(
    config: Config,
    task: lj.Task,
    watched: Watched,
    name: str,
    models: loop.ModelParams,
    measure: Callable[[loop.ModelParams], Measured],
    advance: Advance,
) -> tuple[loop.ModelParams, dict[int, np.ndarray]]:
    """Returns trained networks and, by update, the log-norms recorded on the way."""
    recording: dict[int, np.ndarray] = {}

    def record(update, states):
        if config.recorder and update % config.recorder == 0:
            recording[update] = np.asarray(measure(states.params).log_norms)

    recipe = training.recipe_of(
        config, _cell_of(config, name), task, watched.inputs.shape[0]
    )
    trained = training.trained_models(
        models,
        recipe,
        seed=config.seed,
        num_steps=config.num_steps,
        what=f"{name}: training",
        advance=advance,
        every=config.recorder or None,
        between=record,
    )
    return trained, recording


def _recorded(
    variants: list[Variant], recording: dict[int, np.ndarray], shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Returns medians of the log shares, (record, lag) for every variant."""
    shares = np.stack([decay.shares(norms) for norms in recording.values()])
    shares = shares.reshape(len(recording), *shape, *shares.shape[2:])
    middle = np.median(shares, axis=(2, -1))
    arrays = {
        f"{variant.label}/recorder/log_share": middle[:, k]
        for k, variant in enumerate(variants)
    }
    return arrays | {"recorder/updates": np.array(list(recording))}


def _undriven(config: Config, watched: Watched) -> dict[str, np.ndarray]:
    """Measures the untrained RNN on zero inputs, where theory says ln ρ(W).

    At h = 0 a squash with φ(0) = 0 and φ'(0) = 1 is the identity to first order, so
    every step's Jacobian is W_hh itself; with another squash there is no such line.
    """
    if "rnn" not in config.cells or config.activation not in ("tanh", "linear"):
        return {}
    variants = variants_of("rnn", config.forget_bias, watched.lag)
    cell = _cell_of(config, "rnn")
    models = _initial_models(config, watched, "rnn", cell, variants)
    found = gradient_shares.measurer(cell, gradient_shares.silence_like(watched))(
        models
    )
    w_hh = np.asarray(models.cell.w_hh, np.float64)
    return {
        "undriven/log_share": decay.shares(np.asarray(found.log_norms)),
        "undriven/ln_spectral_radius": theory.spectral_radius_rate(w_hh),
    }


def _arrays(variant: Variant, when: str, found: Measured) -> dict[str, np.ndarray]:
    name = f"{variant.label}/{when}"
    arrays = {f"{name}/log_share": decay.shares(found.log_norms)}
    if found.log_carousel is not None:
        arrays[f"{name}/log_carousel"] = found.log_carousel[..., ::-1, :]
    if found.accuracy is not None:
        arrays[f"{name}/accuracy"] = found.accuracy
    if found.saturation is not None:
        arrays[f"{name}/saturation"] = np.stack(found.saturation, axis=-1)
    return arrays


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the shares before and after training, and the two lines of theory."""
    trained = any(f"/{TRAINED}/" in name for name in record.arrays)
    undriven = "undriven/log_share" in record.arrays
    carousel = any(name.endswith("log_carousel") for name in record.arrays)
    panels: list[Any] = [INITIAL]
    panels += [TRAINED] if trained else []
    panels += ["undriven"] if undriven else []
    panels += ["carousel"] if carousel else []
    mosaic = [panels] if len(panels) < 4 else [panels[:2], panels[2:]]
    recorded = "recorder/updates" in record.arrays
    size = (3.5 * len(mosaic[0]), 2.6 * (len(mosaic) + recorded) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    upper: Any = figure
    if recorded:
        parts: Any = figure.subfigures(2, 1, height_ratios=[len(mosaic), 1])
        upper, lower = parts
        _plot_recording(lower, record)
    axes = upper.subplot_mosaic(mosaic, sharex=True, sharey=True)
    _plot_shares(axes[INITIAL], record, INITIAL, "Before training")
    if trained:
        _plot_shares(axes[TRAINED], record, TRAINED, "After training")
        axes[TRAINED].legend(
            title="answers right",
            title_fontsize=8,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )
    if undriven:
        _plot_undriven(axes["undriven"], record)
    if carousel:
        _plot_carousel(axes["carousel"], record)
    for panel in mosaic:
        axes[panel[0]].set_ylabel("share of the gradient left")
    handles, labels = axes[INITIAL].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def _variants(record: Record) -> list[Variant]:
    biases, lag = record.config["forget_bias"], record.config["lag"]
    return [
        variant
        for cell in record.config["cells"]
        for variant in variants_of(cell, biases, lag)
    ]


def _last_lag(record: Record) -> int:
    return len(record.arrays["lags"]) - 1


def _quartiles(shares: np.ndarray) -> np.ndarray:
    """Returns (3, lag) from (seed, lag, example)."""
    return decay.quartiles(shares, axis=(0, 2))


def _undrawn(quartiles: np.ndarray) -> str:
    """Returns why a curve has no place on a logarithmic axis, where it has none."""
    of_lags = quartiles[1, 1:]
    if np.isnan(of_lags).all():
        return f": {wording.OVERFLOW}"
    return f": {wording.LOST}" if (of_lags == -np.inf).all() else ""


def _plot_shares(axes: Axes, record: Record, when: str, title: str) -> None:
    for variant in _variants(record):
        name = f"{variant.label}/{when}"
        label = _legend(variant)
        if when == TRAINED:
            label = f"{record.arrays[f'{name}/accuracy'].mean():.2f}"
        quartiles = _quartiles(record.arrays[f"{name}/log_share"])
        label += _undrawn(quartiles)
        plots.share_curve(axes, quartiles, variant.cell, label, variant=variant.order)
    plots.log_axis(axes, _last_lag(record), title)
    if record.config["sequence"] is None:
        plots.mark_lag(axes, record.config["lag"], "scene")


def _plot_recording(figure: SubFigure, record: Record) -> None:
    """Draws training time against lag, one picture per variant."""
    variants, updates = _variants(record), record.arrays["recorder/updates"]
    panels = figure.subplots(1, len(variants), sharey=True, squeeze=False)[0]
    picture: Any = None
    for axes, variant in zip(panels, variants, strict=True):
        shares = record.arrays[f"{variant.label}/recorder/log_share"]
        picture = plots.time_lag_picture(axes, shares, updates)
        axes.set_title(_legend(variant), fontsize=8)
        axes.set_xlabel("lag")
    panels[0].set_ylabel("updates")
    bar = figure.colorbar(picture, ax=list(panels), label="share left, $\\log_{10}$")
    bar.outline.set_visible(False)


def _plot_undriven(axes: Axes, record: Record) -> None:
    shares, last_lag = record.arrays["undriven/log_share"], _last_lag(record)
    rates = record.arrays["undriven/ln_spectral_radius"]
    quartiles = _quartiles(shares)
    plots.share_curve(axes, quartiles, "rnn", "rnn")
    rate = float(np.median(rates))
    plots.predicted_line(axes, rate, last_lag, f"$\\ln\\,\\rho(W)$ = {rate:+.3f}")
    title = f"Before training: RNN without input{_undrawn(quartiles)}"
    plots.log_axis(axes, last_lag, title)


def _plot_carousel(axes: Axes, record: Record) -> None:
    last_lag = _last_lag(record)
    for variant in _variants(record):
        name = f"{variant.label}/{INITIAL}/log_carousel"
        if variant.forget_bias is None or name not in record.arrays:
            continue
        shares = record.arrays[name]
        plots.share_curve(
            axes,
            _quartiles(shares),
            variant.cell,
            _legend(variant),
            variant=variant.order,
        )
        rate = variant.carousel_rate
        if variant.cell == "lstm":
            plots.predicted_line(
                axes, rate, last_lag, f"$\\ln\\,\\sigma(b_f)$ = {rate:.3f}"
            )
    plots.log_axis(axes, last_lag, "Before training: forget gates alone")


def _legend(variant: Variant) -> str:
    names = {"rnn": "RNN", "lstm": "LSTM", "four_gate": "four-gate"}
    name = names.get(variant.cell, variant.cell)
    if variant.forget_bias is None:
        return name
    return f"{name}, $b_f$ = {variant.bias}"


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
