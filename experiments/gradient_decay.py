"""How much of the last step's gradient reaches the first?

Question: on sequences of real images, how does the gradient of the last prediction with
respect to the memory fade with the lag, before and after training; and what does that
say about the lag you ask for?

  python -m experiments.gradient_decay
  python -m experiments.gradient_decay --cells=lstm --lag=200 --num_steps=0
  python -m experiments.gradient_decay --sequence=mine.csv
  python -m experiments.gradient_decay --recorder=30

What is drawn. A network watches the nature show (`lstm_jax/tasks/nature_show.py`) and
answers at the last step. The margin, the logit of the right answer minus that of the
wrong animal, is differentiated with respect to the memory (all of the carry) that
enters each step; drawn is the share, norm at that step / norm entering the last step.
In the record that is `log_share` (variant, stage, seed, example, lag), in the figure
(`experiments/figures/gradient_decay.py`) the upper panels; the lower ones are an RNN
without input and the forget gates alone, with what theory says.
The margin and not the loss, whose gradient is small after training because the task is
solved, not because memory fades. Your own sequence has no right answer: a random
direction of the last output is differentiated, and nothing is trained.

Expected (`experiments/reference/gradient_decay/`, the default run; README quotes it):
untrained, the gradient at lag 40 is lost in an RNN and mostly lost in an LSTM at forget
bias 1; at the matched bias it arrives. After training it arrives in the networks that
solve the task. Among the biases of an LSTM the initial curve tells which one learns;
across cells it need not.

Sources: Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735;
Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063; the carousel's bias
ln(lag - 1): Tallec & Ollivier (2018), https://arxiv.org/abs/1804.11188.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

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
)
from experiments.common.cli import ConfigError, option
from experiments.common.gradient_shares import Measured, Watched
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record
from experiments.common.report import INITIAL, TRAINED
from experiments.common.sequence_file import read_sequence
from experiments.common.variants import TAUGHT, Variant, forget_biases, variants_of
from experiments.figures.gradient_decay import plot
from lstm_jax import initializers, theory
from lstm_jax.cells.rnn import ACTIVATIONS
from lstm_jax.tasks.nature_show import RENDERINGS
from lstm_jax.training import loop

NAME = "gradient_decay"
DEFAULT_LAG = 40
MEASURING = 20  # the updates that take as long as one measurement


@dataclass(frozen=True)
class Config(cli.Flags):
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
        "training updates; with 0, or a --sequence, nothing is trained",
    )
    batch_size: int = option(64, cli.integer(minimum=1), "sequences per update")
    learning_rate: float = option(3e-3, cli.number(above=0), "for Adam")
    recorder: int = option(
        0,
        cli.integer(minimum=0),
        "updates between two recordings of the curve during training, drawn as a "
        "picture of training time and lag; 0 for none",
    )
    gain: float = option(1.0, cli.number(), "factor on the recurrent weights")
    forget_bias: tuple[float | str, ...] = forget_biases()
    activation: str = option("tanh", cli.one_of(ACTIVATIONS), "for the RNN")
    recurrent_init: str = option(
        "orthogonal", cli.one_of(initializers.INITIALIZERS), "recurrent weights"
    )
    rendering: str = option("digits", cli.one_of(RENDERINGS), "the images")
    sequence: str | None = option(
        None,
        cli.optional(cli.text()),
        "FILE.npy or FILE.csv, (time, input) numbers, measured instead of the show",
    )
    num_examples: int = option(32, cli.integer(minimum=1), "test sequences measured")
    dtype: str = option(
        "float32", cli.one_of(("float32", "float64", "bfloat16")), "for all weights"
    )
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Checks each field, and those that depend on one another."""
        super().__post_init__()
        if self.recorder and not self.trains:
            raise ConfigError(
                f"recorder: got {self.recorder}; it must be 0 with num_steps=0 or a "
                "sequence, where nothing is trained"
            )
        if self.recorder and self.num_steps % self.recorder:
            raise ConfigError(
                f"recorder: got {self.recorder}; it must divide num_steps, "
                f"{self.num_steps}"
            )

    @property
    def trains(self) -> bool:
        """Whether networks are trained; nothing can be learnt from a sequence."""
        return self.sequence is None and self.num_steps > 0


class Studied(NamedTuple):
    """What was found; variants are the first axis of all arrays.

    Attributes:
      variants: cells with their forget biases.
      stages: by INITIAL and, after training, TRAINED; leaves (variant, seed, ...).
      recorded: medians of the log shares during training, (variant, update, lag); None
        without a recorder.
      signal: (variant, seed, 2), first-step signal over noise and the smallest that can
        be told from zero; None without a task.
    """

    variants: list[Variant]
    stages: dict[str, Measured]
    recorded: np.ndarray | None
    signal: np.ndarray | None


def run(config: Config) -> Record:
    """Trains, measures and returns the record."""
    start = time.monotonic()
    _check_memory(config)
    with jax.enable_x64(config.dtype == "float64"):
        watched = watched_in(config)
        undriven, studies = _undriven(config, watched), []
        training_units = config.num_steps + MEASURING if config.trains else 0
        with progress(len(config.cells) * (MEASURING + training_units)) as advance:
            for name in config.cells:
                studies.append(_study(config, watched, name, advance))
    found = _joined(studies)
    arrays = _quantities(found) | undriven
    return records.new(
        NAME,
        asdict(config) | {"lag": watched.lag},
        start,
        arrays,
        axes={
            "variant": [variant.entry for variant in found.variants],
            "stage": found.stages,
            "columns": saturation.Saturation._fields,
            "update": range(0, config.num_steps + 1, config.recorder or 1),
        },
        rows=_rows(found),
        verdict=[
            "",
            f"Verdict for lag {watched.lag}, from untrained networks (medians over "
            f"{config.num_seeds} seeds and the sequences):",
            *_verdict_lines(found, watched.lag),
            *_of_inputs(arrays.get("saturation"), watched),
        ],
    )


def _check_memory(config: Config) -> None:
    """Refuses weights, shows and carries of all steps that don't fit into memory."""
    images = lj.tasks.nature_show(config.rendering).input_size
    arrays = [("num_seeds", "hidden_size", "hidden_size")]
    if config.sequence is None:
        watched = "lag", "num_examples"
        arrays += [(*watched, images), ("num_seeds", *watched, "hidden_size")]
    if config.trains:
        drawn = "lag", "batch_size"
        arrays += [(*drawn, images), ("num_seeds", *drawn, "hidden_size")]
    memory_limit.check(asdict(config) | {"lag": config.lag or DEFAULT_LAG}, arrays)


def watched_in(config: Config) -> Watched:
    """Returns test shows, or the sequence that was given."""
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


def _of_inputs(saturated: Quantity | None, watched: Watched) -> list[str]:
    """Returns how the user's own sequence saturates the worst affected variant."""
    if saturated is None:
        return []
    medians = np.median(saturated.values, axis=2).reshape(-1, 2)
    known = [pair for pair in medians if np.isfinite(pair).all()]
    if not known:
        return []
    given, standardised = max(known, key=lambda pair: pair[0] - pair[1])
    return saturation.in_words(given, standardised, np.asarray(watched.inputs))


def _cell_of(config: Config, name: str) -> lj.Cell:
    return lj.rnn(config.activation) if name == "rnn" else lj.CELLS[name]


def _study(config: Config, watched: Watched, name: str, advance: Advance) -> Studied:
    """Measures one cell at all its forget biases, before and after training."""
    cell = _cell_of(config, name)
    variants = variants_of(name, config.forget_bias, watched.lag)
    models = initial_models(config, watched, name)
    advance(f"{name}: measuring", 0)
    measure = gradient_shares.measurer(cell, watched)
    stages = {INITIAL: jax.block_until_ready(measure(models))}
    signal = gradient_shares.signal_to_noise(cell, watched, models, config.batch_size)
    recording: dict[int, np.ndarray] = {}
    advance(f"{name}: measured", MEASURING)
    if config.trains:
        models, recording = _trained_models(config, name, models, measure, advance)
        stages[TRAINED] = jax.block_until_ready(measure(models))
        advance(f"{name}: measured", MEASURING)
    shape = (len(variants), config.num_seeds)
    recorded = [_medians(norms, shape) for norms in recording.values()]
    return Studied(
        variants=variants,
        stages={
            when: gradient_shares.unflatten(found, shape)
            for when, found in stages.items()
        },
        recorded=np.stack(recorded, axis=1) if recorded else None,
        signal=None if signal is None else signal.reshape(*shape, 2),
    )


def _medians(log_norms: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns log shares, (variant, lag), from (variant * seed, time, example)."""
    shares = decay.shares(log_norms)
    return np.median(shares.reshape(*shape, *shares.shape[1:]), axis=(1, 2))


def _joined(studies: list[Studied]) -> Studied:
    """Returns the studies of all cells as one."""
    variants = [variant for study in studies for variant in study.variants]
    of_leaves = [study._replace(variants=[]) for study in studies]
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *of_leaves)
    return joined._replace(variants=variants)


def initial_models(config: Config, watched: Watched, name: str) -> loop.ModelParams:
    """Returns untrained networks, leaves (variant * seed, ...)."""
    key = jax.random.fold_in(jax.random.key(config.seed), list(lj.CELLS).index(name))
    num_answers = 1 if watched.task is None else watched.task.output_size
    return training.initial_models(
        variants_of(name, config.forget_bias, watched.lag),
        jax.random.split(key, config.num_seeds),
        _cell_of(config, name),
        (watched.inputs.shape[-1], config.hidden_size, num_answers),
        gain=config.gain,
        recurrent_init=initializers.INITIALIZERS[config.recurrent_init],
        dtype=jnp.dtype(config.dtype),
    )


def _trained_models(
    config: Config,
    name: str,
    models: loop.ModelParams,
    measure: Callable[[loop.ModelParams], Measured],
    advance: Advance,
) -> tuple[loop.ModelParams, dict[int, np.ndarray]]:
    """Returns trained networks and, by update, the log-norms recorded meanwhile."""
    recording: dict[int, np.ndarray] = {}

    def record(update, states):
        if config.recorder and update % config.recorder == 0:
            recording[update] = np.asarray(measure(states.params).log_norms)

    cell, task = _cell_of(config, name), lj.tasks.nature_show(config.rendering)
    length = (config.lag or DEFAULT_LAG) + 2
    trained = training.trained_models(
        models,
        training.recipe_of(config, cell, task, length),
        seed=config.seed,
        num_steps=config.num_steps,
        what=f"{name}: training",
        advance=advance,
        every=config.recorder or None,
        between=record,
    )
    return trained, recording


def _undriven(config: Config, watched: Watched) -> dict[str, Quantity]:
    """Measures the untrained RNN on zero inputs, where theory predicts ln ρ(W).

    If φ(0) = 0 and φ'(0) = 1, φ is the identity to first order at h = 0, and every
    Jacobian is W_hh itself. Other activations have no such line.
    """
    if "rnn" not in config.cells or config.activation not in ("tanh", "linear"):
        return {}
    models = initial_models(config, watched, "rnn")
    silence = gradient_shares.silence_like(watched)
    found = gradient_shares.measurer(_cell_of(config, "rnn"), silence)(models)
    w_hh = np.asarray(models.cell.w_hh, np.float64)
    (shares,) = np.moveaxis(decay.shares(found.log_norms), -2, 0)
    rates = theory.spectral_radius_rate(w_hh)
    return {
        "undriven_log_share": Quantity(shares, ("seed", "lag"), "nats"),
        "undriven_ln_spectral_radius": Quantity(rates, ("seed",), "nats/step"),
    }


def _quantities(found: Studied) -> dict[str, Quantity]:
    """Returns the arrays of the record, except those of the undriven RNN."""
    networks = ("variant", "stage", "seed")
    curves = (*networks, "example", "lag")
    leaves = found.stages.values()
    of_all = jax.tree.map(lambda *stages: np.stack(stages, axis=1), *leaves)
    shares = decay.shares(of_all.log_norms)
    arrays = {"log_share": Quantity(shares, curves, "nats")}
    if np.isfinite(of_all.log_carousel).any():
        carousel = decay.by_lag(of_all.log_carousel)
        arrays["log_carousel"] = Quantity(carousel, curves, "nats")
    if of_all.accuracy is not None:
        arrays["accuracy"] = Quantity(of_all.accuracy, networks, "1")
    if of_all.saturation is not None:
        saturated = np.stack(of_all.saturation, axis=-1)
        arrays["saturation"] = Quantity(saturated, (*networks, "columns"), "1")
    if found.recorded is not None:
        axes = ("variant", "update", "lag")
        arrays["recorded_log_share"] = Quantity(found.recorded, axes, "nats")
    return arrays


def _rows(found: Studied) -> list[dict[str, str]]:
    return [
        report.row(variant, when, measured.of_variant(k))
        for k, variant in enumerate(found.variants)
        for when, measured in found.stages.items()
    ]


def _verdict_lines(found: Studied, lag: int) -> list[str]:
    return [
        report.verdict_line(
            variant,
            {when: measured.of_variant(k) for when, measured in found.stages.items()},
            None if found.signal is None else found.signal[k],
            lag,
        )
        for k, variant in enumerate(found.variants)
    ]


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
