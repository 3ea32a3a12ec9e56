"""Trains and measures every cell: networks in, a record out."""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

import lstm_jax as lj
from experiments.common import (
    decay,
    first_scene,
    gradient_shares,
    memory_limit,
    own_data,
    records,
    report,
    saturation,
    sequences,
    training,
)
from experiments.common.cores import on_all_cores
from experiments.common.first_scene import Kept, TwoShows
from experiments.common.gradient_shares import Measured, Watched
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record
from experiments.common.report import INITIAL, TRAINED
from experiments.common.variants import Variant, variants_of
from experiments.figures.gradient_decay import plot as plot
from experiments.gradient_decay import bear, networks
from experiments.gradient_decay.config import DEFAULT_LAG, Config
from lstm_jax import theory
from lstm_jax.tasks.nature_show import ANSWERS
from lstm_jax.training import loop

NAME = "gradient_decay"
MEASURING = 20  # the updates that take as long as one measurement


class Studied(NamedTuple):
    """What was found; variants are the first axis of all arrays.

    Attributes:
      variants: cells with their forget biases.
      stages: by INITIAL and, after training, TRAINED; leaves (variant, seed, ...).
      recorded: medians of the log shares during training, (variant, update, lag); None
        without a recorder.
      signal: (variant, seed, 2), first-step signal over noise and the smallest that can
        be told from zero; None without a task.
      kept: of the first scene by trained networks, leaves (variant, seed, ...); None
        unless the figure is the bear's.
    """

    variants: list[Variant]
    stages: dict[str, Measured]
    recorded: np.ndarray | None
    signal: np.ndarray | None
    kept: Kept | None


def run(config: Config) -> Record:
    """Trains, measures and returns the record."""
    start = time.monotonic()
    config = own_data.pinned(config)
    learnt = own_data.learnt(config) if config.data else None
    _check_memory(config)
    with jax.enable_x64(config.dtype == "float64"):
        watched, shows = on_all_cores(
            [partial(_tested, config), partial(bear.two_shows, config)]
        )
        training_units = config.num_steps + MEASURING if config.trains else 0
        with progress(len(config.cells) * (MEASURING + training_units)) as advance:
            # Of the default cells the later ones take longer, and are begun first.
            *studies, far, undriven = on_all_cores(
                [
                    *(
                        partial(_study, config, watched, shows, name, advance)
                        for name in reversed(config.cells)
                    ),
                    partial(bear.far_curves, config),
                    partial(_undriven, config, watched),
                ]
            )
    found = _joined(studies[::-1])
    arrays = _quantities(found) | undriven | far.arrays | bear.shown(shows)
    return records.new(
        NAME,
        asdict(config)
        | {"lag": watched.lag}
        | (learnt.said if learnt else sequences.in_record(watched.read)),
        start,
        arrays,
        axes={
            "variant": [variant.entry for variant in found.variants],
            "stage": found.stages,
            "columns": saturation.Saturation._fields,
            "update": range(0, config.num_steps + 1, config.recorder or 1),
            "scene": first_scene.SCENES,
            "answer": ANSWERS,
            **far.axes,
        },
        rows=_rows(found),
        verdict=[
            "",
            f"Verdict for lag {watched.lag}, from untrained networks (medians over "
            f"{config.num_seeds} seeds and the sequences):",
            *_verdict_lines(found, watched),
            *(learnt.verdict if learnt else sequences.in_words(watched.read)),
            *_of_inputs(arrays.get("saturation"), watched),
        ],
    )


def _check_memory(config: Config) -> None:
    """Refuses weights, shows and carries of all steps that don't fit into memory."""
    inputs, steps = lj.tasks.nature_show(config.rendering).input_size, "lag"
    if config.data is not None:
        inputs, steps = own_data.task_of(config).input_size, "window"
    arrays = [("num_seeds", "hidden_size", "hidden_size")]
    if config.sequence is None:
        watched = steps, "num_examples"
        arrays += [(*watched, inputs), ("num_seeds", *watched, "hidden_size")]
    if config.trains:
        drawn = steps, "batch_size"
        arrays += [(*drawn, inputs), ("num_seeds", *drawn, "hidden_size")]
    if config.shows_the_bear:
        far = bear.FAR_LAG, "num_examples"
        arrays += [(*far, inputs), ("num_seeds", *far, "hidden_size")]
    memory_limit.check(asdict(config) | {"lag": config.lag or DEFAULT_LAG}, arrays)


def _tested(config: Config) -> Watched:
    return gradient_shares.with_tests(networks.watched_in(config))


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


def _study(
    config: Config,
    watched: Watched,
    shows: TwoShows | None,
    name: str,
    advance: Advance,
) -> Studied:
    """Measures one cell at all its forget biases, before and after training."""
    cell = networks.cell_of(config, name)
    variants = variants_of(name, config.biases, watched.lag)
    models = networks.initial_models(config, watched, name)
    advance(f"{name}: measuring", 0)
    measure = gradient_shares.measurer(cell, watched)
    stages = {INITIAL: jax.block_until_ready(measure(models))}
    signal = None
    if not config.shows_the_bear:  # whose figure is to be there within a minute
        batch = config.batch_size
        signal = gradient_shares.signal_to_noise(cell, watched, models, batch)
    recording: dict[int, np.ndarray] = {}
    advance(f"{name}: measured", MEASURING)
    if config.trains:
        training_of = partial(_trained_models, config, watched, name)
        models, recording = training_of(models, measure, advance)
        stages[TRAINED] = jax.block_until_ready(measure(models))
        advance(f"{name}: measured", MEASURING)
    shape = (len(variants), config.num_seeds)
    kept = None if shows is None else first_scene.kept(cell, models, shows)
    recorded = [_medians(norms, shape) for norms in recording.values()]
    return Studied(
        variants=variants,
        stages={
            when: gradient_shares.unflatten(found, shape)
            for when, found in stages.items()
        },
        recorded=np.stack(recorded, axis=1) if recorded else None,
        signal=None if signal is None else signal.reshape(*shape, 2),
        kept=gradient_shares.unflatten(kept, shape),
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


def _trained_models(
    config: Config,
    watched: Watched,
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

    cell, steps = networks.cell_of(config, name), len(watched.inputs)
    trained = training.trained_models(
        models,
        training.recipe_of(config, cell, networks.task_of(config), steps),
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
    if config.shows_the_bear:
        return {}
    models = networks.initial_models(config, watched, "rnn")
    silence = gradient_shares.silence_like(watched)
    found = gradient_shares.measurer(networks.cell_of(config, "rnn"), silence)(models)
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
    if found.kept is not None:
        difference, answers = found.kept
        axes = ("variant", "seed", "time", "unit")
        arrays["scene_difference"] = Quantity(difference, axes, "1")
        axes = ("variant", "seed", "scene", "answer")
        arrays["scene_answer"] = Quantity(answers, axes, "1")
    if found.recorded is not None:
        axes = ("variant", "update", "lag")
        arrays["recorded_log_share"] = Quantity(found.recorded, axes, "nats")
    return arrays


def _rows(found: Studied) -> list[dict[str, str]]:
    return report.without_columns_that_say_nothing(
        [
            report.row(variant, when, measured.of_variant(k))
            for k, variant in enumerate(found.variants)
            for when, measured in found.stages.items()
        ]
    )


def _verdict_lines(found: Studied, watched: Watched) -> list[str]:
    right = "right" if watched.targets is not None else "within half a deviation"
    return [
        report.verdict_line(
            variant,
            {when: measured.of_variant(k) for when, measured in found.stages.items()},
            None if found.signal is None else found.signal[k],
            watched.lag,
            right,
        )
        for k, variant in enumerate(found.variants)
    ]
