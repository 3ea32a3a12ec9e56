"""Temporal order: is it learnt by gates, or by clipping the gradient?

Question: A or B, twice, in which order? How often do plain gradient descent, a clip of
its norm, and a penalty on vanishing gradients teach that to an RNN, by the length of
the sequence; and what do gates do, today and as in 1997?

  python -m experiments.temporal_order
  python -m experiments.temporal_order --inits="smart tanh,basic tanh,sigmoid"

Sources. Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, section
4.1.1 and figure 7: success of MSGD, MSGD-C and MSGD-CR by length, curves without a
table. Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735,
experiment 6a: an LSTM learns a task of this kind, of 100 to 110 steps, in 31 390
sequences on average of 20 nets, and has 1 of 2560 test sequences wrong.

Settings. The task `lj.tasks.temporal_order_pascanu`, in 1997 `temporal_order`.

  as in the paper  RNNs of 50 units, one of three starts (default: "smart tanh"), plain
                   gradient descent at 0.01 on batches of 20, norm clipped to 1, α = 4,
                   Ω as in the authors' code (`experiments.common.msgd`); a net is done
                   when less than 1 % of 10 000 fresh sequences are wrong. The paper
                   gives each up to 5 million updates, we --num_steps of them.
  modern           any cell, 50 units, Adam at 0.002, falling to 0 in a straight line,
                   behind a clip of the norm to 1, batches of 20, at the longest length
                   alone. At 0.01 two LSTMs of two stay at ln 4 for 600 updates; at a
                   constant 0.003 and 0.001 they learn after 200 to 400, and then err
                   again for a few updates now and then (seeds from 1000 on)
  in 1997          two blocks of two cells, 4 logistic output units, U[-0.1, 0.1], 156
                   weights with the biases: input gates -2 and -4, the others 0; the
                   truncated gradient, one sequence an update, rate 0.5 on half the
                   squared error. Done: 2000 right in a row, all errors below 0.3, and
                   a mean error below 0.1

What is asked of a loss: cross-entropy starts at ln 4 and pauses at ln 2, where one of
the two symbols is known. It pauses if means over 50 updates are within .05 nats of ln 2
twice as often as within .05 of 1.5 ln 2, and of .75 ln 2: half-way to ln 4, and to ½ ln
2, a plateau too, where the second symbol is known after one value of the first.

Found: 17 minutes on two cores. In 1997's way 10 of 10 nets are done, after 27 754
sequences on average, and none has a test sequence wrong. Learnt within 20 000 updates,
of 5 seeds at lengths 20, 50 and 100: MSGD 5, 0, 0; MSGD-C 4, 2, 0; MSGD-CR 5, 5, 0. So
the order of the three is the paper's in all, though at 20 steps plain descent does as
well, and no RNN learns 100 steps in 20 000 updates, of the 5 million that the paper
allows. By Adam, at 100 steps, LSTM and GRU are right every time, the RNN never; one
four-gate net of 5 stays at ln 2. Of the 33 losses of RNNs that leave ln 4, 10 pause at
ln 2: 4 of 7 by MSGD, 4 of 11 by MSGD-C, 2 of 15 by MSGD-CR; 28 come down to it. The
medians are 550 updates near ln 2 and 100 at either level beside it. So there is a pause
where nothing is penalised and the sequences are short, 7 of 10 runs at 20 steps, and
with the penalty a passage. LSTMs by Adam, looked at for every update, don't pause
either.

Expected: LSTM at least 99.5 % right in 4 of 5 seeds; MSGD at the longest length
between .19 and .33; runs that succeed, over all lengths: MSGD-CR >= MSGD-C >= MSGD, and
MSGD-CR at least 5 of 15 more than MSGD; 8 of 10 nets of 1997 are done.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from experiments.common import (
    cli,
    compiling,
    memory_limit,
    msgd,
    online,
    records,
    training,
    two_blocks,
)
from experiments.common.cli import ConfigError, option
from experiments.common.cores import on_all_cores
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record
from experiments.common.rows import Row, verdict_lines
from experiments.common.two_blocks import NUM_TEST, Setting
from experiments.criteria.temporal_order import checks, table
from experiments.figures.temporal_order import plot
from lstm_jax.training import loop

NAME = "temporal_order"
TASK = lj.tasks.TEMPORAL_ORDER_PASCANU
TASK_OF_1997 = lj.tasks.temporal_order(units="logistic")
INPUT_BIASES = (-2.0, -4.0)
CELLS = ("rnn", "lstm", "gru", "four_gate")
WRONG = 0.01  # a net with a smaller share wrong has learnt the task
PARTS = 10  # of a test, one after the other


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is trained; every field is a flag."""

    inits: tuple[str, ...] = option(
        ("smart tanh",), cli.list_of(cli.one_of(msgd.INITS)), "starts of the RNNs"
    )
    methods: tuple[str, ...] = option(
        msgd.METHODS, cli.list_of(cli.one_of(msgd.METHODS)), "trainings of the RNNs"
    )
    lengths: tuple[int, ...] = option(
        (20, 50, 100), cli.list_of(cli.integer(minimum=10)), "steps of a sequence"
    )
    hidden_size: int = option(50, cli.integer(minimum=4), "units of a cell")
    num_seeds: int = option(5, cli.integer(minimum=1), "networks of each kind")
    num_steps: int = option(20_000, cli.integer(minimum=1), "updates, as in the paper")
    log_interval: int = option(500, cli.integer(minimum=1), "updates between tests")
    mean_interval: int = option(
        50, cli.integer(minimum=1), "updates a loss is the mean over"
    )
    batch_size: int = option(20, cli.integer(minimum=1), "sequences per update")
    learning_rate: float = option(1e-2, cli.number(above=0), "as in the paper")
    alpha: float = option(4.0, cli.number(above=0), "weight of the penalty")
    cells: tuple[str, ...] = option(
        CELLS, cli.list_of(cli.one_of(lj.CELLS)), "cells trained by Adam"
    )
    modern_steps: int = option(1000, cli.integer(minimum=10), "updates by Adam")
    modern_rate: float = option(2e-3, cli.number(above=0), "for Adam, at first")
    num_test: int = option(10_000, cli.integer(minimum=100), "sequences of a test")
    nets_of_1997: int = option(10, cli.integer(minimum=0), "nets of experiment 6a")
    lag_of_1997: int = option(100, cli.integer(minimum=10), "T: lengths to 1.1 T")
    rate_of_1997: float = option(0.5, cli.number(above=0), "learning rate of 1997")
    in_a_row: int = option(2000, cli.integer(minimum=1), "right sequences: done")
    max_sequences: int = option(200_000, cli.integer(minimum=1), "of a net of 1997")
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Checks each field, and that means end where tests are."""
        super().__post_init__()
        between = when_tested(self)[0]
        if between % self.mean_interval:
            raise ConfigError(
                f"mean_interval: got {self.mean_interval}; it must divide {between}, "
                "the updates between tests (log_interval, or num_steps if fewer)"
            )


class Trained(NamedTuple):
    """Networks of one start, method and length, leaves (seed, ...).

    Attributes:
      learnt: updates until a net had learnt the task, inf if it never had.
      accuracy: share right at the end of its training, of `num_test` sequences.
      loss: mean over `mean_interval` updates, (seed, mean); NaN once all had learnt.
    """

    learnt: np.ndarray
    accuracy: np.ndarray
    loss: np.ndarray


def run(config: Config) -> Record:
    """Trains and tests every network, and returns the record."""
    longest = {"lengths": max(config.lengths)}
    arrays = [
        ("lengths", "batch_size", "hidden_size", "num_seeds"),
        ("lengths", "num_test", "hidden_size"),
        ("num_seeds", "hidden_size", "hidden_size"),
        ("num_seeds", "modern_steps"),
        ("lag_of_1997", "nets_of_1997", NUM_TEST),
        ("max_sequences", "nets_of_1997", 2),  # losses, in float64
    ]
    memory_limit.check(asdict(config) | longest, arrays)
    start = time.monotonic()
    kinds = [
        (init, method, length)
        for init in config.inits
        for method in config.methods
        for length in config.lengths
    ]
    nets = bool(config.nets_of_1997)
    with progress(nets + len(kinds) + len(config.cells)) as advance:
        parts: list[Callable[[], Any]] = [partial(_of_1997, config, advance)]
        parts += [partial(_by_adam, config, cell, advance) for cell in config.cells]
        parts += [partial(_by_descent, config, *kind, advance) for kind in kinds]
        # Those by descent take longest, and begin.
        of_1997, *trained = on_all_cores(parts[::-1])[::-1]
    modern, found = trained[: len(config.cells)], trained[len(config.cells) :]
    shape = len(config.inits), len(config.methods), len(config.lengths)
    trained = Trained(
        *(np.reshape(of, (*shape, *np.shape(of[0]))) for of in zip(*found, strict=True))
    )
    losses, accuracies = (np.stack(of) for of in zip(*modern, strict=True))
    networks = ("init", "method", "length", "seed")
    record = records.new(
        NAME,
        asdict(config),
        start,
        {
            "learnt": Quantity(trained.learnt, networks, "1"),
            "accuracy": Quantity(trained.accuracy, networks, "1"),
            "loss": Quantity(trained.loss, (*networks, "mean"), "nats"),
            "modern_loss": Quantity(losses, ("cell", "seed", "update"), "nats"),
            "modern_accuracy": Quantity(accuracies, ("cell", "seed"), "1"),
            **of_1997,
        },
        axes={
            "init": config.inits,
            "method": config.methods,
            "length": config.lengths,
            "mean": when_averaged(config),
            "cell": config.cells,
            "sequence": online.ends_of_calls(config.max_sequences),
        },
    )
    about = f"RNNs: as in the paper, but for up to {config.num_steps} updates."
    told = verdict_lines(checks(record))
    return record._replace(rows=table(record), verdict=["", about, *told])


def when_tested(config: Config) -> list[int]:
    """Returns the updates after which networks are tested; the last ends them."""
    every = min(config.log_interval, config.num_steps)
    return [every * k for k in range(1, config.num_steps // every + 1)]


def when_averaged(config: Config) -> list[int]:
    """Returns the last updates of the means of the loss."""
    every = config.mean_interval
    return [*range(every, when_tested(config)[-1] + 1, every)]


# -- As in the paper -----------------------------------------------------------------


def _by_descent(
    config: Config, init: str, method: str, length: int, advance: Advance
) -> Trained:
    """Trains the networks of a kind side by side until all have learnt, or to the end.

    A network that has learnt goes on; what is kept is when it first had.
    """
    advance(f"{method}, {init}, {length} steps", 0)
    at = msgd.INITS.index(init), length  # the methods share starts and sequences
    key = jax.random.fold_in(
        jax.random.fold_in(jax.random.key(config.seed), at[0]), at[1]
    )
    key_models, key_data = jax.random.split(key)
    keys = jax.random.split(key_data, config.num_seeds)
    begin = partial(msgd.begin, init=init, task=TASK, hidden_size=config.hidden_size)
    models = jax.jit(jax.vmap(begin), compiler_options=compiling.soon())(
        jax.random.split(key_models, config.num_seeds)
    )
    steps, test = _programs(config, init, method, length)
    tests, means = when_tested(config), when_averaged(config)
    learnt, accuracy = np.full(config.num_seeds, np.inf), np.zeros(config.num_seeds)
    losses = np.full((config.num_seeds, len(means)), np.nan, np.float32)
    for place, updates in enumerate(means):
        models, losses[:, place] = steps(models, keys, updates)
        if updates not in tests:
            continue
        going = np.isinf(learnt)
        # A test costs as much as the updates in between; most need only its first part.
        right = test(models, keys, updates, 1)
        if (right[going] > 1 - WRONG).any() or updates == tests[-1]:
            right = test(models, keys, updates, PARTS)
            accuracy[going] = right[going]
            learnt[going & (right > 1 - WRONG)] = updates
        if np.isfinite(learnt).all():
            break
    advance(f"{method}, {init}, {length} steps", 1)
    return Trained(learnt, accuracy, losses)


def _programs(config: Config, init: str, method: str, length: int) -> Any:
    """Returns functions of models and keys, (seed, ...), and updates done.

    One does the updates of a mean and returns this loss as well; the other returns the
    share right in so many parts of a test.
    """
    cell, every = msgd.cell_of(init), config.mean_interval
    rates = msgd.Rates(config.learning_rate, config.alpha)

    def steps(model, key, updates):
        def update(number, carried):
            model, total = carried
            of_batch = jax.random.fold_in(key, updates - every + number)
            batch = TASK.sample(of_batch, config.batch_size, length)
            model, loss = msgd.updated(cell, TASK, method, rates, model, batch)
            return model, total + loss / every

        nothing = jnp.zeros((), model.cell.b.dtype)
        return jax.lax.fori_loop(0, every, update, (model, nothing))

    def test(model, key, updates, parts):
        # No batch has the number of all updates.
        of_tests = jax.random.fold_in(key, config.num_steps)
        of_test = jax.random.fold_in(of_tests, updates)

        def part(number, total):
            of_part = jax.random.fold_in(of_test, number)
            batch = TASK.sample(of_part, config.num_test // PARTS, length)
            return total + msgd.right(cell, TASK, model, batch).mean()

        return jax.lax.fori_loop(0, parts, part, jnp.zeros(())) / parts

    options = compiling.soon()
    tested = jax.jit(jax.vmap(test, (0, 0, None, None)), compiler_options=options)
    return (
        jax.jit(jax.vmap(steps, (0, 0, None)), compiler_options=options),
        lambda *arguments: np.asarray(tested(*arguments)),
    )


# -- Modern --------------------------------------------------------------------------


def _by_adam(
    config: Config, name: str, advance: Advance
) -> tuple[np.ndarray, np.ndarray]:
    """Returns losses (seed, update) and accuracies (seed,) at the longest length."""
    advance(f"{name}, Adam", 0)
    length, cell = max(config.lengths), lj.CELLS[name]
    falling = optax.linear_schedule(config.modern_rate, 0.0, config.modern_steps)
    states, history = lj.train_many(
        jax.random.split(jax.random.key(config.seed), config.num_seeds),
        cell,
        TASK,
        partial(training.optimizer, falling),
        hyperparams={},
        hidden_size=config.hidden_size,
        num_steps=config.modern_steps,
        batch_size=config.batch_size,
        length=length,
        runs_at_once=1,
    )

    def test(model):
        batch = TASK.sample(jax.random.key(config.seed), config.num_test, length)
        return TASK.accuracy(loop.predict(cell, TASK, model, batch), batch)

    one_by_one = jax.jit(partial(jax.lax.map, test), compiler_options=compiling.soon())
    accuracy = np.asarray(one_by_one(states.params))
    advance(f"{name}, Adam", 1)
    return np.asarray(history.loss), accuracy


# -- In 1997 -------------------------------------------------------------------------


def setting_of_1997(config: Config) -> Setting:
    """Returns what the nets of experiment 6a are trained on, and for how long."""
    return Setting(
        TASK_OF_1997,
        INPUT_BIASES,
        lag=config.lag_of_1997,
        rate=config.rate_of_1997,
        in_a_row=config.in_a_row,
        most=config.max_sequences,
    )


def _of_1997(config: Config, advance: Advance) -> dict[str, Quantity]:
    """Trains the nets of experiment 6a, if any, of keys that nothing else has."""
    if not config.nets_of_1997:
        return {}
    root = jax.random.key(config.seed)
    key, key_test = (jax.random.fold_in(root, number) for number in (1997, 1998))
    tell = lambda _, solved: advance(f"nets of 1997: {solved} done", 0)
    setting = setting_of_1997(config)
    trained = two_blocks.train(setting, config.nets_of_1997, key, key_test, tell)
    advance("nets of 1997", 1)
    return two_blocks.quantities([trained])


ROW = Row(
    number="7",
    title="Temporal order: gates or clipping",
    source=(
        "Hochreiter & Schmidhuber (1997), experiment 6a, "
        "https://doi.org/10.1162/neco.1997.9.8.1735; Pascanu, Mikolov & Bengio (2013), "
        "figure 7, https://arxiv.org/abs/1211.5063"
    ),
    sizes={
        "smoke": {
            "methods": ("MSGD",), "lengths": (20,), "num_seeds": 1,
            "num_steps": 50, "cells": ("lstm",), "modern_steps": 400,
            "hidden_size": 16, "num_test": 500, "modern_rate": 2e-2,
            "nets_of_1997": 0,
        },
        "standard": {},
        "paper": {
            "inits": msgd.INITS, "lengths": (20, 50, 100, 150, 200),
            "num_steps": 5_000_000, "log_interval": 1000, "mean_interval": 1000,
            "nets_of_1997": 20, "max_sequences": 5_000_000,
        },
    },
    checks=checks,
)  # fmt: skip

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
