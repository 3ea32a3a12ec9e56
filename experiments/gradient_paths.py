"""Which path does the gradient take: the carousel, or a gate?

Question: at each step back, through which gate of the cell does the gradient of an
answer travel, before and after training; how much of the long-term memory's gradient
has passed through forget gates alone; how long do units remember; and how many of the
last steps make up an update?

  python -m experiments.gradient_paths
  python -m experiments.gradient_paths --cell=four_gate --forget_bias=1,3,matched
  python -m experiments.gradient_paths --lag=100 --num_steps=0

What is drawn. Networks watch the nature show (`lstm_jax/tasks/nature_show.py`), and the
margin of their last answer is differentiated, as in `experiments.gradient_decay`.
Above: the share <path, whole> / ||whole||² of every path (`lj.gradients.path_shares`),
named after where the step reads the carry: what it keeps ("cell"), or a gate; the mean
over seeds and shows, so that the shares at each lag add up to 1. Below, the gradient of
the long-term memory: all of it, its carousel (the gradient entering the last step times
the forget gates alone) and the rest, total minus carousel, which passed through another
gate at least once; medians, as shares of the total entering the last step. Right: the
time constants -1 / mean ln f of the units.

Effective window: the last steps that contribute 99 % of the summed norms ||dL/dW_t|| of
the training loss (`lj.gradients.effective_window`). The table gives it and the accuracy
for every seed.

Expected, from theory for zero weights: the carousel keeps σ(b_f)**lag and the units
have the time constant -1 / ln σ(b_f): 3.2 steps at b_f = 1, and 139 at the bias matched
to lag 40, where 3/4 is left (https://arxiv.org/abs/1804.11188). With weights f_t
scatters around σ(b_f), and the carousel keeps what its slowest units keep, which is
more than σ(b_f)**lag: in the default run 4e-4 at b_f = 1, against 4e-6. Before training
that is 4 % of the whole; the rest comes through g, the only gate that carries much
then. After training the carousel is nearly everything. The update of the network that
solves the show is made of all 42 steps, those of the others of 4 to 10.

Sources: the carousel, Hochreiter & Schmidhuber (1997),
https://doi.org/10.1162/neco.1997.9.8.1735; gates as time constants, Tallec & Ollivier
(2018), https://arxiv.org/abs/1804.11188. The split into paths is this project's own.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

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
    statistics,
    training,
    wording,
)
from experiments.common.cli import option
from experiments.common.gradient_shares import sampled
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record, take
from experiments.common.report import INITIAL, TRAINED
from experiments.common.variants import Variant, forget_biases, variant_of, variants_of
from experiments.figures.gradient_paths import plot
from lstm_jax import readouts
from lstm_jax.gradients.carousel import (
    CarouselLogNorms,
    forget_factors,
    log_carousel_norms,
    unit_time_constants,
)
from lstm_jax.gradients.contributions import effective_window
from lstm_jax.gradients.paths import path_shares
from lstm_jax.tasks.nature_show import RENDERINGS, margins
from lstm_jax.training import loop

NAME = "gradient_paths"
WINDOW_FRACTION = 0.99
TEST_SHOWS = 512
MEASURING = 30  # the updates that take as long as one measurement
WITH_MEMORY = tuple(name for name, cell in lj.CELLS.items() if cell.memory)


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    cell: str = option("lstm", cli.one_of(WITH_MEMORY), "cell that keeps a memory")
    forget_bias: tuple[float | str, ...] = forget_biases()
    lag: int = option(40, cli.integer(minimum=1), "steps between scene and question")
    hidden_size: int = option(64, cli.integer(minimum=1), "units of the cell")
    num_seeds: int = option(3, cli.integer(minimum=1), "networks per forget bias")
    num_steps: int = option(600, cli.integer(minimum=0), "training updates")
    batch_size: int = option(64, cli.integer(minimum=1), "shows per update")
    learning_rate: float = option(3e-3, cli.number(above=0), "for Adam")
    rendering: str = option("digits", cli.one_of(RENDERINGS), "the images")
    num_examples: int = option(32, cli.integer(minimum=1), "test shows measured")
    seed: int = option(0, cli.seed(), "everything random follows from it")


class Measured(NamedTuple):
    """What is measured on networks; the first axes are (variant, seed).

    Attributes:
      shares: of every path, (..., time, example).
      norms: of the long-term memory's gradient, leaves (..., time, example).
      time_constants: of the units, in steps, (..., hidden).
      log_contributions: ln ||dL/dW_t|| of all weights together, (..., time).
      accuracy: on test shows, (...).
    """

    shares: dict[str, Any]
    norms: CarouselLogNorms
    time_constants: Any
    log_contributions: Any
    accuracy: Any


def run(config: Config) -> Record:
    """Trains, measures and returns the record."""
    start = time.monotonic()
    _check_memory(config)
    total = config.num_steps + MEASURING * (2 if config.num_steps else 1)
    with progress(total) as advance:
        stages = _stages(config, advance)
    record = records.new(
        NAME,
        asdict(config),
        start,
        _quantities(config, stages),
        axes={
            "variant": [variant.entry for variant in _variants(config)],
            "stage": stages,
            "path": _paths(config),
            "part": CarouselLogNorms._fields,
        },
    )
    return record._replace(rows=rows(record), verdict=verdict(record))


def _check_memory(config: Config) -> None:
    """Refuses weights, shows and carries of all steps that don't fit into memory."""
    images = lj.tasks.nature_show(config.rendering).input_size
    watched, drawn = ("lag", "num_examples"), ("lag", "batch_size")
    arrays = [
        ("num_seeds", "hidden_size", "hidden_size"),
        *[(*watched, images), (*watched, "hidden_size")],
        *[(*drawn, images), (*drawn, "hidden_size")],
    ]
    memory_limit.check(asdict(config), arrays)


def _variants(config: Config) -> list[Variant]:
    return variants_of(config.cell, config.forget_bias, config.lag)


def _stages(config: Config, advance: Advance) -> dict[str, Measured]:
    """Measures all networks, trains them, and measures again."""
    models = _initial_models(config)
    measure = _measurer(config)
    advance(f"{config.cell}: measuring", 0)
    stages = {INITIAL: jax.block_until_ready(measure(models))}
    advance(f"{config.cell}: measured", MEASURING)
    if config.num_steps:
        models = _trained_models(config, models, advance)
        stages[TRAINED] = jax.block_until_ready(measure(models))
        advance(f"{config.cell}: measured", MEASURING)

    def of_variants(leaf):
        return np.asarray(leaf).reshape(-1, config.num_seeds, *leaf.shape[1:])

    return jax.tree.map(of_variants, stages)


def _initial_models(config: Config) -> loop.ModelParams:
    """Returns untrained networks, leaves (variant * seed, ...)."""
    task = lj.tasks.nature_show(config.rendering)
    return training.initial_models(
        _variants(config),
        jax.random.split(jax.random.key(config.seed), config.num_seeds),
        lj.CELLS[config.cell],
        (task.input_size, config.hidden_size, task.output_size),
    )


def _trained_models(
    config: Config, models: loop.ModelParams, advance: Advance
) -> loop.ModelParams:
    cell, task = lj.CELLS[config.cell], lj.tasks.nature_show(config.rendering)
    return training.trained_models(
        models,
        training.recipe_of(config, cell, task, config.lag + 2),
        seed=config.seed,
        num_steps=config.num_steps,
        what=f"{config.cell}: training",
        advance=advance,
    )


def _measurer(config: Config) -> Callable[[loop.ModelParams], Measured]:
    """Returns a compiled function from networks to `Measured`, network axis first."""
    cell, task = lj.CELLS[config.cell], lj.tasks.nature_show(config.rendering)
    length = config.lag + 2
    ambiguous = lj.tasks.nature_show(config.rendering, goldfish_rate=0.0)
    key = jax.random.key(config.seed)
    shows = sampled(ambiguous.sample_test, key, config.num_examples, length)
    batch = sampled(task.sample, jax.random.key(2), config.batch_size, length)

    def one(model):
        def score(ys):
            answers = readouts.linear(model.readout, ys[-1])
            return jnp.sum(margins(answers, shows.targets))

        watching = cell, model.cell, shows.inputs
        # The same test shows for every network, and none of those that are measured.
        test = lj.evaluate(
            jax.random.key(1), cell, task, model, batch_size=TEST_SHOWS, length=length
        )
        return Measured(
            shares=path_shares(*watching, score),
            norms=log_carousel_norms(*watching, score),
            time_constants=unit_time_constants(forget_factors(*watching)),
            log_contributions=gradient_shares.log_contributions(
                cell, task, model, batch
            ),
            accuracy=test.accuracy,
        )

    return jax.jit(lambda models: jax.lax.map(one, models))


def _paths(config: Config) -> list[str]:
    return ["cell", *lj.CELLS[config.cell].gates]


def _quantities(config: Config, stages: dict[str, Measured]) -> dict[str, Quantity]:
    """Returns the arrays; log shares are relative to the total at the last step."""
    found = jax.tree.map(lambda *of: np.stack(of, axis=1), *stages.values())
    shares = [decay.by_lag(found.shares[path]) for path in _paths(config)]
    parts = [decay.shares(part, of=found.norms.total) for part in found.norms]
    of_stage, networks = ("variant", "stage"), ("variant", "stage", "seed")
    curves = ("seed", "example", "lag")
    contributions = found.log_contributions[..., ::-1]
    return {
        "path_share": Quantity(np.stack(shares, 2), (*of_stage, "path", *curves), "1"),
        "log_share": Quantity(np.stack(parts, 2), (*of_stage, "part", *curves), "nats"),
        "time_constant": Quantity(found.time_constants, (*networks, "unit"), "steps"),
        "log_contribution": Quantity(contributions, (*networks, "lag"), "nats"),
        "accuracy": Quantity(found.accuracy, networks, "1"),
    }


def rows(record: Record) -> list[dict[str, str]]:
    """Returns the table: one row per variant and stage."""
    return [_row(record, **at) for at in _entries(record)]


def verdict(record: Record) -> list[str]:
    """Returns the lines for the reader."""
    lines = [_verdict_line(record, **at) for at in _entries(record)]
    return ["", f"Lag {record.config['lag']}:", *lines]


def _entries(record: Record) -> list[dict[str, Any]]:
    return [
        {"variant": variant, "stage": when}
        for variant in record.axes["variant"]
        for when in record.axes["stage"]
    ]


def _row(record: Record, **at: Any) -> dict[str, str]:
    lag, rate = record.config["lag"], variant_of(at["variant"]).carousel_rate
    constants = statistics.quartiles(take(record, "time_constant", **at))
    low, middle, high = (wording.steps(steps, "inf") for steps in constants)
    window = _window(record, **at)
    return {
        "cell": at["variant"]["label"],
        "when": at["stage"],
        "cell path": _mean(take(record, "path_share", path="cell", **at)),
        "total": wording.power(np.median(_part(record, "total", **at))),
        "carousel": wording.power(np.median(_part(record, "carousel", **at))),
        "σ(b_f)^lag": wording.power(rate * lag),
        "time constant": f"{middle} [{low}, {high}]",
        "-1/ln σ(b_f)": wording.steps(-1 / rate if rate else math.inf, "inf"),
        "effective window": " ".join("-" if n < 0 else str(n) for n in window),
        "accuracy": " ".join(f"{n:.2f}" for n in take(record, "accuracy", **at)),
    }


def _verdict_line(record: Record, **at: Any) -> str:
    shares = take(record, "path_share", **at)
    pairs = zip(record.axes["path"], shares, strict=True)
    paths = ", ".join(f"{path} {_mean(share)}" for path, share in pairs)
    name = f"{at['variant']['label']}, {at['stage']}:"
    return (
        f"  {name:<24} paths {paths}; {_carousel(record, **at)}; "
        f"{_update(record, **at)}"
    )


def _mean(shares: np.ndarray) -> str:
    """Returns the mean over the lags, except lag 0, where no path was taken yet."""
    mean = shares[..., 1:].mean()
    return wording.OVERFLOW if np.isnan(mean) else f"{mean:z.2f}"


def _part(record: Record, part: str, **at: Any) -> np.ndarray:
    """Returns a part's log share at the configured lag, (seed, example)."""
    return take(record, "log_share", part=part, lag=record.config["lag"], **at)


def _carousel(record: Record, **at: Any) -> str:
    kept, whole = (_part(record, part, **at) for part in ("carousel", "total"))
    if np.median(whole) == -np.inf:
        return "nothing of the whole is left at the lag"
    apart = wording.power(np.median(kept - whole))
    return f"the carousel is {apart} times the whole at the lag"


def _update(record: Record, **at: Any) -> str:
    window, num_steps = _window(record, **at), len(record.axes["lag"])
    if (window < 0).any():
        return "the window of an update is not a number"
    return f"an update is made of the last {np.median(window):.0f} steps of {num_steps}"


def _window(record: Record, **at: Any) -> np.ndarray:
    """Returns the effective window of every seed."""
    contributions = take(record, "log_contribution", **at)
    in_time_order = jnp.asarray(contributions[:, ::-1].T)
    return np.asarray(effective_window(in_time_order, WINDOW_FRACTION))


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
