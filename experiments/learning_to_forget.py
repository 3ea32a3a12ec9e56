"""Why does an LSTM have a forget gate? An endless stream of strings, without resets.

Question: where nothing marks the end of a string, which networks go on predicting the
symbol that repeats the second one of its string, and what becomes of their state?

  python -m experiments.learning_to_forget
  python -m experiments.learning_to_forget --cells=lstm,lstm_nfg,mgu --num_seeds=2

Source: Gers, Schmidhuber & Cummins (2000), Learning to forget: continual prediction
with LSTM, https://doi.org/10.1162/089976600300015015, the continual embedded Reber
grammar. Of 100 nets trained on-line, 18 % predicted 1e6 symbols without an error with
forget gates, 62 % where the learning rate decayed as well; of LSTMs without forget
gates 74 % did, but only with their states reset at the end of every string (numbers
through notes on the paper; that LSTM fails without resets is in its abstract). Its
figures of the state over time show linear growth without a forget gate.

Setting, modern; told apart from the paper's wherever both stand. The task
`lj.tasks.continual_embedded_reber`, 16 units, Adam at 0.01 behind a clip of the norm
to 1, 2000 updates on 16 streams of 200 steps (about 17 strings), which begin with empty
states; tests on 16 streams of 2000 steps, after 1/16, 1/8, 1/4, 1/2 and all of the
updates. Cells, besides those of the library:

  lstm2000   the paper's cells, one to a block
  lstm_nfg   the LSTM with its forget gate held open: its bias is 100, where σ is 1 in
             float32 and its slope 0, so that f = 1 at every step and training can't
             change it. "NFG" is Greff et al.'s name (2017) for it
  ..._resets trained string by string, `lj.tasks.embedded_reber`, and tested on the same
             streams with the state emptied at every first symbol

The paper's own net (424 weights, blocks of 2, shortcuts from inputs to outputs,
truncated gradient, an update after every symbol) is not run: it needs on-line learning
within a stream, which `lj.train` does not have.

The late part of a test is its second half. A string costs 12 predictions on average:
7 ln 2 nats if everything is known, 8 ln 2 without the second symbol, so that ln 2 is
what memory is worth. With resets the first symbol of a string is not counted (it costs
nothing to who knows the grammar).

Found: 7 minutes on one core. After 250 updates the LSTM has learnt it in 4 of 5 seeds,
after 500 in all; without a forget gate none has, and a string is .95 nats dearer. But
after 2000 updates the LSTM with f = 1 has learnt it in 4 of 5 seeds, and lstm97 in all,
over ten times the length that they were trained on, while their states grow to 4000 and
more. What they have learnt is not to use their cells: those are saturated, tanh(c) =
±1, and h = ±o is an RNN of output gates. Frozen at ±1e8, they answer as before in all
nets of lstm97, and in 3 of 5 with f = 1 (decision 014). And a plain RNN learns this
task, as fast as a GRU. A forget gate makes it easy; by Adam, it is not the only way.

Expected: outer symbols right with a forget gate at least .95 in 4 of 5 seeds; without,
and without resets, at most .70; norms of the late states at least 5 times as large;
a string at least .5 nats dearer.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import cli, compiling, memory_limit, records, training
from experiments.common.cli import option
from experiments.common.progress import progress
from experiments.common.records import Quantity, Record, take
from experiments.common.rows import Row, mean, verdict_lines
from experiments.criteria.learning_to_forget import RIGHT, checks, late_norm
from experiments.figures.learning_to_forget import plot
from lstm_jax import readouts
from lstm_jax.tasks import losses
from lstm_jax.tasks.embedded_reber import ALPHABET, CONTINUAL, is_outer, symbols_of
from lstm_jax.tasks.grammar import legal_next
from lstm_jax.training import loop, runs
from lstm_jax.training.runs import Recipe, Settings

NAME = "learning_to_forget"
RESETS = "_resets"
CELLS = {**lj.CELLS, "lstm2000": lj.cells.LSTM2000, "lstm_nfg": lj.LSTM}
NAMES = (*CELLS, *(name + RESETS for name in CELLS))
COMPARED = (
    *("lstm", "lstm2000", "lstm_nfg", "lstm97", "lstm_nfg_resets", "lstm97_resets"),
    *("rnn", "gru", "four_gate"),
)
FORGET_BIASES = {"lstm": 1.0, "lstm_nfg": 100.0}  # the library's, and f = 1
LONGEST_STRING = 40  # steps; of 1000 strings two are longer
STRING = 12  # symbols on average


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is trained; every field is a flag."""

    cells: tuple[str, ...] = option(
        COMPARED, cli.list_of(cli.one_of(NAMES)), "cells, also with resets"
    )
    length: int = option(200, cli.integer(minimum=8), "steps of a stream in training")
    hidden_size: int = option(16, cli.integer(minimum=1), "units of a cell")
    num_seeds: int = option(5, cli.integer(minimum=1), "networks of each cell")
    num_steps: int = option(2000, cli.integer(minimum=1), "training updates")
    batch_size: int = option(16, cli.integer(minimum=1), "streams per update")
    learning_rate: float = option(1e-2, cli.number(above=0), "for Adam")
    test_length: int = option(2000, cli.integer(minimum=100), "steps of a test stream")
    num_test: int = option(16, cli.integer(minimum=1), "test streams")
    seed: int = option(0, cli.seed(), "everything random follows from it")


class Tested(NamedTuple):
    """What one network does on the test streams.

    Attributes:
      accuracy: of the outer symbols, in the whole test.
      string_nats: loss of a string, in the late part.
      norm: of the memory after each step, mean over streams, (time,).
      faultless: share of the streams in which all legal symbols are most active, at
        every step.
    """

    accuracy: Any
    string_nats: Any
    norm: Any
    faultless: Any


def run(config: Config) -> Record:
    """Trains and tests every network, and returns the record."""
    arrays = [
        ("length", "batch_size", "hidden_size"),
        ("test_length", "num_test", "hidden_size"),
        ("num_seeds", "hidden_size", "hidden_size"),
        ("num_seeds", "test_length"),
    ]
    memory_limit.check(asdict(config), arrays)
    start, found = time.monotonic(), []
    with progress(len(config.cells)) as advance:
        for name in config.cells:
            advance(name, 0)
            found.append(_trained_and_tested(config, name))
            advance(name, 1)
    losses_of, tests = zip(*found, strict=True)
    tested = Tested(*(np.stack(of) for of in zip(*tests, strict=True)))
    networks = ("cell", "seed")
    over_training = (*networks, "updates")
    record = records.new(
        NAME,
        asdict(config),
        start,
        {
            "loss": Quantity(np.stack(losses_of), (*networks, "update"), "nats"),
            "accuracy": Quantity(tested.accuracy, over_training, "1"),
            "string_nats": Quantity(tested.string_nats, over_training, "nats"),
            "norm": Quantity(tested.norm[:, :, -1], (*networks, "time"), "1"),
            "faultless": Quantity(tested.faultless, over_training, "1"),
        },
        axes={"cell": config.cells, "updates": checkpoints(config.num_steps)},
    )
    return record._replace(rows=_rows(record), verdict=_verdict(record))


# -- Training and testing ------------------------------------------------------------


def checkpoints(num_steps: int) -> list[int]:
    """Returns after how many updates a network is tested, from a sixteenth to all."""
    return sorted({max(1, num_steps >> halvings) for halvings in range(5)})


def _trained_and_tested(config: Config, name: str) -> tuple[np.ndarray, Tested]:
    """Returns losses (seed, update), and tests with leaves (seed, updates, ...)."""
    cell, resets = name.removesuffix(RESETS), name.endswith(RESETS)
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    options = {}
    if cell in FORGET_BIASES:  # as an argument: one program for both
        bias = np.full(config.num_seeds, FORGET_BIASES[cell], np.float32)
        options = {"forget_bias": bias}
    settings = Settings(init_options=options)
    program = _program(config, CELLS[cell], resets)
    test = _tester(config.num_test, config.test_length, CELLS[cell], resets)
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    states, seen, tests = program.begin(keys, settings), [], []
    for count in np.diff([0, *checkpoints(config.num_steps)]):
        states, history = program.steps(states, settings, int(count))
        seen.append(np.asarray(history.loss)[:, :count])
        tests.append(test(key, states.params))
    stacked = [np.stack(of, axis=1) for of in zip(*tests, strict=True)]
    return np.concatenate(seen, axis=1), Tested(*stacked)


@cache
def _program(config: Config, cell: lj.Cell, resets: bool) -> runs.Program:
    """Returns the training of a cell; it compiles once for all its biases.

    With resets a batch has as many steps as without, padding included.
    """
    strings = -(-config.batch_size * config.length // LONGEST_STRING)
    streams = Recipe(
        cell,
        lj.tasks.CONTINUAL_EMBEDDED_REBER,
        partial(training.optimizer, config.learning_rate),
        hidden_size=config.hidden_size,
        batch_size=config.batch_size,
        length=config.length,
    )
    one_by_one = streams._replace(
        task=lj.tasks.EMBEDDED_REBER, batch_size=strings, length=LONGEST_STRING
    )
    return runs.program(
        one_by_one if resets else streams,
        most_steps=config.num_steps,
        runs_at_once=1,
        compiler_options=compiling.soon(),
    )


@cache
def _tester(num_test: int, length: int, cell: lj.Cell, resets: bool) -> Any:
    """Returns a compiled function: key, models -> `Tested`, leaves (model, ...)."""

    def test(key, models):
        batch = lj.tasks.CONTINUAL_EMBEDDED_REBER.sample(key, num_test, length)
        of_one = lambda model: tested(cell, model, batch, resets=resets)
        return jax.lax.map(of_one, models)

    return jax.jit(test, compiler_options=compiling.soon())


def tested(
    cell: lj.Cell, model: loop.ModelParams, batch: lj.tasks.Batch, *, resets: bool
) -> Tested:
    """Returns how one network does on streams, with or without resets."""
    starts = begins(batch) if resets else None
    _, ys = lj.unroll(cell, model.cell, batch.inputs, resets=starts)
    values = lj.trace(cell, model.cell, batch.inputs, resets=starts)
    outputs = readouts.linear(model.readout, ys)
    return scored(outputs, values[cell.memory or "h"], batch, resets)


def begins(batch: lj.tasks.Batch) -> jax.Array:
    """Returns where a string begins, (time, batch): B after E, or the first step."""
    symbols = symbols_of(batch)
    before = jnp.roll(symbols, 1, axis=0).at[0].set(ALPHABET.index("E"))
    return (symbols == ALPHABET.index("B")) & (before == ALPHABET.index("E"))


def scored(
    outputs: jax.Array, memory: jax.Array, batch: lj.tasks.Batch, resets: bool
) -> Tested:
    """Returns what outputs and memories (time, batch, ...) say of one network."""
    first = jnp.roll(begins(batch), -1, axis=0)
    asked = ~first if resets else jnp.ones_like(first)
    late = jnp.arange(len(outputs))[:, None] >= len(outputs) // 2
    logs = jax.nn.log_softmax(outputs)
    nats = -jnp.take_along_axis(logs, batch.targets[..., None], -1)[..., 0]
    legal = legal_next(CONTINUAL, symbols_of(batch))
    faults = ~losses.legal_most_active(outputs, batch, legal) & asked
    return Tested(
        accuracy=losses.share(losses.argmax_right(outputs, batch), is_outer(batch)),
        string_nats=(STRING - resets) * jnp.mean(nats, where=late & asked),
        norm=jnp.linalg.norm(memory, axis=-1).mean(-1),
        faultless=jnp.mean(~faults.any(0)),
    )


# -- Table, verdict, row -------------------------------------------------------------


def _rows(record: Record) -> list[dict[str, str]]:
    rows = []
    for cell in record.axes["cell"]:
        of = lambda name, cell=cell: take(record, name, cell=cell)
        accuracy, norm = of("accuracy"), late_norm(record, cell)
        solved = (accuracy >= RIGHT).mean(0)
        row = {"cell": cell, "outer symbols right": mean(accuracy[:, -1], ".3f")}
        for updates, share in zip(record.axes["updates"], solved, strict=True):
            row[f"learnt, {updates}"] = f"{share:.1f}"
        row["late nats a string"] = mean(of("string_nats")[:, -1], ".3f")
        row["late norm"] = f"{_short(norm.min())} to {_short(norm.max())}"
        row["no fault"] = f"{of('faultless')[:, -1].mean():.2f}"
        rows.append(row)
    return rows


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _verdict(record: Record) -> Sequence[str]:
    known, without = 7 * np.log(2), 8 * np.log(2)
    return [
        "",
        f"Learnt, n: share of the seeds with {RIGHT} of the outer symbols right after "
        "n updates; no fault: share of the test streams without one.",
        f"A string costs {known:.3f} nats at best, {without:.3f} without its second "
        "symbol.",
        *verdict_lines(checks(record)),
    ]


ROW = Row(
    number="8",
    title="Learning to forget: a stream without resets",
    source=(
        "Gers, Schmidhuber & Cummins (2000), "
        "https://doi.org/10.1162/089976600300015015"
    ),
    sizes={
        "smoke": {
            "cells": ("lstm", "lstm_nfg"), "length": 100, "num_seeds": 1,
            "num_steps": 200, "learning_rate": 2e-2, "test_length": 1000,
            "num_test": 8,
        },
        "standard": {},
        "paper": {"num_seeds": 100, "num_steps": 8000, "test_length": 20_000},
    },
    checks=checks,
)  # fmt: skip

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
