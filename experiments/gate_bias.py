"""What does the bias of the forget gate do? It is a time constant.

Question: how long does a forget gate of a given bias remember, exactly, and how much
sooner is a long lag learnt from a bias that remembers for as long as it lasts?

  python -m experiments.gate_bias
  python -m experiments.gate_bias --cells=lstm,four_gate --forget_biases=1,3,5

What is measured. (1) In float64, an LSTM whose weights are zero: dc_T/dc_0 by forward
derivatives of `lj.unroll`; the horizon 1/(1 - f), as the memory of a cell that is fed
with ones; both for biases 0 ... 5, for ln(T - 1) over T steps, and for a layer with
biases ln u, u ~ U[1, T_max - 1], as the mean over its units. (2) Noisy temporal order,
three symbols, T = 100, 8 classes: updates until 2000 sequences in a row are right
(every output within 0.3), from b_f = 1 and b_f = 5. (3) Copying over 200 steps, from
b_f = 1 and from chrono biases with T_max = 300.

Expected. (1) σ(b)^T; 1 + e^b; (1 - 1/T)^T; E[f^k]: to 1e-12. (2) Gers, Schmidhuber &
Cummins report that on this task an LSTM with forget gates is about 3 times slower from
a bias of 1 than from 5, with which it takes as long as the LSTM of 1997: a ratio of
medians in [1.3, 8] here. (3) Nothing is asked: Tallec & Ollivier propose the biases for
such lags; a team that repeated their copying for T = 500, one seed and 30 000 batches
of 32 at a rate of 1e-4, ended at losses of .0264 (chrono) and .0290 (b_f = 1), both
little below the .0400 of no memory, https://github.com/atremblay/chronoRNN.

Settings. (2) Modern: an LSTM of 16 units, Adam at 0.01 behind a clip of the norm to 1,
batches of 32, biases of the input gates -2, -4, -6 as in 1997, in turn over the units:
with b_i = 0 a cell of bias 5 fills with noise, and is no faster (docs/decisions/
014-calibration-gate_bias.md). Beside it, in the same way, the paper's net,
`lj.cells.lstm2000`, 3 blocks of 2 cells whose weights are from U[-.1, .1] (the output
units' are not). The paper's own training, string by string at a rate of 0.1, takes half
a million sequences, and is not run; other cells by `--cells`. (3) RMSProp at 1e-3 with
a decay of .9, 64 units, batches of 32, 3 seeds; T_max = 3 T / 2 is theirs.

Found: 8 minutes on two cores with four times as many jobs. (1) To 2e-13 at most. (2)
Medians of 5 seeds: 1566 updates from b_f = 1 (two seeds not in 3000) and 518 from 5, a
ratio of 3.0; of the paper's net, 2 of 5 seeds solve it from 1, all from 5, in 655. (3)
After 600 updates nobody copies: losses of 1.25 [.86, 1.64] (b_f = 1) and 1.83 [1.73,
1.94] (chrono) times that of no memory.

Sources: Gers, Schmidhuber & Cummins (2000), Learning to forget,
https://doi.org/10.1162/089976600300015015; Hochreiter & Schmidhuber (1997), experiment
6b, https://doi.org/10.1162/neco.1997.9.8.1735; Tallec & Ollivier (2018), Can recurrent
neural networks warp time?, https://arxiv.org/abs/1804.11188.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from experiments.common import cli, compiling, memory_limit, rows, training, wording
from experiments.common.cli import option
from experiments.common.laws import Found, record_of, row
from experiments.common.records import Quantity, Record
from experiments.common.rows import Row, verdict_lines
from experiments.common.variants import HAS_FORGET_BIAS, options_of
from experiments.criteria.gate_bias import JUDGED_CELL, LAG, LONGEST, checks
from experiments.figures.gate_bias import plot
from lstm_jax import initializers, theory
from lstm_jax.tasks.copy_memory import COPY_MEMORY

NAME = "gate_bias"
BIASES = (0.0, 1.0, 2.0, 3.0, 5.0)
LAGS = (1, 10, 100, 500, 1000, 2000)
NODES = 64
HORIZONS = 40  # e^-40 is below the last digit of a float64
SOURCE_CELL = "lstm2000"
CELLS = {SOURCE_CELL: lj.cells.lstm2000(block_size=2)} | {
    name: lj.CELLS[name] for name in HAS_FORGET_BIAS
}
SOURCE_UNITS = 6
INPUT_BIASES = (-2.0, -4.0, -6.0)  # of the three blocks in experiment 6b
STARTS = ("b_f = 1", "chrono")


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is trained; every field is a flag. What is exact has no options."""

    cells: tuple[str, ...] = option(
        (JUDGED_CELL, SOURCE_CELL), cli.list_of(cli.one_of(CELLS)), "for temporal order"
    )
    forget_biases: tuple[float, ...] = option(
        (1.0, 5.0), cli.list_of(cli.number()), "b_f, for temporal order"
    )
    num_seeds: int = option(5, cli.integer(minimum=1), "networks of each bias")
    length: int = option(110, cli.integer(minimum=10), "steps, T is 10/11 of it")
    hidden_size: int = option(
        16, cli.integer(minimum=1), f"units of all but {SOURCE_CELL}"
    )
    batch_size: int = option(32, cli.integer(minimum=1), "sequences per update")
    learning_rate: float = option(1e-2, cli.number(above=0), "for Adam")
    num_steps: int = option(3000, cli.integer(minimum=1), "updates at most")
    stop_after: int = option(
        2000, cli.integer(minimum=1), "right sequences in a row that end a training"
    )
    copy_lag: int = option(200, cli.integer(minimum=2), "T of the copy")
    copy_units: int = option(64, cli.integer(minimum=1), "units of its LSTM")
    copy_seeds: int = option(
        3, cli.integer(minimum=0), "networks of each start; 0 for no copying"
    )
    copy_steps: int = option(600, cli.integer(minimum=1), "updates of each")
    copy_batch: int = option(32, cli.integer(minimum=1), "sequences per update")
    seed: int = option(0, cli.seed(), "everything random follows from it")


def run(config: Config) -> Record:
    """Measures the gates, trains the networks, and returns the record."""
    networks = len(config.forget_biases) * len(config.cells)
    arrays = [
        ("length", "batch_size", "hidden_size", 8, "num_seeds", networks),
        ("hidden_size", "hidden_size", 4, "num_seeds", networks),
        ("copy_lag", "copy_batch", "copy_units", 8, "copy_seeds", len(STARTS)),
        ("copy_units", "copy_units", 4, "copy_seeds", len(STARTS)),
        ("copy_steps", "copy_seeds", len(STARTS)),
    ]
    memory_limit.check(asdict(config), arrays)
    parts = {
        "zero weights": _exact,
        "temporal order": _temporal_order,
    } | ({"copying": _copying} if config.copy_seeds else {})
    record = record_of(NAME, config, parts)
    found = verdict_lines(checks(record))
    return record._replace(verdict=[*record.verdict, *found])


# -- Zero weights --------------------------------------------------------------------


def gates_alone(forget_bias: Any, *, write: bool) -> lj.LSTMParams:
    """Returns an LSTM with zero weights and one unit for each bias of the forget gate.

    With `write`, i = g = 1; else i = 1/2 and g = 0, so that nothing is written.
    """
    b_f = np.atleast_1d(np.asarray(forget_bias, np.float64))
    nothing, full = np.zeros_like(b_f), np.full_like(b_f, 100.0 if write else 0.0)
    return lj.LSTMParams(
        w_ih=jnp.zeros((1, 4 * b_f.size)),
        w_hh=jnp.zeros((b_f.size, 4 * b_f.size)),
        b=jnp.asarray(np.concatenate([full, b_f, full, nothing])),
    )


def shares(forget_bias: Any, lags: Any) -> np.ndarray:
    """Returns dc_T/dc_0 over each lag T, (lag, unit), by forward derivatives."""
    params, lags = gates_alone(forget_bias, write=False), jnp.asarray(lags)
    start = jnp.ones((lags.size, params.b.size // 4))
    silence = jnp.zeros((int(lags.max()), lags.size, 1))

    def kept(c):
        begun = lj.LSTM.init_carry(params, (lags.size,))._replace(c=c)
        return lj.unroll(lj.LSTM, params, silence, begun, lengths=lags)[0].c

    slope = jax.jit(lambda c: jax.jvp(kept, (c,), (jnp.ones_like(c),))[1])
    return np.asarray(slope(start))


def horizons(forget_bias: Sequence[float]) -> np.ndarray:
    """Returns what cells hold after being fed with ones for long, (unit,)."""
    num_steps = int(np.ceil(HORIZONS * (1 + np.exp(max(forget_bias)))))
    params = gates_alone(forget_bias, write=True)
    fed, _ = lj.unroll(lj.LSTM, params, jnp.zeros((num_steps, 1)))
    return np.asarray(fed.c)


def population(t_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns biases ln u, u in [1, t_max - 1], of a layer, and how much each counts.

    The units stand at the nodes of Gauss-Legendre quadrature in ln u.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    half = np.log(t_max - 1) / 2
    biases = half * (1 + nodes)
    return biases, weights * half * np.exp(biases) / (t_max - 2)


def _exact(config: Config) -> Found:
    del config
    layer, counts = population(LONGEST)
    biases = np.concatenate([BIASES, theory.chrono_bias(LAGS[1:]), layer])
    with jax.enable_x64(True):
        kept, held = shares(biases, LAGS), horizons(BIASES)
    of_biases, of_spans, of_layer = np.split(kept, [len(BIASES), -NODES], axis=1)
    found = {
        "share": of_biases[LAGS.index(LAG)],
        "horizon": held,
        "chrono_share": np.diagonal(of_spans[1:]),
        "population_share": of_layer @ counts,
    }
    axes = {"bias": BIASES, "span": LAGS[1:], "lag": LAGS}
    names = dict(zip(found, ("bias", "bias", "span", "lag"), strict=True))
    units = {"horizon": "steps"}
    return Found(
        arrays={
            name: Quantity(values, (names[name],), units.get(name, "1"))
            for name, values in found.items()
        },
        axes=axes,
        rows=_exact_rows(found),
    )


def _exact_rows(found: Mapping[str, np.ndarray]) -> list[dict[str, str]]:
    shares, held = found["share"], found["horizon"]
    spans, means = found["chrono_share"], found["population_share"]
    return [
        row(f"b_f = {b:g}", f"dc_T/dc_0, T = {LAG}; horizon", f"{s:.4g}; {h:.5g}",
            f"{float(theory.carousel_share(b, LAG)):.4g}; "
            f"{float(theory.carousel_horizon(b)):.5g}")
        for b, s, h in zip(BIASES, shares, held, strict=True)
    ] + [
        row(f"b_f = ln({t} - 1)", f"dc_T/dc_0, T = {t}", f"{s:.6f}",
            f"{float(theory.chrono_share(t)):.6f}")
        for t, s in zip(LAGS[1:], spans, strict=True)
    ] + [
        row(f"chrono, T_max = {LONGEST}", f"mean of f^k, k = {k}", f"{m:.5f}",
            f"{float(theory.chrono_population_share(k, LONGEST)):.5f}")
        for k, m in zip(LAGS, means, strict=True)
    ]  # fmt: skip


# -- Temporal order ------------------------------------------------------------------


def _temporal_order(config: Config) -> Found:
    """Trains from every bias; a network that hasn't solved it took inf updates."""
    updates = np.stack([_updates(config, cell) for cell in config.cells])
    texts = wording.told_apart(config.forget_biases)
    table = [
        row(f"temporal order, {cell}, b_f = {text}", "updates, by seed; median",
            f"{', '.join(f'{n:g}' for n in np.sort(of))}; {np.median(of):g}", "")
        for cell, of_cell in zip(config.cells, updates, strict=True)
        for text, of in zip(texts, of_cell, strict=True)
    ]  # fmt: skip
    return Found(
        arrays={"updates": Quantity(updates, ("cell", "forget_bias", "seed"), "1")},
        axes={"cell": config.cells, "forget_bias": config.forget_biases},
        rows=table,
    )


def start_of(cell: str, hidden_size: int) -> dict[str, Any]:
    """Returns the options of `init`: the paper's weights for its cell, and its biases.

    A cell without biases of input gates goes without them.
    """
    if cell == SOURCE_CELL:
        small = lambda *of: 0.2 * jax.random.uniform(*of) - 0.1
        own = {"input_init": small, "recurrent_init": small}
        return own | {"input_bias": jnp.array(INPUT_BIASES)}
    in_turn = jnp.resize(jnp.array(INPUT_BIASES), (hidden_size,))
    return {"input_bias": in_turn} if "input_bias" in options_of(cell) else {}


def _updates(config: Config, cell: str) -> np.ndarray:
    """Returns the updates until it is solved, (forget_bias, seed)."""
    biases, seeds = config.forget_biases, config.num_seeds
    keys = jax.random.split(jax.random.key(config.seed), seeds)
    of_runs = jnp.repeat(jnp.array(biases), seeds)
    units = SOURCE_UNITS if cell == SOURCE_CELL else config.hidden_size
    start = start_of(cell, units)
    own = {"forget_bias": of_runs}
    if "input_bias" in start:  # an array has an entry for each run
        own["input_bias"] = jnp.tile(start["input_bias"], (of_runs.size, 1))
    train = partial(
        lj.train_many,
        cell=CELLS[cell],
        task=lj.tasks.temporal_order(3),
        optimizer_of=partial(training.optimizer, config.learning_rate),
        hyperparams={},
        hidden_size=units,
        num_steps=config.num_steps,
        batch_size=config.batch_size,
        length=config.length,
        stop_after=config.stop_after,
        runs_at_once=1,  # one that has solved it costs nothing more
    )
    of_all = jax.jit(
        lambda keys, own: train(keys, init_options=start | own)[0].solved_at,
        compiler_options=compiling.soon(),
    )
    solved = np.asarray(of_all(jnp.tile(keys, len(biases)), own), np.float64)
    return np.where(solved < 0, np.inf, solved).reshape(len(biases), seeds)


# -- Copying -------------------------------------------------------------------------


def starts(config: Config) -> dict[str, jax.Array]:
    """Returns the biases of i and f, (start * seed, unit), with T_max = 3 T / 2."""
    keys = jax.random.split(jax.random.key(config.seed + 1), config.copy_seeds)
    draw = partial(
        initializers.chrono_biases,
        hidden_size=config.copy_units,
        max_lag=3 * config.copy_lag / 2,
        dtype=jnp.float32,
    )
    chrono = [draw(key) for key in keys]
    forget = jnp.stack([of.forget_bias for of in chrono])
    standard = jnp.ones_like(forget)
    return {
        "forget_bias": jnp.concatenate([standard, forget]),
        "input_bias": jnp.concatenate([0 * standard, -forget]),
    }


def _copying(config: Config) -> Found:
    keys = jax.random.split(jax.random.key(config.seed), config.copy_seeds)
    train = partial(
        lj.train_many,
        cell=lj.LSTM,
        task=COPY_MEMORY,
        optimizer_of=lambda: optax.rmsprop(1e-3, decay=0.9),
        hyperparams={},
        hidden_size=config.copy_units,
        num_steps=config.copy_steps,
        batch_size=config.copy_batch,
        length=config.copy_lag + 20,
        runs_at_once=1,
    )
    of_all = jax.jit(
        lambda keys, options: train(keys, init_options=options)[1].loss,
        compiler_options=compiling.soon(),
    )
    losses = np.asarray(of_all(jnp.tile(keys, len(STARTS)), starts(config)))
    losses = losses.reshape(len(STARTS), config.copy_seeds, config.copy_steps)
    floor = COPY_MEMORY.floor(config.copy_lag + 20)
    last = losses[..., -max(1, config.copy_steps // 10) :].mean(-1) / floor
    table = [
        row(f"copy, T = {config.copy_lag}, {start}", "last loss / no memory",
            rows.mean(of, ".3f"), "")
        for start, of in zip(STARTS, last, strict=True)
    ]  # fmt: skip
    return Found(
        arrays={
            "copy_loss": Quantity(losses, ("start", "copy_seed", "update"), "nats")
        },
        axes={"start": STARTS},
        rows=table,
        lines=[
            f"Copying over {config.copy_lag} steps, {config.copy_steps} updates, "
            f"{config.copy_seeds} seeds: chrono minus b_f = 1 is "
            f"{rows.mean(last[1] - last[0], '+.3f')} of the loss without memory; "
            "reported, not judged."
        ],
    )  # fmt: skip


ROW = Row(
    number="10",
    title="The bias of the forget gate is a time constant",
    source="Gers, Schmidhuber & Cummins (2000), "
    "https://doi.org/10.1162/089976600300015015; Tallec & Ollivier (2018), "
    "https://arxiv.org/abs/1804.11188",
    sizes={
        "smoke": {
            "cells": (JUDGED_CELL,), "length": 33, "num_seeds": 1, "hidden_size": 8,
            "num_steps": 1500, "learning_rate": 2e-2, "stop_after": 200,
            "copy_seeds": 0,
        },
        "standard": {},
        "paper": {
            "num_seeds": 20, "num_steps": 20_000, "copy_units": 128, "copy_seeds": 5,
            "copy_steps": 10_000, "copy_batch": 50,
        },
    },
    checks=checks,
)  # fmt: skip

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
