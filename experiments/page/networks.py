"""The networks of the page: trained side by side, or read from a run."""

import time
from dataclasses import asdict
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import array_files, memory_limit, training
from experiments.common.cli import ConfigError
from experiments.common.progress import Advance, progress
from experiments.common.variants import TAUGHT, variants_of
from experiments.page.config import MOST_UNITS, Config
from experiments.train import saved_run
from experiments.train.saved_run import TrainedRun
from lstm_jax import readouts
from lstm_jax.tasks import NATURE_SHOW
from lstm_jax.training import loop

TEST_SHOWS = 1024
WANTED = "the --out of experiments.train --task=nature_show, or one of its checkpoints"


class Network(NamedTuple):
    """One network before and after training.

    Attributes:
      initial, trained: its weights, in float32.
      accuracy: after training, on TEST_SHOWS shows of images never drawn in training.
      about: where it comes from, for the reader.
    """

    initial: loop.ModelParams
    trained: loop.ModelParams
    accuracy: float
    about: str


class Networks(NamedTuple):
    """What the page is made of.

    Attributes:
      config: what was asked for.
      cells: a network for every cell of TAUGHT, by its name.
      seconds: the wall time of training.
    """

    config: Config
    cells: dict[str, Network]
    seconds: float


def run(config: Config) -> Networks:
    """Trains the networks; one of a checkpoint takes the place of its cell's.

    Raises:
      ConfigError: the checkpoint can't be read or shown, or a size is too large.
    """
    start = time.monotonic()
    _check_memory(config)
    given = None if config.checkpoint is None else _read(config, config.checkpoint)
    names = [name for name in TAUGHT if given is None or name != given.config.cell]
    with progress(len(names) * config.num_steps) as advance:
        cells = {name: _trained(config, name, advance) for name in names}
        if given is not None:
            cells[given.config.cell] = _of_run(given)
    in_order = {name: cells[name] for name in TAUGHT}
    return Networks(config, in_order, time.monotonic() - start)


def _check_memory(config: Config) -> None:
    drawn = ("batch_size", config.lag + 2, NATURE_SHOW.input_size)
    shown = ("num_seeds", TEST_SHOWS, config.lag + 2, config.hidden_size)
    memory_limit.check(asdict(config), [drawn, shown, ("num_seeds", *drawn[:2])])


def _read(config: Config, path: str) -> TrainedRun:
    """Returns the run of a checkpoint, if the page can show it."""
    array_files.status("checkpoint", path, WANTED)
    if not saved_run.is_run(path):
        raise ConfigError(
            f"checkpoint: {path!r} holds no checkpoint; it must be {WANTED}"
        )
    run = saved_run.read_run(path, config.of_seed)
    of = run.config
    for shown, got, needed in (
        (of.task == NATURE_SHOW.name, f"on {of.task}", f"on {NATURE_SHOW.name}"),
        (of.cell in TAUGHT, f"of the cell {of.cell}", f"of {', '.join(TAUGHT)}"),
        (
            of.num_layers == 1 and not of.bidirectional,
            "of several layers or directions",
            "of one",
        ),
        (
            of.hidden_size <= MOST_UNITS,
            f"of {of.hidden_size} units",
            f"of at most {MOST_UNITS}",
        ),
    ):
        if not shown:
            raise ConfigError(
                f"checkpoint: {path!r}: got a run {got}; it must be one {needed}"
            )
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.params)):
        raise ConfigError(
            f"checkpoint: {path!r}: its weights are not finite; they must be"
        )
    return run


def _of_run(run: TrainedRun) -> Network:
    cell, length = lj.CELLS[run.config.cell], run.config.length
    models = jax.tree.map(lambda leaf: leaf[None], run.params)
    return Network(
        initial=saved_run.untrained(run),
        trained=run.params,
        accuracy=float(_accuracies(cell, length, models)[0]),
        about=f"{run.name}, lag {length - 2}, updates: {run.step}",
    )


def _trained(config: Config, name: str, advance: Advance) -> Network:
    """Returns the best of a cell's networks by its accuracy on the test shows."""
    cell, length = lj.CELLS[name], config.lag + 2
    (variant,) = variants_of(name, (config.forget_bias,), config.lag)
    key = jax.random.fold_in(jax.random.key(config.seed), TAUGHT.index(name))
    sizes = NATURE_SHOW.input_size, config.hidden_size, NATURE_SHOW.output_size
    keys = jax.random.split(key, config.num_seeds)
    initial = training.initial_models([variant], keys, cell, sizes)
    trained = training.trained_models(
        initial,
        training.recipe_of(config, cell, NATURE_SHOW, length),
        seed=config.seed,
        num_steps=config.num_steps,
        what=f"{name}: training",
        advance=advance,
        runs_at_once=1,
    )
    accuracies = np.asarray(_accuracies(cell, length, trained))
    best = int(accuracies.argmax())
    of_best = partial(jax.tree.map, lambda leaf: leaf[best])
    bias = (
        "" if variant.forget_bias is None else f", forget bias at first {variant.bias}"
    )
    return Network(
        initial=of_best(initial),
        trained=of_best(trained),
        accuracy=float(accuracies[best]),
        about=f"lag {config.lag}, updates: {config.num_steps}{bias}; the best of "
        f"{config.num_seeds}",
    )


@cache
def _test_shows(length: int) -> lj.Batch:
    """Returns the shows on which all networks of that length are tested."""
    sample = jax.jit(NATURE_SHOW.sample_test, static_argnums=(1, 2))
    return sample(jax.random.key(1), TEST_SHOWS, length)


def _accuracies(cell: lj.Cell, length: int, models: loop.ModelParams) -> jax.Array:
    """Returns the accuracy of each network, leaves (network, ...), on test shows."""
    shows = _test_shows(length)

    def of(model):
        _, ys = lj.unroll(cell, model.cell, shows.inputs)
        answers = readouts.linear(model.readout, lj.last_step(ys, shows.lengths))
        return NATURE_SHOW.accuracy(answers, shows)

    return jnp.asarray(jax.jit(jax.vmap(of))(models))
