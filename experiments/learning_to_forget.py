"""Why does an LSTM have a forget gate? An endless stream of strings, without resets.

Question: where nothing marks the end of a string, which networks go on predicting the
symbol that repeats the second one of its string, and what becomes of their state?

  python -m experiments.learning_to_forget
  python -m experiments.learning_to_forget --cells=lstm,lstm_nfg,mgu --num_seeds=2

Source: Gers, Schmidhuber & Cummins (2000), Learning to forget: continual prediction
with LSTM, https://doi.org/10.1162/089976600300015015, the continual embedded Reber
grammar. Of 100 nets trained on-line, 18 predicted 10 streams of 100 000 symbols without
an error with forget gates, 62 where the learning rate decayed as well; without forget
gates none, and 74 with their states emptied at the end of every string (numbers through
notes on the paper; that LSTM fails without resets is in its abstract). Its figures of
the state over time show linear growth without a forget gate.

As in 2000. The paper's net (`experiments.common.forget_net`): 4 blocks of 2 cells,
output units that read the inputs too, 424 weights from U[-.2, .2] and its biases, a
truncated gradient carried forwards by traces, an update at a rate of 0.5 after every
symbol. A training stream ends at the first wrong prediction, the net's state with it;
10 test streams follow until one has an error, and a net that has none is done, at most
30 000 streams. Ours: streams of at most 1000 symbols, 1.2 million symbols a net, 20
nets of each kind; a prediction is right where every output unit is within .49 of
whether its symbol may come next. On other seeds and streams of 100 000 symbols, of 10
nets of each kind 6 were perfect with forget gates, none with a falling rate as well,
none without forget gates, and 10 with resets (decision 014).

By Adam. The task `lj.tasks.continual_embedded_reber`, 16 units, Adam at 0.01 behind a
clip of the norm to 1, 2000 updates on 16 streams of 200 steps (about 17 strings), which
begin with empty states; tests on 16 streams of 2000 steps, after 1/16, 1/8, 1/4, 1/2
and all of the updates. Cells, besides those of the library:

  lstm2000   the paper's cells, one to a block
  lstm_nfg   the LSTM with its forget gate held open: its bias is 100, where σ is 1 in
             float32 and its slope 0, so that f = 1 at every step and training can't
             change it. "NFG" is Greff et al.'s name (2017) for it
  ..._resets trained string by string, `lj.tasks.embedded_reber`, and tested on the same
             streams with the state emptied at every first symbol

The late part of a test is its second half. A string costs 12 predictions on average:
7 ln 2 nats if everything is known, 8 ln 2 without the second symbol, so that ln 2 is
what memory is worth. With resets the first symbol of a string is not counted (it costs
nothing to who knows the grammar).

Expected. As in 2000: with forget gates at least the published share perfect, on streams
a hundredth as long; at most a quarter as many without; at least half with resets;
without forget gates and resets at most .70 of the outer symbols right in 4 of 5 nets.
By Adam: with a forget gate at least .95 in 4 of 5 seeds; once the LSTM has learnt that,
at most .70 without, and a string at least .5 nats dearer. Norms of the late states at
least 5 times as large, of both.

The same of cells without a forget gate at the end of 2000 updates was asked as well. It
failed, and is told now and not asked: the values that the criteria go back to were seen
after 150 000 symbols of one stream, in a catalogue, https://github.com/cybertronai/
schmidhuber-problems, continual-embedded-reber; ours see 800 000 in 250 updates, and 6.4
million in 2000.

Found: 6 minutes on two cores. As in 2000, 12 of 20 nets are perfect with forget gates,
after 10 280 streams at the median (18 of 100 there, after 18 889), none without, and 16
with resets, after 5104 (74 of 100, after 7441). A falling rate hardly helps, 14 of 20,
and on streams of 100 000 not within our number of symbols: the paper's 62 of 100 are
not reproduced. Without a forget gate 17 of 20 nets have at most .70 of the outer
symbols, and states 200 times as large. By Adam the LSTM has learnt it after 250 updates
in 4 of 5 seeds, after 500 in all; without a forget gate none has by then, and a string
is .96 nats dearer. But after 2000 updates the LSTM with f = 1 has learnt it in 4 of 5
seeds, and so has lstm97, over ten times the length that they were trained on, while
their states grow to 4000 and more. What they have learnt is not to use their cells:
those are saturated, tanh(c) = ±1, and h = ±o is an RNN of output gates. A plain RNN
learns this task, as fast as a GRU. So a forget gate makes it easy; by whole gradients
it is not the only way, and by the truncated one of 2000 it is (decision 014).
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
from experiments.common import (
    cli,
    compiling,
    memory_limit,
    online_comparison,
    records,
    training,
)
from experiments.common.cli import ConfigError, option
from experiments.common.cores import on_all_cores
from experiments.common.online_streams import KINDS, SYMBOLS_PER_CALL, Setting
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record
from experiments.common.rows import Row, verdict_lines
from experiments.criteria.learning_to_forget import RIGHT, checks, table
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
    kinds: tuple[str, ...] = option(
        tuple(KINDS), cli.list_of(cli.one_of(KINDS)), "of the nets of 2000"
    )
    nets_of_2000: int = option(20, cli.integer(minimum=0), "nets of 2000, of each kind")
    num_symbols: int = option(
        1_200_000, cli.integer(minimum=1), "symbols of a net of 2000, with its tests"
    )
    most_symbols: int = option(
        1000, cli.integer(minimum=1), "symbols of one of its streams; 100 000 there"
    )
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Checks each field, and that a net of 2000 can pass all its tests."""
        super().__post_init__()
        tests = setting_of_2000(self).num_tests * self.most_symbols
        if self.nets_of_2000 and self.num_symbols <= tests:
            raise ConfigError(
                f"num_symbols: got {self.num_symbols}; it must be above {tests}, the "
                f"symbols of 10 test streams of most_symbols, {self.most_symbols}"
            )


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
        ("nets_of_2000", SYMBOLS_PER_CALL),
        ("nets_of_2000", "test_length"),
    ]
    memory_limit.check(asdict(config), arrays)
    start = time.monotonic()
    parts = len(config.kinds) * bool(config.nets_of_2000) + len(config.cells)
    with progress(parts * config.num_symbols) as advance:
        of_2000, *found = on_all_cores(
            [partial(_of_2000, config, advance)]
            + [partial(_by_adam, config, advance, name) for name in config.cells]
        )
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
            **of_2000,
        },
        axes={
            "cell": config.cells,
            "updates": checkpoints(config.num_steps),
            "kind": config.kinds,
        },
    )
    return record._replace(rows=table(record), verdict=_verdict(record))


# -- As in 2000 ----------------------------------------------------------------------


def setting_of_2000(config: Config) -> Setting:
    """Returns how the paper's nets are trained."""
    return Setting(config.num_symbols, config.most_symbols, reading="within")


def _of_2000(config: Config, advance: Advance) -> dict[str, Quantity]:
    """Trains and tests the paper's nets, if any, on-line."""
    if not config.nets_of_2000:
        return {}
    return online_comparison.compare(
        config.kinds,
        setting_of_2000(config),
        seed=config.seed,
        num_nets=config.nets_of_2000,
        test_shape=(config.num_test, config.test_length),
        advance=advance,
    )


# -- By Adam -------------------------------------------------------------------------


def checkpoints(num_steps: int) -> list[int]:
    """Returns after how many updates a network is tested, from a sixteenth to all."""
    return sorted({max(1, num_steps >> halvings) for halvings in range(5)})


def _by_adam(config: Config, advance: Advance, name: str) -> tuple[np.ndarray, Tested]:
    """Returns losses (seed, update), and tests with leaves (seed, updates, ...)."""
    advance(name, 0)
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
    advance(name, config.num_symbols)
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
            "num_test": 8, "nets_of_2000": 0,
        },
        "standard": {},
        "paper": {
            "num_seeds": 100, "num_steps": 8000, "test_length": 20_000,
            "nets_of_2000": 100, "num_symbols": 50_000_000, "most_symbols": 100_000,
        },
    },
    checks=checks,
)  # fmt: skip

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
