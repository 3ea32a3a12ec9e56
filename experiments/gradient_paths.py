"""Which path does the gradient take: the carousel, or a gate?

Question: at each step back, through which gate of the cell does the gradient of an
answer travel, before and after training; how much of the long-term memory's gradient
has met nothing but forget gates; how long do units remember; and how many of the last
steps make up an update?

  python -m experiments.gradient_paths
  python -m experiments.gradient_paths --cell=four_gate --forget_bias=1,3,matched
  python -m experiments.gradient_paths --lag=100 --num_steps=0

What is drawn. Networks watch the nature show (`lstm_jax/tasks/nature_show.py`), and the
margin of their last answer is differentiated, as in `experiments.gradient_decay`. Left:
the share <path, whole> / ||whole||² of every path (`lj.gradients.path_shares`), by the
place where the carry is read: what is kept ("cell"), or a gate; the mean over seeds and
shows, so that at each lag they add up to 1. Then, for the gradient of the long-term
memory: all of it, its carousel (the gradient entering the last step, times the forget
gates and nothing else) and the rest, total minus carousel, which took a gate at least
once; as shares of the total entering the last step, medians. Right: the time constants
-1 / mean ln f of the units.

Effective window: the last steps that bring 99 % of the summed norms ||dL/dW_t|| of the
training loss (`lj.gradients.effective_window`); it and the accuracies stand seed by
seed.

Expected, from theory for zero weights: the carousel keeps σ(b_f)**lag and the units
have the time constant -1 / ln σ(b_f): 3.2 steps at b_f = 1, and 139 at the bias matched
to lag 40, where 3/4 is left (https://arxiv.org/abs/1804.11188). With weights f_t
scatters around σ(b_f), and the carousel keeps what its most lasting units keep, which
is more than σ(b_f)**lag: in the default run 4e-4 at b_f = 1, against 4e-6. There it is
4 % of the whole before training; the rest came through g, the one gate that carries
much then. After training the carousel is about all there is. The update of the network
that solves the show is made of all 42 steps, that of the others of 4 to 10.

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
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import lstm_jax as lj
from experiments.common import cli, decay, memory_limit, records, training, wording
from experiments.common.cli import option
from experiments.common.progress import Advance, progress
from experiments.common.records import Record
from experiments.common.variants import MATCHED, Variant, variants_of
from lstm_jax import plots, readouts
from lstm_jax.gradients.carousel import (
    CarouselLogNorms,
    forget_factors,
    log_carousel_norms,
    unit_time_constants,
)
from lstm_jax.gradients.contributions import effective_window, log_weight_contributions
from lstm_jax.gradients.paths import path_shares
from lstm_jax.tasks.nature_show import RENDERINGS, margins
from lstm_jax.training import loop

NAME = "gradient_paths"
INITIAL, TRAINED = "initial", "trained"
WINDOW_FRACTION = 0.99
TEST_SHOWS = 512
MEASURING = 30  # updates that a measurement takes as long as
WITH_MEMORY = tuple(name for name, cell in lj.CELLS.items() if cell.memory)


@dataclass(frozen=True)
class Config:
    """What is measured; every field is a flag."""

    cell: str = option("lstm", cli.one_of(WITH_MEMORY), "cell with a kept memory")
    forget_bias: tuple[float | str, ...] = option(
        (1.0, MATCHED),
        cli.list_of(cli.either(MATCHED, cli.number())),
        f"biases of the forget gate, a row of the figure each; {MATCHED!r} is the one "
        "whose carousel keeps 3/4 over the lag",
    )
    lag: int = option(40, cli.integer(minimum=1), "steps between scene and question")
    hidden_size: int = option(64, cli.integer(minimum=1), "units of the cell")
    num_seeds: int = option(3, cli.integer(minimum=1), "networks per forget bias")
    num_steps: int = option(600, cli.integer(minimum=0), "updates of the training")
    batch_size: int = option(64, cli.integer(minimum=1), "shows per update")
    learning_rate: float = option(3e-3, cli.number(above=0), "of Adam")
    rendering: str = option("digits", cli.one_of(RENDERINGS), "the images")
    num_examples: int = option(
        32, cli.integer(minimum=1), "test shows that are measured"
    )
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Refuses what is not allowed."""
        cli.check(self)


class Measured(NamedTuple):
    """What is measured on networks, the first axes (variant, seed).

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
    arrays: dict[str, np.ndarray] = {"lags": np.arange(config.lag + 2)}
    rows, lines = [], []
    for index, variant in enumerate(_variants(config)):
        for when, measured in stages.items():
            of_variant = jax.tree.map(lambda leaf, k=index: leaf[k], measured)
            found = _by_lag(config.cell, of_variant)
            name = f"{variant.label}/{when}"
            arrays |= {f"{name}/{what}": array for what, array in found.items()}
            rows.append(_row(variant, when, config.lag, found))
            lines.append(_verdict_line(variant, when, config.lag, found))
    return Record(
        experiment=NAME,
        config=asdict(config),
        arrays=arrays,
        rows=rows,
        verdict=["", f"Lag {config.lag}:", *lines],
        made=records.provenance(time.monotonic() - start),
    )


def _check_memory(config: Config) -> None:
    """Refuses weights, shows, and memories at all steps that can't be held."""
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
    recipe = training.recipe_of(
        config,
        lj.CELLS[config.cell],
        lj.tasks.nature_show(config.rendering),
        config.lag + 2,
    )
    return training.trained_models(
        models,
        recipe,
        seed=config.seed,
        num_steps=config.num_steps,
        what=f"{config.cell}: training",
        advance=advance,
    )


def _measurer(config: Config) -> Callable[[loop.ModelParams], Measured]:
    """Returns a compiled function from networks, leaves (network, ...)."""
    cell, task = lj.CELLS[config.cell], lj.tasks.nature_show(config.rendering)
    length = config.lag + 2
    ambiguous = lj.tasks.nature_show(config.rendering, goldfish_rate=0.0)
    shows = ambiguous.sample_test(
        jax.random.key(config.seed), config.num_examples, length
    )
    batch = task.sample(jax.random.key(2), config.batch_size, length)
    jax.block_until_ready((shows, batch))

    def one(model):
        def score(ys):
            answers = readouts.linear(model.readout, ys[-1])
            return jnp.sum(margins(answers, shows.targets))

        def loss(ys):
            return task.loss(readouts.linear(model.readout, ys[-1]), batch)

        watching = cell, model.cell, shows.inputs
        contributions = log_weight_contributions(cell, model.cell, batch.inputs, loss)
        # The same test shows for every network, and none of those that are measured.
        test = lj.evaluate(
            jax.random.key(1), cell, task, model, batch_size=TEST_SHOWS, length=length
        )
        return Measured(
            shares=path_shares(*watching, score),
            norms=log_carousel_norms(*watching, score),
            time_constants=unit_time_constants(forget_factors(*watching)),
            log_contributions=lj.joint_log_norms(contributions),
            accuracy=test.accuracy,
        )

    return jax.jit(lambda models: jax.lax.map(one, models))


def _by_lag(cell: str, found: Measured) -> dict[str, np.ndarray]:
    """Returns the arrays of one variant; entry 0 of a lag is the last step.

    Shares and log-norms (seed, lag, example), contributions (seed, lag), time constants
    (seed, hidden), accuracy (seed,). Log-norms are relative to the total that enters
    the last step.
    """
    paths = ("cell", *lj.CELLS[cell].gates)
    shares = {f"share_{path}": found.shares[path][:, ::-1] for path in paths}
    norms = {
        f"log_{part}": decay.shares(norm, of=found.norms.total)
        for part, norm in found.norms._asdict().items()
    }
    return {
        **shares,
        **norms,
        "time_constants": found.time_constants,
        "log_contributions": found.log_contributions[:, ::-1],
        "accuracy": found.accuracy,
    }


def _row(
    variant: Variant, when: str, lag: int, found: dict[str, np.ndarray]
) -> dict[str, str]:
    rate = variant.carousel_rate
    constants = decay.quartiles(found["time_constants"])
    low, middle, high = (wording.steps(steps, "inf") for steps in constants)
    return {
        "cell": variant.label,
        "when": when,
        "cell path": _mean(_mean_shares(found)["cell"]),
        "total": _left(found, "total", lag),
        "carousel": _left(found, "carousel", lag),
        "σ(b_f)^lag": wording.power(rate * lag),
        "time constant": f"{middle} [{low}, {high}]",
        "-1/ln σ(b_f)": wording.steps(-1 / rate if rate else math.inf, "inf"),
        "effective window": " ".join("-" if n < 0 else str(n) for n in _window(found)),
        "accuracy": " ".join(f"{right:.2f}" for right in found["accuracy"]),
    }


def _verdict_line(
    variant: Variant, when: str, lag: int, found: dict[str, np.ndarray]
) -> str:
    paths = ", ".join(f"{path} {_mean(s)}" for path, s in _mean_shares(found).items())
    return (
        f"  {variant.label + ', ' + when + ':':<24} paths {paths}; "
        f"{_carousel(found, lag)}; {_update(found, lag)}"
    )


def _mean(shares: np.ndarray) -> str:
    """Returns the mean over the lags after the last step, where no path was taken."""
    mean = shares[1:].mean()
    return wording.OVERFLOW if np.isnan(mean) else f"{mean:z.2f}"


def _carousel(found: dict[str, np.ndarray], lag: int) -> str:
    kept, whole = (found[f"log_{part}"][:, lag] for part in ("carousel", "total"))
    if np.median(whole) == -np.inf:
        return "nothing of the whole is left at the lag"
    apart = wording.power(np.median(kept - whole))
    return f"the carousel is {apart} times the whole at the lag"


def _update(found: dict[str, np.ndarray], lag: int) -> str:
    window = _window(found)
    if (window < 0).any():
        return "the window of an update is no number"
    return f"an update is made of the last {np.median(window):.0f} steps of {lag + 2}"


def _mean_shares(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the share of every path, (lag,), which add up to 1 at each lag."""
    return {
        name.removeprefix("share_"): array.mean((0, 2))
        for name, array in found.items()
        if name.startswith("share_")
    }


def _left(found: dict[str, np.ndarray], part: str, lag: int) -> str:
    return wording.power(np.median(found[f"log_{part}"][:, lag]))


def _window(found: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the effective window of every seed."""
    in_time_order = jnp.asarray(found["log_contributions"][:, ::-1].T)
    return np.asarray(effective_window(in_time_order, WINDOW_FRACTION))


@plots.styled
def plot(record: Record) -> Figure:
    """Draws a row per forget bias: paths, carousel and rest, time constants."""
    config = record.config
    variants = variants_of(config["cell"], config["forget_bias"], config["lag"])
    stages = [INITIAL, TRAINED] if config["num_steps"] else [INITIAL]
    columns = [*(f"paths {when}" for when in stages), *stages, "units"]
    figure = Figure(
        figsize=(2.6 * len(columns), 2.3 * len(variants) + 0.6), layout="constrained"
    )
    axes = figure.subplots(len(variants), len(columns), squeeze=False)
    for row, variant in zip(axes, variants, strict=True):
        panels = dict(zip(columns, row, strict=True))
        for when in stages:
            found = _found(record, f"{variant.label}/{when}/")
            _plot_paths(panels[f"paths {when}"], found, config["lag"], when)
            _plot_parts(panels[when], found, variant, config["lag"], when)
        _plot_units(panels["units"], record, variant)
        panels[f"paths {INITIAL}"].set_ylabel(f"{_name(variant)}\nshare of the path")
    _share_y(axes[:, : len(stages)])
    _share_y(axes[:, len(stages) : 2 * len(stages)])
    for panel in axes[:-1].flat:
        panel.set_xlabel("")
    for panel in axes[1:].flat:
        panel.set_title("")
    return figure


WHEN = {INITIAL: "before training", TRAINED: "after training"}


def _plot_paths(axes: Axes, found: dict[str, np.ndarray], lag: int, when: str) -> None:
    plots.path_curves(axes, _mean_shares(found))
    axes.set_title(f"Paths {WHEN[when]}")
    axes.set_xlim(0, lag + 1)
    axes.set_xlabel("lag: steps before the last one")
    plots.mark_lag(axes, lag, "scene")
    if when == INITIAL:
        axes.legend(ncols=2)


PARTS = {"total": "all of it", "carousel": "carousel", "rest": "rest"}


def _plot_parts(
    axes: Axes, found: dict[str, np.ndarray], variant: Variant, lag: int, when: str
) -> None:
    for order, (part, label) in enumerate(PARTS.items()):
        quartiles = decay.quartiles(found[f"log_{part}"], axis=(0, 2))
        plots.share_curve(axes, quartiles, variant.cell, label, variant=order)
    rate = variant.carousel_rate
    plots.predicted_line(axes, rate, lag + 1, "$\\sigma(b_f)^{lag}$")
    plots.log_axis(axes, lag + 1, f"Gradient of the memory\n{WHEN[when]}")
    plots.mark_lag(axes, lag, "scene")
    if when == INITIAL:
        axes.legend()


def _plot_units(axes: Axes, record: Record, variant: Variant) -> None:
    colours = {INITIAL: plots.GREY, TRAINED: plots.colour_of(variant.cell)}
    for when, colour in colours.items():
        constants = record.arrays.get(f"{variant.label}/{when}/time_constants")
        if constants is not None:
            plots.cumulative_curve(axes, constants.ravel(), WHEN[when], color=colour)
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
    """Returns the whole powers of ten around 99 % of all that an axis can show."""
    names = [name for name in record.arrays if name.endswith("/time_constants")]
    values = np.concatenate([record.arrays[name].ravel() for name in names])
    shown = values[np.isfinite(values) & (values > 0)]
    if not shown.size:
        return 1.0, 10.0
    low, high = np.floor(np.log10(np.percentile(shown, (0.5, 99.5))))
    return 10.0**low, 10.0 ** (high + 1)


def _found(record: Record, prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in record.arrays.items()
        if name.startswith(prefix)
    }


def _share_y(panels: np.ndarray) -> None:
    """Gives the panels of a row the same y axis, its labels on the first."""
    for row in panels:
        limits = np.array([panel.get_ylim() for panel in row])
        for panel in row:
            panel.set_ylim(limits[:, 0].min(), limits[:, 1].max())
        for panel in row[1:]:
            panel.tick_params(labelleft=False)


def _name(variant: Variant) -> str:
    bias = variant.bias
    return variant.cell + (f", $b_f$ = {bias}" if bias else "")


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
