"""Can the gradient of an untrained network predict what training will do?

Question: over forget biases of an LSTM, gains of an RNN, and lags, which networks will
learn? Does the share of the gradient that reaches the start before training tell, or
the first step's signal against the batch noise of the weight gradient?

  python -m experiments.trainability
  python -m experiments.trainability --tasks=adding --lags=20,40,80 --num_steps=2000

What is drawn. Maps of lag against forget bias (or gain): shade and number = share of
the seeds that solve the task after training; bar = the lag at which the untrained
network has --fraction of its gradient left (median over seeds and sequences; off the
map if there is always more). Below, the area under the ROC curve with which each
measure separates the networks that will solve the task from those that won't: 1/2 tells
nothing, 1 tells everything; bars are 95 % bootstrap intervals over networks. "within"
pools the settings and lags of one cell, "between" the cells as well.

The share is the norm of the margin's (nature show) or the answer's (adding) gradient
with respect to the memory that enters the second step, over that entering the last.

Found in the default run (`experiments/reference/trainability/`, 135 s on two idle
cores; README has the table): on the nature show both tell a lot, the signal more than
the share, also between cells. On adding, the share predicts the opposite within the
LSTM: a forget bias of 0 or 1 learns more in 500 updates than one that carries the
gradient further; and the RNN learns nothing. A gradient that reaches the start is
necessary, not sufficient.

Sources: Schoenholz et al. (2016), https://arxiv.org/abs/1611.01232, for trainable depth
predicted before training; Chen, Pennington & Schoenholz (2018),
https://arxiv.org/abs/1806.05394, for gated cells.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import lstm_jax as lj
from experiments.common import (
    cli,
    gradient_shares,
    memory_limit,
    records,
    training,
    wording,
)
from experiments.common.cli import option
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record
from experiments.common.statistics import Area, area_under_roc
from experiments.figures.trainability import MEASURES, SOLVED, SWEPT, plot
from lstm_jax import readouts
from lstm_jax.tasks.nature_show import margins
from lstm_jax.training import loop

NAME = "trainability"
WATCHED_EXAMPLES = 16
TEST_EXAMPLES = 1024
TASKS = ("nature_show", "adding")
# A clear goldfish at the end leaves nothing to remember.
WATCHED = lj.TASKS | {"nature_show": lj.tasks.nature_show(goldfish_rate=0.0)}


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is swept; every field is a flag."""

    tasks: tuple[str, ...] = option(TASKS, cli.list_of(cli.one_of(TASKS)), "tasks")
    cells: tuple[str, ...] = option(
        tuple(SWEPT), cli.list_of(cli.one_of(SWEPT)), "cells"
    )
    lags: tuple[int, ...] = option(
        (5, 10, 20, 40),
        cli.list_of(cli.integer(minimum=2)),
        "steps between scene and question; adding has sequences of lag + 2 steps",
    )
    forget_biases: tuple[float, ...] = option(
        (0.0, 1.0, 2.0, 3.0, 5.0), cli.list_of(cli.number()), "for the LSTM"
    )
    gains: tuple[float, ...] = option(
        (0.6, 0.8, 1.0, 1.2),
        cli.list_of(cli.number(above=0)),
        "for the RNN: factors on its orthogonal recurrent weights",
    )
    hidden_size: int = option(32, cli.integer(minimum=1), "units of a cell")
    num_seeds: int = option(4, cli.integer(minimum=1), "networks per setting and lag")
    num_steps: int = option(500, cli.integer(minimum=1), "training updates")
    batch_size: int = option(32, cli.integer(minimum=1), "sequences per update")
    learning_rate: float = option(3e-3, cli.number(above=0), "for Adam")
    fraction: float = option(
        0.01, cli.number(above=0), "share left along the line on the map"
    )
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Checks each field, and that the fraction is below 1."""
        super().__post_init__()
        if self.fraction >= 1:
            raise cli.ConfigError(f"fraction: got {self.fraction}; it must be below 1")

    def values(self, cell: str) -> tuple[float, ...]:
        """Returns the settings over which a cell is swept."""
        return self.forget_biases if cell == "lstm" else self.gains

    def texts(self, cell: str) -> list[str]:
        """Returns these settings as text."""
        return wording.told_apart(self.values(cell))


class Swept(NamedTuple):
    """The networks of one cell at one task, (lag, setting, seed), or of all of them.

    Attributes:
      share: ln of the share that reaches the start, before training.
      signal: first-step signal over batch noise, before training.
      horizon: the lag at which --fraction is left, before training; inf if never.
      accuracy: on fresh sequences, after training.
    """

    share: np.ndarray
    signal: np.ndarray
    horizon: np.ndarray
    accuracy: np.ndarray


def run(config: Config) -> Record:
    """Measures, trains and tests every network, and scores the predictions."""
    start = time.monotonic()
    _check_memory(config)
    steps = len(config.tasks) * len(config.cells) * sum(config.lags) * config.num_steps
    with progress(steps) as advance:
        found = [
            _over_cells([_swept(config, task, cell, advance) for cell in config.cells])
            for task in config.tasks
        ]
    swept = Swept(*(np.stack(of_tasks) for of_tasks in zip(*found, strict=True)))
    areas = _areas(config, swept)
    return records.new(
        NAME,
        asdict(config),
        start,
        _quantities(swept, areas),
        axes={
            "task": config.tasks,
            "variant": _variants(config),
            "lag": config.lags,
            "networks": _groups(config),
            "measure": MEASURES,
        },
        rows=_rows(config, swept, areas),
        verdict=["", *_verdict(config, swept)],
    )


def _over_cells(found: list[Swept]) -> Swept:
    """Returns what cells have, (variant, seed, lag), from (lag, setting, seed) each."""
    return Swept(
        *(
            np.concatenate([np.moveaxis(of_cell, 0, -1) for of_cell in of_cells])
            for of_cells in zip(*found, strict=True)
        )
    )


def _variants(config: Config) -> list[dict[str, Any]]:
    """Returns the settings of all cells, as entries of a record's axis."""
    return [
        {"label": f"{cell} {SWEPT[cell]}={text}", "cell": cell, SWEPT[cell]: value}
        for cell in config.cells
        for value, text in zip(config.values(cell), config.texts(cell), strict=True)
    ]


def _check_memory(config: Config) -> None:
    """Refuses weights, sequences and carries that don't fit into memory."""
    inputs = max(lj.TASKS[task].input_size for task in config.tasks)
    arrays = [
        ("num_seeds", "hidden_size", "hidden_size"),
        ("lags", "batch_size", inputs),
        ("lags", "batch_size", "hidden_size"),
        ("lags", TEST_EXAMPLES, inputs),
    ]
    memory_limit.check(asdict(config) | {"lags": max(config.lags)}, arrays)


def _swept(config: Config, task: str, name: str, advance: Advance) -> Swept:
    """Measures, trains and tests one cell at every lag.

    Compiling takes longer than measuring, so one program measures at all lags, on
    sequences padded to the longest. Training takes longer than compiling, so it has a
    program per lag, without padding.
    """
    begin = jax.jit(partial(begun, config, task, name))
    measure = jax.jit(partial(measured, config, task, name))
    test = jax.jit(partial(tested, config, task, name))
    found = []
    for lag in config.lags:
        what = f"{task}, {name} at lag {lag}"
        advance(what, 0)
        states, length = begin(np.int32(lag)), np.int32(lag + 2)
        before = measure(states.params, length)
        trained = _trained(config, task, name, lag, states, partial(advance, what))
        found.append((*before, test(trained.params, length)))
    shape = (len(config.lags), len(config.values(name)), config.num_seeds)
    return Swept(*(np.stack(of).reshape(shape) for of in zip(*found, strict=True)))


def begun(config: Config, task: str, name: str, lag: jax.Array) -> loop.TrainState:
    """Returns untrained networks, leaves (setting * seed, ...)."""
    key = jax.random.fold_in(jax.random.key(config.seed), lag)
    values = jnp.repeat(jnp.array(config.values(name)), config.num_seeds)
    keys = jnp.tile(jax.random.split(key, config.num_seeds), len(config.values(name)))
    keys_data = jax.random.split(jax.random.key(config.seed + 1), len(values))
    asked = lj.TASKS[task]

    def one(key, key_data, value):
        params = loop.init_model(
            key,
            lj.CELLS[name],
            asked.input_size,
            asked.output_size,
            hidden_size=config.hidden_size,
            init_options={SWEPT[name]: value},
        )
        return loop.begin_training(
            key_data, params, training.optimizer(config.learning_rate)
        )

    return jax.vmap(one)(keys, keys_data, values)


def measured(
    config: Config, task: str, name: str, models: loop.ModelParams, length: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns share, signal and horizon of every network, as `Swept` has them."""
    longest, cell = max(config.lags) + 2, lj.CELLS[name]
    key = jax.random.key(config.seed)
    watched = WATCHED[task].sample_test(key, WATCHED_EXAMPLES, longest, length)
    trained_on = lj.TASKS[task].sample(
        jax.random.key(2), gradient_shares.SIGNAL_EXAMPLES, longest, length
    )
    answer_step = trained_on.lengths[0] - 1

    def one(model):
        logs = log_norms(cell, task, model, watched)
        lost = jnp.all(logs == -jnp.inf, axis=0)
        found = gradient_shares.model_signal(
            cell, lj.TASKS[task], model, trained_on, answer_step, config.batch_size
        )
        return (
            jnp.median(jnp.where(lost, -jnp.inf, lj.log_shares(logs)[1])),
            found.signal / found.noise,
            jnp.median(jnp.where(lost, 0, lj.horizon(logs, config.fraction))),
        )

    return jax.lax.map(one, models)


def log_norms(
    cell: lj.Cell, task: str, model: loop.ModelParams, batch: lj.Batch
) -> Float[jax.Array, "time examples"]:
    """Returns the log-norms of the margin's gradient (nature show), or the answer's."""

    def score(ys):
        last = readouts.last_step(ys, batch.lengths)
        answers = readouts.linear(model.readout, last)
        if task == "nature_show":
            return jnp.sum(margins(answers, batch.targets))
        return jnp.sum(answers)

    norms = lj.log_gradient_norms(cell, model.cell, batch.inputs, score)
    return lj.joint_log_norms(norms)


def _trained(
    config: Config,
    task: str,
    name: str,
    lag: int,
    states: loop.TrainState,
    advance: Callable[[int], None],
) -> loop.TrainState:
    recipe = training.recipe_of(config, lj.CELLS[name], lj.TASKS[task], lag + 2)
    return training.train_side_by_side(
        states,
        recipe,
        num_steps=config.num_steps,
        what="",
        # A unit of progress is one step of a sequence: long lags take longer.
        advance=lambda _, updates: advance(lag * updates),
        # Compiles faster than side by side and, for small networks, runs faster.
        runs_at_once=1,
    )


def tested(
    config: Config, task: str, name: str, models: loop.ModelParams, length: jax.Array
) -> Float[jax.Array, " network"]:
    """Returns the accuracy of every network."""
    longest, asked = max(config.lags) + 2, lj.TASKS[task]
    batch = asked.sample_test(jax.random.key(1), TEST_EXAMPLES, longest, length)

    def one(model):
        return asked.accuracy(loop.predict(lj.CELLS[name], asked, model, batch), batch)

    return jax.lax.map(one, models)


def _groups(config: Config) -> Mapping[str, Sequence[str]]:
    """Returns the cells whose networks are pooled, by the name of the pool."""
    between = {"between cells": config.cells} if len(config.cells) > 1 else {}
    return {f"within {cell}": (cell,) for cell in config.cells} | between


def _of_cell(config: Config, values: np.ndarray, cell: str) -> np.ndarray:
    """Returns (lag, setting, seed) of a cell, from (variant, seed, lag)."""
    is_its = [variant["cell"] == cell for variant in _variants(config)]
    return np.moveaxis(values[is_its], -1, 0)


def _pooled(config: Config, values: np.ndarray, cells: Sequence[str]) -> np.ndarray:
    return np.concatenate([_of_cell(config, values, cell).ravel() for cell in cells])


def _areas(config: Config, swept: Swept) -> np.ndarray:
    """Returns areas and the ends of their intervals, (task, networks, measure, 3)."""

    def of_task(found):
        pooled = lambda values, cells: _pooled(config, values, cells)
        return [
            [
                area_under_roc(
                    pooled(of, cells), pooled(found.accuracy, cells) >= SOLVED
                )
                for of in (found.share, found.signal)
            ]
            for cells in _groups(config).values()
        ]

    return np.array([of_task(Swept(*of)) for of in zip(*swept, strict=True)])


def _quantities(swept: Swept, areas: np.ndarray) -> dict[str, Quantity]:
    networks, of_areas = (
        ("task", "variant", "seed", "lag"),
        ("task", "networks", "measure"),
    )
    return {
        "share": Quantity(swept.share, networks, "nats"),
        "signal": Quantity(swept.signal, networks, "1"),
        "horizon": Quantity(swept.horizon, networks, "steps"),
        "accuracy": Quantity(swept.accuracy, networks, "1"),
        "roc_area": Quantity(areas[..., 0], of_areas, "1"),
        "roc_area_low": Quantity(areas[..., 1], of_areas, "1"),
        "roc_area_high": Quantity(areas[..., 2], of_areas, "1"),
    }


def _rows(config: Config, swept: Swept, areas: np.ndarray) -> list[dict[str, str]]:
    rows = []
    for task, accuracy, of_task in zip(
        config.tasks, swept.accuracy, areas, strict=True
    ):
        for (name, cells), found in zip(_groups(config).items(), of_task, strict=True):
            solved = _pooled(config, accuracy, cells) >= SOLVED
            of_measures = {
                f"ROC area, {label}": str(Area(*area))
                for label, area in zip(MEASURES.values(), found, strict=True)
            }
            count = f"{solved.sum()}/{solved.size}"
            rows.append({"task": task, "networks": name, "solved": count} | of_measures)
    return rows


def _verdict(config: Config, swept: Swept) -> list[str]:
    """Returns a line per task and cell: the farthest lag that each setting solves."""
    lines = []
    for task, accuracy in zip(config.tasks, swept.accuracy, strict=True):
        for cell in config.cells:
            solved = (_of_cell(config, accuracy, cell) >= SOLVED).mean(-1) > 0.5
            reached = [
                f"{value}: {max(np.array(config.lags)[column], default='none')}"
                for value, column in zip(config.texts(cell), solved.T, strict=True)
            ]
            lines.append(
                f"{task}, {cell}: farthest lag that most seeds solve, by "
                f"{SWEPT[cell]}: {', '.join(reached)}"
            )
    return lines


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
