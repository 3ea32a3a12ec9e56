"""How far back does each family of memories reach, before and after training?

Question: of cells that multiply their memory by a dense matrix, by gates, by numbers of
the event, by reflections or by exponential gates, how much of an answer's gradient is
left at every lag; which of them learn to keep a scene that long; and how many steps
make up an update?

  python -m experiments.families
  python -m experiments.families --cells=lstm,gru,min_gru --lag=40 --forget_bias=1

What is drawn. Networks watch the nature show (`lstm_jax/tasks/nature_show.py`), and the
margin of their last answer is differentiated with respect to the memory, all of the
carry, that enters each step: the share of the norm entering the last step, medians over
seeds and shows, as in `experiments.gradient_decay --panels=all`, whose measurement and
training this is. Of a cell with a forget bias the networks of the last bias are drawn;
those of the others stand in the table's last column, so that what the family does and
what the bias does can be told apart. Carries are compared as they are stored: of sLSTM
that is c and n over e^m, and of selective_ssm what its read has not weighted yet.

Effective window: the last steps that contribute 99 % of the summed norms ||dL/dW_t|| of
the training loss (`lj.gradients.effective_window`), as in `experiments.gradient_paths`.

Settings: those of `experiments.gradient_decay`, which were found on RNNs and LSTMs
before and are the same for every cell: lag 25, 32 units, 400 updates of 64 shows, Adam
at 3e-3 behind a clip of the norm to 1, the forget bias matched to the lag (a gate at
rest keeps 3/4 over it) where `init` takes one. Such a cell is told the lag; the dense
ones, lstm97, lru, selective_ssm and delta_product are not, and start as their authors
have it. Nothing was tuned for a cell, so that "not learned" means at this rate and in
these updates.

Expected, of theory: the untrained gradient of exp_rnn, a rotation behind a modReLU
without bias, keeps its length; that of a cell which is linear in its memory, by factors
of at most 1, never grows. Of experience: who answers right has some of the gradient
left at the scene, and an update made of all steps. To have it left is not enough to
learn. Which family keeps most is asked, not expected.

Found: 18 minutes on two cores shared with much other work. All four criteria hold; 9 of
15 cells learn, of every family but the products. In all of these .27 at least of the
gradient is left at the scene after training, in the tanh RNN 2e-5; but in cells that do
not learn it is left as well (antisymmetric 1.1, LRU .88, DeltaProduct .78): the signal
arrives, and is not used in these updates; LRU and signed minGRU, .84 right, are on the
way. The forget bias matters as much as the family: from a bias of 1, LSTM, four-gate
and gated linear cells have .50 to .58 right; GRU and sLSTM learn all the same.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

import lstm_jax as lj
from experiments.common import (
    cli,
    compiling,
    decay,
    gradient_shares,
    memory_limit,
    records,
    training,
    wording,
)
from experiments.common.cli import option
from experiments.common.cores import on_all_cores
from experiments.common.gradient_shares import Watched
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record, take
from experiments.common.report import INITIAL, TRAINED
from experiments.common.rows import Row, verdict_lines
from experiments.common.variants import (
    Variant,
    forget_biases,
    variant_of,
    variants_of,
)
from experiments.criteria.families import (
    FAMILIES,
    checks,
    drawn,
    family_of,
    shares,
    solved,
)
from experiments.figures.families import plot
from experiments.figures.nature_show import SOLVED
from lstm_jax.gradients.contributions import effective_window
from lstm_jax.tasks.nature_show import RENDERINGS
from lstm_jax.training import loop

NAME = "families"
CELLS = tuple(cell for cells in FAMILIES.values() for cell in cells)
MEASURING = 30  # the updates that take as long as one measurement


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    cells: tuple[str, ...] = option(CELLS, cli.list_of(cli.one_of(CELLS)), "cells")
    forget_bias: tuple[float | str, ...] = forget_biases()
    lag: int = option(25, cli.integer(minimum=1), "steps between scene and question")
    hidden_size: int = option(32, cli.integer(minimum=1), "units of a cell")
    num_seeds: int = option(3, cli.integer(minimum=1), "networks per cell and bias")
    num_steps: int = option(400, cli.integer(minimum=1), "training updates")
    batch_size: int = option(64, cli.integer(minimum=1), "shows per update")
    learning_rate: float = option(3e-3, cli.number(above=0), "for Adam")
    rendering: str = option("digits", cli.one_of(RENDERINGS), "the images")
    num_examples: int = option(32, cli.integer(minimum=1), "test shows measured")
    seed: int = option(0, cli.seed(), "everything random follows from it")


class Found(NamedTuple):
    """What is measured on the networks of a cell; the first axes are (variant, seed).

    Attributes:
      log_norms: of the gradient of the carry entering each step, (..., time, example).
      accuracy: on test shows, (...).
      window: the last steps that make up an update, (...).
    """

    log_norms: np.ndarray
    accuracy: np.ndarray
    window: np.ndarray


def run(config: Config) -> Record:
    """Trains, measures and returns the record."""
    _check_memory(config)
    start = time.monotonic()
    key, shown = jax.random.key(config.seed), (config.rendering, config.lag)
    watched = gradient_shares.watched_show(key, *shown, config.num_examples)
    watched = gradient_shares.with_tests(watched)
    update = _update(config)
    total = len(config.cells) * (config.num_steps + 2 * MEASURING)
    with progress(total) as advance:
        parts = [
            partial(_study, config, (watched, update), c, advance) for c in config.cells
        ]
        studies = on_all_cores(parts)
    of_all = jax.tree.map(lambda *of: np.concatenate(of), *studies)
    log_norms, accuracy, window = jax.tree.map(
        lambda *of: np.stack(of, axis=1), *of_all.values()
    )
    networks = ("variant", "stage", "seed")
    record = records.new(
        NAME,
        asdict(config),
        start,
        {
            "log_share": Quantity(
                decay.shares(log_norms), (*networks, "example", "lag"), "nats"
            ),
            "accuracy": Quantity(accuracy, networks, "1"),
            "window": Quantity(window, networks, "steps"),
        },
        axes={
            "variant": [v.entry for c in config.cells for v in _variants(config, c)],
            "stage": list(of_all),
        },
    )
    return record._replace(rows=_rows(record), verdict=_verdict(record))


def _check_memory(config: Config) -> None:
    """Refuses weights, shows and carries of all steps that don't fit into memory."""
    images = lj.tasks.nature_show(config.rendering).input_size
    watched, trained = ("lag", "num_examples"), ("lag", "batch_size")
    arrays = [
        ("num_seeds", "hidden_size", "hidden_size"),
        *[(*watched, images), ("num_seeds", *watched, "hidden_size")],
        *[(*trained, images), ("num_seeds", *trained, "hidden_size")],
    ]
    memory_limit.check(asdict(config), arrays)


def _variants(config: Config, cell: str) -> list[Variant]:
    return variants_of(cell, config.forget_bias, config.lag)


def _study(
    config: Config, seen: tuple[Watched, lj.Batch], name: str, advance: Advance
) -> dict[str, Found]:
    """Returns what is found of a cell at all its biases, by stage.

    `seen` are the shows of the measurement, and those of an update.
    """
    watched, update = seen
    cell, variants = lj.CELLS[name], _variants(config, name)
    task = lj.tasks.nature_show(config.rendering)
    key = jax.random.fold_in(jax.random.key(config.seed), list(lj.CELLS).index(name))
    models = training.initial_models(
        variants,
        jax.random.split(key, config.num_seeds),
        cell,
        (task.input_size, config.hidden_size, task.output_size),
    )
    measure = gradient_shares.measurer(cell, watched)
    windows = _windows(cell, task, update)

    def found(models: loop.ModelParams) -> Found:
        measured = measure(models)
        of = Found(measured.log_norms, measured.accuracy, np.asarray(windows(models)))
        advance(f"{name}: measured", MEASURING)
        return gradient_shares.unflatten(of, (len(variants), config.num_seeds))

    advance(f"{name}: measuring", 0)
    stages = {INITIAL: found(models)}
    models = training.trained_models(
        models,
        training.recipe_of(config, cell, task, config.lag + 2),
        seed=config.seed,
        num_steps=config.num_steps,
        what=f"{name}: training",
        advance=advance,
    )
    return stages | {TRAINED: found(models)}


def _update(config: Config) -> lj.Batch:
    """Returns shows for one update, none of them a test's."""
    task = lj.tasks.nature_show(config.rendering)
    sizes = config.batch_size, config.lag + 2
    return gradient_shares.sampled(task.sample, jax.random.key(2), *sizes)


def _windows(
    cell: lj.Cell, task: lj.Task, update: lj.Batch
) -> Callable[[loop.ModelParams], jax.Array]:
    """Returns a compiled function from networks to their effective windows."""

    def one(model: loop.ModelParams) -> jax.Array:
        parts = gradient_shares.log_contributions(cell, task, model, update)
        return effective_window(parts)

    return jax.jit(partial(jax.lax.map, one), compiler_options=compiling.soon())


# -- Table, verdict, row -------------------------------------------------------------


def _rows(record: Record) -> list[dict[str, str]]:
    return [_row(record, k) for k in drawn(record)]


def _row(record: Record, k: int) -> dict[str, str]:
    """Returns the row of a cell, of the networks that are drawn."""
    variant = variant_of(record.axes["variant"][k])
    left, windows = (
        [np.median(of[k]) for of in pair]
        for pair in (
            (shares(record, INITIAL), shares(record, TRAINED)),
            np.moveaxis(record.arrays["window"].values, 1, 0),
        )
    )
    right = take(record, "accuracy", stage=TRAINED)
    others = [
        f"{right[j].mean():.2f} at {of['bias']}"
        for j, of in enumerate(record.axes["variant"])
        if of["cell"] == variant.cell and j != k
    ]
    return {
        "cell": variant.cell,
        "family": family_of(variant.cell),
        "b_f": variant.bias or "-",
        f"left at lag {record.config['lag']}": " to ".join(map(wording.power, left)),
        "effective window": " to ".join(f"{steps:.0f}" for steps in windows),
        "right": f"{right[k].mean():.2f} [{right[k].min():.2f}, {right[k].max():.2f}]",
        "learned": f"{int(solved(record)[k].sum())} of {right[k].size}",
        "right at other b_f": ", ".join(others) or "-",
    }


def _verdict(record: Record) -> list[str]:
    return [
        "",
        "Before training to after it; medians over seeds and shows. Learned: seeds "
        f"with {SOLVED:g} of the ambiguous shows right, where 1/2 needs no memory.",
        *verdict_lines(checks(record)),
    ]


ROW = Row(
    number="19",
    title="How far back each family of memories reaches",
    source=(
        "Arjovsky, Shah & Bengio (2016), figure 4, https://arxiv.org/abs/1511.06464; "
        "Orvieto et al. (2023), https://arxiv.org/abs/2303.06349; the rest is asked"
    ),
    sizes={
        "smoke": {
            "cells": ("min_gru",), "lag": 4, "hidden_size": 8, "num_seeds": 2,
            "num_steps": 50, "batch_size": 32, "rendering": "vectors",
            "num_examples": 4, "learning_rate": 1e-2,
        },
        "standard": {},
        "paper": {"num_seeds": 10, "hidden_size": 64, "num_steps": 2000, "lag": 40},
    },
    checks=checks,
)  # fmt: skip

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
