"""How far does a network count that has seen ten at most? a^n b^n and a^n b^n c^n.

Question: trained on n = 1 ... 10, up to which n does it predict every legal next symbol
and no other one?

  python -m experiments.counting
  python -m experiments.counting --cells=cifg_lstm,mgu --num_tested=1000

Source: Gers & Schmidhuber (2001), LSTM recurrent networks learn simple context-free and
context-sensitive languages, https://doi.org/10.1109/72.963769. The numbers beside ours
are those of a catalogue of reimplementations, from a peephole LSTM,
https://github.com/cybertronai/schmidhuber-problems, anbn-anbncn/README.md: of 5 seeds,
n = 1 ... 65 or more of a^n b^n (3 seeds to 100, which is as far as it looked),
and 18, 24 and 29 (least, median, most) of a^n b^n c^n.

Settings. `lj.tasks.counting(predict="legal")`, n uniform in 1 ... 10, one string an
update, the mean loss over its steps, its gradient's norm clipped to 1; 2 units for
a^n b^n, 3 for a^n b^n c^n; weights N(0, 0.1²), the readout's too; b_i = -1. Two
trainings:

  momentum  as in the paper, by notes on it: gradient descent with a momentum of 0.99.
            Rate 0.001 for a^n b^n and 0.002 for a^n b^n c^n, 100 000 updates, b_f = 0
  Adam      as in the catalogue: rate 0.01, 4000 updates on a^n b^n and 8000 on
            a^n b^n c^n, b_f = 1. There the loss is the sum over the steps, and training
            on a^n b^n may end early

All cells start from these small weights, and those without one of the biases go without
it. The criteria are judged by the first training; rates, updates and b_f are of seeds
that they do not use (docs/decisions/014-calibration-counting.md).

A counter set by hand: one LSTM unit with f = 1 that adds on a what it takes away on b,
and two units without memory that tell S and b; the task is right to any n.

Expected: every peephole LSTM right to 30 on a^n b^n, 4 of 5 to 15 on a^n b^n c^n; the
medians of GRU and RNN lower; the counter right to 1000.

Found: 6 minutes on one core (15 beside other work). With momentum all 5 peephole LSTMs
are right to 30 on a^n b^n (34, 37, 44, 54, 60: less far than the catalogue's, by Adam),
and 4 of 5 to 15 on a^n b^n c^n (12, 28, 39, 62, 73). Five of five takes some luck: of
48 other seeds 44 reach 30, about as many as while the readout began large, by mistake,
and one of these five seeds ended at 18 (decision 014). By Adam with the mean loss 4 of
5 (29, 30, 31, 34, 113) and 2 of 5 (11, 13, 13, 18, 26). Medians with momentum, in this
order of the languages: LSTM 20 and 13, four_gate 13 and 12; GRU 6 and 7, RNN 1 and 1,
which have not learnt the strings that they were shown.
Asked for the next symbol alone, by cross-entropy of a softmax, a network learns that n
ends at 10 and stays there.
"""

import time
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from experiments.common import cli, compiling, memory_limit, records, training
from experiments.common.cli import option
from experiments.common.progress import progress
from experiments.common.records import Quantity, Record, take
from experiments.common.rows import Row, verdict_lines
from experiments.common.variants import options_of
from experiments.criteria.counting import checks
from experiments.figures.counting import plot
from lstm_jax.readouts import LinearParams
from lstm_jax.tasks.counting import correct_of_legal, strings
from lstm_jax.training import loop, runs
from lstm_jax.training.runs import Recipe, Settings

NAME = "counting"
CELLS = ("peephole_lstm", "rnn", "lstm", "gru", "four_gate")
LANGUAGES = {"anbn": 2, "anbncn": 3}  # letters
METHODS = ("momentum", "Adam")
SMALL = jax.nn.initializers.normal(0.1)
START = {
    "input_init": SMALL,
    "recurrent_init": SMALL,
    "peephole_init": SMALL,
    "input_bias": -1.0,
}


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is trained; every field is a flag."""

    cells: tuple[str, ...] = option(
        CELLS, cli.list_of(cli.one_of(lj.CELLS)), "cells of the library"
    )
    languages: tuple[str, ...] = option(
        tuple(LANGUAGES), cli.list_of(cli.one_of(LANGUAGES)), "what is counted"
    )
    methods: tuple[str, ...] = option(
        METHODS, cli.list_of(cli.one_of(METHODS)), "trainings; the first is judged"
    )
    largest_n: int = option(10, cli.integer(minimum=1), "n of the longest string shown")
    num_tested: int = option(200, cli.integer(minimum=1), "n is tested from 1 to this")
    counter_n: int = option(1000, cli.integer(minimum=1), "the same of the counter")
    units_per_letter: int = option(
        1, cli.integer(minimum=1), "units of a cell, per letter of the language"
    )
    num_seeds: int = option(5, cli.integer(minimum=1), "networks of each cell")
    num_steps: int = option(100_000, cli.integer(minimum=1), "updates with momentum")
    learning_rate: float = option(
        1e-3, cli.number(above=0), "with momentum on a^n b^n; twice on a^n b^n c^n"
    )
    adam_steps: int = option(
        4000, cli.integer(minimum=1), "updates by Adam on a^n b^n; twice on a^n b^n c^n"
    )
    adam_rate: float = option(1e-2, cli.number(above=0), "learning rate of Adam")
    batch_size: int = option(1, cli.integer(minimum=1), "strings per update")
    seed: int = option(0, cli.seed(), "everything random follows from it")


def run(config: Config) -> Record:
    """Trains and tests every network, and the counter; returns the record."""
    arrays = [
        ("largest_n", "batch_size", "num_seeds", "units_per_letter", 3 * 3 * 4),
        ("num_tested", "num_tested", "units_per_letter", 3 * 3 * 4),
        ("counter_n", "counter_n", 3 * 4),
        ("num_seeds", "units_per_letter", "units_per_letter", 9 * 4),
        ("num_seeds", "num_steps"),
        ("num_seeds", "adam_steps", 2),
    ]
    memory_limit.check(asdict(config), arrays)
    start, found = time.monotonic(), []
    kinds = [*product(config.methods, config.languages, config.cells)]
    with progress(1 + len(kinds)) as advance:
        for kind in kinds:
            advance(", ".join(kind), 0)
            found.append(trained(config, *kind))
            advance(", ".join(kind), 1)
        counted = reach(counter_right(config.counter_n, counter()))
        advance("the counter", 1)
    nets = (
        len(config.methods), len(config.languages), len(config.cells), config.num_seeds
    )  # fmt: skip
    losses, right = (np.stack(of) for of in zip(*found, strict=True))
    right = right.reshape(*nets, config.num_tested)
    axes = ("method", "language", "cell", "seed")
    record = records.new(
        NAME,
        asdict(config),
        start,
        {
            "loss": Quantity(losses.reshape(nets), axes, "nats"),
            "right": Quantity(right, (*axes, "n"), "1"),
            "reach": Quantity(reach(right), axes, "1"),
            "counter_reach": Quantity(counted, (), "1"),
        },
        axes={
            "method": config.methods,
            "language": config.languages,
            "cell": config.cells,
            "n": range(1, config.num_tested + 1),
        },
    )
    return record._replace(rows=_rows(record), verdict=_verdict(record))


class Training(NamedTuple):
    """How networks are trained on a language."""

    optimizer: optax.GradientTransformation
    num_steps: int
    forget_bias: float


def training_of(config: Config, method: str, language: str) -> Training:
    """Returns how a method trains; its two languages differ in rate or updates."""
    times = LANGUAGES[language] - 1
    if method == "momentum":
        rate = times * config.learning_rate
        descent = optax.sgd(rate, momentum=0.99)
        clipped = optax.chain(optax.clip_by_global_norm(1.0), descent)
        return Training(clipped, config.num_steps, forget_bias=0.0)
    adam = training.optimizer(config.adam_rate)
    return Training(adam, times * config.adam_steps, forget_bias=1.0)


def trained(
    config: Config, method: str, language: str, cell: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the loss of the last tenth, (seed,), and what is right, (seed, n)."""
    recipe = recipe_of(config, method, language, cell)
    num_steps = training_of(config, method, language).num_steps

    def learn(key):
        step = runs.step_of(recipe, Settings())
        return loop.train_steps(begun(recipe, key), num_steps, step)

    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    side_by_side = jax.jit(jax.vmap(learn), compiler_options=compiling.soon())
    states, history = side_by_side(keys)
    last = np.asarray(history.loss)[:, -max(1, num_steps // 10) :].mean(1)
    letters = LANGUAGES[language]
    return last, np.asarray(_right(lj.CELLS[cell], states.params, letters, config))


def recipe_of(config: Config, method: str, language: str, cell: str) -> Recipe:
    """Returns what all seeds of a kind of network share."""
    letters, how = LANGUAGES[language], training_of(config, method, language)
    start = START | {"forget_bias": how.forget_bias}
    return Recipe(
        lj.CELLS[cell],
        lj.tasks.counting(letters, predict="legal"),
        lambda: how.optimizer,
        hidden_size=letters * config.units_per_letter,
        batch_size=config.batch_size,
        length=letters * config.largest_n + 1,
        init_options={name: start[name] for name in start if name in options_of(cell)},
    )


def begun(recipe: Recipe, key: jax.Array) -> loop.TrainState:
    """Returns a network before its first update; its readout too starts small."""
    state = runs.begin(recipe, key, Settings())
    cell, readout = state.params
    w = SMALL(jax.random.fold_in(key, 1), readout.w.shape, readout.w.dtype)
    models = loop.ModelParams(cell=cell, readout=readout._replace(w=w))
    return state._replace(params=models)


def _right(cell: lj.Cell, models: Any, letters: int, config: Config) -> jax.Array:
    """Returns whether the string of each n is right, (seed, n)."""
    task = lj.tasks.counting(letters, predict="legal")
    length = letters * config.num_tested + 1

    def one_by_one(models):
        n = jnp.arange(1, config.num_tested + 1)
        batch = strings(letters, n, length, predict="legal")
        answers = partial(loop.predict, cell, task, batch=batch)
        right = partial(correct_of_legal, batch=batch)
        return jax.lax.map(lambda model: right(answers(model)), models)

    return jax.jit(one_by_one, compiler_options=compiling.soon())(models)


def reach(right: Any) -> np.ndarray:
    """Returns the largest n of `right`, (..., n), below which all strings are right."""
    return np.cumprod(np.asarray(right, np.int64), axis=-1).sum(-1)


# -- The counter ---------------------------------------------------------------------


def counter() -> loop.ModelParams:
    """Returns an LSTM that counts: c_t = c_{t-1} + k on a, - k on b, k = tanh(1/10).

    Its other two units are 0.76 after S and after b, and forget it at once. Legal are

        a        unless b was shown
        b        if c > 0
        T        if b was shown and c = 0
    """
    shut, opened = -100.0, 100.0  # sigmoids that are 0 and 1 in float32
    w_ih = np.zeros((3, 12))  # columns: i, f, g, o
    w_ih[:, 6:9] = [[0.0, 3.0, 0.0], [0.1, 0.0, 0.0], [-0.1, 0.0, 3.0]]
    biases = [[opened] * 3, [opened, shut, shut], [0.0] * 3, [opened] * 3]
    cell = lj.LSTMParams(*map(_float32, (w_ih, np.zeros((3, 12)), np.ravel(biases))))
    # Rows: the count, 0 or at least 0.099; after S; after b. Columns: a, b, T.
    weights = [[0.0, 1000.0, -1000.0], [0.0, 0.0, 0.0], [-90.0, 0.0, 90.0]]
    readout = LinearParams(w=_float32(weights), b=_float32([10.0, -50.0, -30.0]))
    return loop.ModelParams(cell=cell, readout=readout)


def _float32(numbers: Any) -> jax.Array:
    return jnp.asarray(np.array(numbers, np.float32))  # compiles nothing


def counter_right(largest: int, model: loop.ModelParams) -> np.ndarray:
    """Returns whether an LSTM is right at n = 1 ... `largest` of a^n b^n."""
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[None], model)
    return np.asarray(_right(lj.LSTM, one, 2, Config(num_tested=largest)))[0]


# -- Table, verdict, row -------------------------------------------------------------


def _rows(record: Record) -> list[dict[str, str]]:
    rows = []
    for language, cell in product(record.axes["language"], record.axes["cell"]):
        row = {"language": language, "cell": cell}
        for method in record.axes["method"]:
            at = {"method": method, "language": language, "cell": cell}
            found = np.sort(take(record, "reach", **at))
            row[f"right to n, {method}"] = ", ".join(str(int(n)) for n in found)
            row[f"median, {method}"] = f"{np.median(found):g}"
            row[f"nats, {method}"] = f"{np.median(take(record, 'loss', **at)):.4f}"
        rows.append(row)
    return rows


def _verdict(record: Record) -> list[str]:
    config = record.config
    return [
        "",
        f"Trained on n = 1 ... {config['largest_n']}, tested on n = 1 ... "
        f"{config['num_tested']}; the counter set by hand is right to "
        f"{int(take(record, 'counter_reach'))} of {config['counter_n']}.",
        *verdict_lines(checks(record)),
    ]


ROW = Row(
    number="9",
    title="Counting: trained to ten, right far beyond",
    source="Gers & Schmidhuber (2001), https://doi.org/10.1109/72.963769; "
    "https://github.com/cybertronai/schmidhuber-problems, anbn-anbncn",
    sizes={
        "smoke": {
            "cells": ("peephole_lstm",), "languages": ("anbn",), "methods": ("Adam",),
            "largest_n": 5, "num_tested": 20, "counter_n": 60, "num_seeds": 2,
            "adam_steps": 800,
        },
        "standard": {},
        "paper": {"num_seeds": 20, "num_tested": 1000},
    },
    checks=checks,
)  # fmt: skip

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
