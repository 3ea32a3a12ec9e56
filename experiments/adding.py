"""Adding two marked numbers, as in 1997 and as today: what it takes to keep a number.

Question: how soon does the LSTM of 1997 add two numbers over 100 steps, trained to the
letter of its paper, and which networks do so by Adam?

  python -m experiments.adding
  python -m experiments.adding --cells=mgu,indrnn --num_nets=1

Sources: Hochreiter & Schmidhuber (1997), experiment 4, section 5.4 and table 7,
https://doi.org/10.1162/neco.1997.9.8.1735; Le, Jaitly & Hinton (2015),
https://arxiv.org/abs/1504.00941, and Arjovsky, Shah & Bengio (2016), section 5.2,
https://arxiv.org/abs/1511.06464. They are two tasks: numbers in [-1, 1], a scaled sum
and both marks in the first half there, numbers in [0, 1] and a mark in each half here.

1997. The task `adding_1997`, lengths 100 to 110. Two blocks of two cells, one output
unit, 93 weights from U[-0.1, 0.1], biases of the input gates -3 and -6, the others 0,
the truncated gradient; one sequence an update, learning rate 0.5 on half the squared
error. A net is done once the mean training error is below 0.01 and the last 2000
sequences were all right, |error| < 0.04; the second implies the first (0.04² < 0.01).
10 nets, 2560 test sequences. Published: 74 000 sequences on average, 1 test sequence
of 2560 wrong. Output units are logistic, says a shorter paper of the same authors of
the same experiment, http://www.idsia.ch/~juergen/nipslstm/node3.html. Such a unit has
to bend back what the cells squash, and is run beside a linear one (decision 014).

Today. The task `adding`, T = 100, and the RNN at T = 200 too. 32 units, Adam at 0.01
behind a clip of the norm to 1, 1500 batches of 32, 5 seeds, mean squared error on 2000
test sequences. Who knows no number has 1/6, who knows one of two 1/12. The plateau at
1/6 is left when the mean of 50 updates first is below 1/8, that at 1/12 when it first
is below 1/24.

Found: 8 minutes on one core. 10 of 10 nets with a linear output unit, after 82 681
sequences at the median, and none of 10 with a logistic one within 400 000, whose
squared error is .0002 by then and hardly falls: what is slow is that unit and not the
memory (decision 014). By Adam, at T = 100: .0004 (LSTM), .0003 (GRU), .003 (four_gate),
all networks of each, and .18 (RNN, never off 1/6). At 1/6 stay the LSTM 706 updates,
the GRU 209, the four-gate cell 424; at 1/12 each less than 50 more. The RNN at T = 200:
.17.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import (
    cli,
    compiling,
    memory_limit,
    online,
    records,
    training,
    two_blocks,
)
from experiments.common.cli import option
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record
from experiments.common.rows import Row, verdict_lines
from experiments.common.two_blocks import NUM_TEST, Setting
from experiments.criteria.adding import checks, table
from experiments.figures.adding import plot
from lstm_jax.training import runs

NAME = "adding"
CELLS = ("rnn", "lstm", "gru", "four_gate")
TASKS_OF_1997 = {
    "logistic": lj.tasks.logistic_outputs(lj.TASKS["adding_1997"]),
    "linear": lj.TASKS["adding_1997"],
}
INPUT_BIASES = (-3.0, -6.0)


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is trained; every field is a flag."""

    outputs: tuple[str, ...] = option(
        tuple(TASKS_OF_1997),
        cli.list_of(cli.one_of(TASKS_OF_1997)),
        "output units of the nets of 1997",
    )
    num_nets: int = option(10, cli.integer(minimum=1), "nets of 1997, of each")
    lag: int = option(100, cli.integer(minimum=6), "T of 1997: lengths to 1.1 T")
    rate: float = option(0.5, cli.number(above=0), "learning rate of 1997")
    in_a_row: int = option(2000, cli.integer(minimum=1), "right sequences: solved")
    max_sequences: int = option(400_000, cli.integer(minimum=1), "of a net of 1997")
    cells: tuple[str, ...] = option(
        CELLS, cli.list_of(cli.one_of(lj.CELLS)), "trained today, at length"
    )
    length: int = option(100, cli.integer(minimum=2), "steps")
    long_cells: tuple[str, ...] = option(
        ("rnn",), cli.list_of(cli.one_of(lj.CELLS)), "trained at long_length too"
    )
    long_length: int = option(200, cli.integer(minimum=2), "steps")
    hidden_size: int = option(32, cli.integer(minimum=1), "units of a cell")
    num_seeds: int = option(5, cli.integer(minimum=1), "networks of each cell")
    num_steps: int = option(1500, cli.integer(minimum=1), "updates by Adam")
    batch_size: int = option(32, cli.integer(minimum=1), "sequences per update")
    learning_rate: float = option(1e-2, cli.number(above=0), "for Adam")
    num_test: int = option(2000, cli.integer(minimum=1), "test sequences of today")
    seed: int = option(0, cli.seed(), "everything random follows from it")


ROW = Row(
    number="6",
    title="Adding two numbers, 100 steps apart",
    source=(
        "Hochreiter & Schmidhuber (1997), experiment 4, table 7, "
        "https://doi.org/10.1162/neco.1997.9.8.1735; Arjovsky, Shah & Bengio (2016), "
        "https://arxiv.org/abs/1511.06464"
    ),
    sizes={
        "smoke": {
            "outputs": ("linear",), "num_nets": 2, "lag": 10, "rate": 1.0,
            "in_a_row": 20, "max_sequences": 8000, "cells": ("lstm",), "length": 20,
            "long_cells": ("rnn",), "long_length": 40, "hidden_size": 16,
            "num_seeds": 1, "num_steps": 300, "num_test": 200,
        },
        "standard": {},
        "paper": {
            "num_nets": 100, "max_sequences": 5_000_000, "long_cells": CELLS,
            "hidden_size": 128, "num_seeds": 20, "num_steps": 10_000,
            "num_test": 10_000,
        },
    },
    checks=checks,
)  # fmt: skip


def run(config: Config) -> Record:
    """Trains the nets of 1997 and those of today, and returns the record."""
    arrays = [
        ("lag", "num_nets", NUM_TEST),
        ("max_sequences", "num_nets", 2),  # losses, in float64
        ("num_seeds", "hidden_size", "hidden_size", 4),
    ]
    for steps in ("length", "long_length"):
        arrays += [(steps, "num_test", "hidden_size")]
        arrays += [(steps, "batch_size", "hidden_size", 8)]
    memory_limit.check(asdict(config), arrays)
    start = time.monotonic()
    todays = (len(config.cells) + len(config.long_cells)) * config.num_steps
    thens = len(config.outputs) * config.max_sequences
    with progress(thens + 10 * todays) as advance:
        found = _of_1997(config, advance)
        found |= _of_today(config, "", config.cells, config.length, advance)
        found |= _of_today(
            config, "long_", config.long_cells, config.long_length, advance
        )
    ends = online.ends_of_calls(config.max_sequences)
    axes = {
        "output": config.outputs,
        "sequence": ends,
        "cell": config.cells,
        "long_cell": config.long_cells,
    }
    record = records.new(NAME, asdict(config), start, found, axes=axes)
    lines = verdict_lines(checks(record))
    return record._replace(rows=table(record), verdict=["", *lines])


# -- 1997 ----------------------------------------------------------------------------


def _of_1997(config: Config, advance: Advance) -> dict[str, Quantity]:
    """Trains the same nets on the same sequences, by their output units."""
    key, key_test = (jax.random.key(config.seed + k) for k in range(2))
    trained = []
    for output in config.outputs:
        setting = Setting(
            TASKS_OF_1997[output],
            INPUT_BIASES,
            config.lag,
            config.rate,
            config.in_a_row,
            config.max_sequences,
        )
        tell = online.teller(advance, f"1997, {output} output")
        of = two_blocks.train(setting, config.num_nets, key, key_test, tell)
        trained.append(of)
    return two_blocks.quantities(trained, "output")


# -- Today ---------------------------------------------------------------------------


def _of_today(
    config: Config, prefix: str, cells: Sequence[str], length: int, advance: Advance
) -> dict[str, Quantity]:
    """Returns losses of training, and of the test, by cell."""
    losses, tests = [], []
    for cell in cells:
        advance(f"{cell}, T = {length}", 0)
        loss, test = _trained(config, cell, length)
        losses.append(loss)
        tests.append(test)
        advance(f"{cell}, T = {length}", 10 * config.num_steps)
    axis = f"{prefix}cell"
    return {
        f"{prefix}loss": Quantity(np.stack(losses), (axis, "seed", "update"), "1"),
        f"{prefix}test_loss": Quantity(np.stack(tests), (axis, "seed"), "1"),
    }


def _trained(config: Config, cell: str, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns losses (seed, update) and those on test sequences (seed,)."""
    recipe = training.recipe_of(config, lj.CELLS[cell], lj.TASKS["adding"], length)
    program = runs.program(
        recipe,
        most_steps=config.num_steps,
        runs_at_once=1,
        compiler_options=compiling.soon(),
    )
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    state = program.begin(keys, runs.Settings())
    state, history = program.steps(state, runs.Settings(), config.num_steps)
    # The same test sequences for every network, of a key that no training has.
    same = jnp.repeat(jax.random.key(config.seed + 1)[None], config.num_seeds)
    tested = program.test(same, state, config.num_test, length)
    return np.asarray(history.loss), np.asarray(tested.loss)


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
