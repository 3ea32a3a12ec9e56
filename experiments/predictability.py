"""Predictability decides parallelisation: where differences grow, Newton is no use.

Question: how many iterations does Newton's method on all states at once
(`lj.parallel_unroll`) take for T steps, and is it the largest Lyapunov exponent of the
run that decides?

  python -m experiments.predictability
  python -m experiments.predictability --cells=rnn,lstm --lengths=32,128

Source: Gonzalez et al. (2025), Predictability enables parallelization of nonlinear
state space models, https://arxiv.org/abs/2508.16817, figure 2, and the authors' code.

Settings. Its nets, s_t = W tanh(s_{t-1}) + u_t, here h_t = tanh(W h_{t-1} + u_t) of the
same W: W_ij ~ N(0, g²/N), the diagonal 0; u_t = A sin(ω t + φ) with A ~ U[0, 0.2],
ω ~ U[0.5, 3], φ ~ U[0, 2π] for every unit; float64. The source has N = 100, 20 seeds,
and T to 10 000. Beside it GRU, LSTM and the four-gate cell with recurrent weights
N(0, g²/N), their other weights and the input's as they begin: nobody has drawn them.
Iterations are those after which |r| <= sqrt(2e-10 / N) everywhere, so that the
source's merit, half the sum of the squares of r over T, is at most 1e-10.
λ_1 is that of the longest run itself; the forecast is made of its first 64 steps.

Expected. Iterations few and flat in T where λ_1 < 0, in proportion to T above; the
threshold is at 0. The source's figure says so, and 2 to 14 iterations for observers of
chaotic systems, which are predictable, at T = 30 000.

Found: 572 s on shared cores. At T = 512 a median of 4 iterations where λ_1 < -.05, and
400 where it is above .05; four times as many steps take 1 and 3.9 times as many. GRU,
LSTM and four-gate lie on the same curve, and the first 64 steps tell the side of 98 %
of the nets. One net of 24 stands apart, with 500 iterations at λ_1 = -.45. At g = 5 it
wanders for 96 steps (.3 nats per step) and then settles on a cycle (-.6), yet takes
64, 125, 249, 435, 496 iterations for 64, 128, 256, 448, 512 steps: which cycle, and
at which phase, the early steps decide, so that late states are guessed wrong until
they are reached. Without it the rank correlation is .986 instead of .838.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import cli, memory_limit, random_nets
from experiments.common.cli import option
from experiments.common.laws import Found, record_of, row
from experiments.common.records import Quantity, Record
from experiments.common.rows import Row, verdict_lines
from experiments.criteria.predictability import checks, few, many
from experiments.figures.predictability import plot
from lstm_jax.types import Carry, Params

NAME = "predictability"
OF_THE_SOURCE = "rnn"
MERIT = 1e-10


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    cells: tuple[str, ...] = option(
        (OF_THE_SOURCE, "gru", "lstm", "four_gate"),
        cli.list_of(cli.one_of(lj.CELLS)),
        "the networks; rnn is that of the source",
    )
    hidden_size: int = option(32, cli.integer(minimum=2), "units")
    gains: tuple[float, ...] = option(
        (0.5, 0.7, 0.9, 1.1, 1.4, 2.0, 3.0, 5.0),
        cli.list_of(cli.number(above=0)),
        "g of the nets",
    )
    lengths: tuple[int, ...] = option(
        (32, 64, 128, 256, 512), cli.list_of(cli.integer(minimum=2)), "T"
    )
    num_seeds: int = option(3, cli.integer(minimum=1), "nets per gain")
    seed: int = option(0, cli.seed(), "everything random follows from it")


ROW = Row(
    number="20",
    title="predictability decides parallelisation",
    source="Gonzalez et al. (2025), figure 2, https://arxiv.org/abs/2508.16817",
    sizes={
        "smoke": {
            "cells": ("rnn",),
            "gains": (0.5, 1.0, 5.0),
            "lengths": (16, 64),
            "num_seeds": 2,
            "hidden_size": 16,
        },
        "standard": {},
        "paper": {
            "hidden_size": 100,
            "num_seeds": 20,
            "lengths": (10, 30, 100, 300, 1000, 3000, 10_000),
        },
    },
    checks=checks,
)


def run(config: Config) -> Record:
    """Counts the iterations of every net at every length, and returns the record."""
    arrays = [
        ("lengths", "hidden_size", "hidden_size", 8),  # Jacobians and their products
        ("num_seeds", "hidden_size"),
    ]
    sizes = asdict(config) | {"lengths": max(config.lengths)}
    memory_limit.check(sizes, arrays, itemsize=8)
    with jax.enable_x64(True), random_nets.one_thread():
        record = record_of(NAME, config, {"iterations": _measured})
    lines = verdict_lines(checks(record))
    return record._replace(verdict=["", *lines])


# -- A net and its drive -------------------------------------------------------------


def net(cell: lj.Cell, key: jax.Array, size: int, gain: Any) -> tuple[Params, Carry]:
    """Returns a net with W_ij ~ N(0, g²/N), and where it begins."""
    params, start = random_nets.net(cell, key, size, gain, input_size=size)
    if cell.name == OF_THE_SOURCE:
        w_hh = params.w_hh * (1 - jnp.eye(size))
        params = params._replace(w_ih=jnp.eye(size), w_hh=w_hh)
    return params, start


def drive(key: jax.Array, num_steps: int, size: int) -> jax.Array:
    """Returns u_t of every unit, (time, units)."""
    bounds = ((0.0, 0.2), (0.5, 3.0), (0.0, 2 * np.pi))
    amplitude, frequency, phase = (
        jax.random.uniform(jax.random.fold_in(key, at), (size,), float, *between)
        for at, between in enumerate(bounds, start=10)
    )
    steps = jnp.arange(num_steps, dtype=float)[:, None]
    return amplitude * jnp.sin(frequency * steps + phase)


# -- What is measured ----------------------------------------------------------------


def _measured(config: Config) -> Found:
    exponents, forecasts, iterations = [], [], []
    for name in config.cells:
        along = partial(random_nets.side_by_side, seed=config.seed)
        along = partial(along, num_seeds=config.num_seeds, gains=config.gains)
        cell, size = lj.CELLS[name], config.hidden_size
        exponents.append(along(partial(_exponent, config, cell)))
        found = [along(partial(_iterations, cell, size, T)) for T in config.lengths]
        iterations.append(np.stack([counted for counted, _ in found], axis=-1))
        forecasts.append(found[-1][1])
    at = ("cell", "gain", "seed")
    return Found(
        arrays={
            "exponent": Quantity(np.stack(exponents), at, "nats/step"),
            "forecast": Quantity(np.stack(forecasts), at, "nats/step"),
            "iterations": Quantity(np.stack(iterations), (*at, "length"), "1"),
        },
        axes={"cell": config.cells, "gain": config.gains, "length": config.lengths},
        rows=_rows(config, np.stack(exponents), np.stack(iterations)),
    )


def _exponent(config: Config, cell: lj.Cell, key: jax.Array, gain: Any) -> jax.Array:
    """Returns λ_1 of the longest run itself: a net may settle after a wild start."""
    size = config.hidden_size
    params, start = net(cell, key, size, gain)
    xs = drive(key, max(config.lengths), size)
    return lj.lyapunov_exponents(cell, params, xs, 1, carry=start)[0]


def _iterations(
    cell: lj.Cell, size: int, length: int, key: jax.Array, gain: Any
) -> tuple[jax.Array, jax.Array]:
    """Returns the iterations for so many steps, and the forecast."""
    params, start = net(cell, key, size, gain)
    report = lj.parallel_unroll(
        cell,
        params,
        drive(key, length, size),
        start,
        tolerance=(2 * MERIT / size) ** 0.5,
        max_iterations=length,
    )[2]
    return report.iterations, report.exponent


def _rows(
    config: Config, exponents: np.ndarray, iterations: np.ndarray
) -> Sequence[dict[str, str]]:
    longest = max(config.lengths)
    at = config.lengths.index(longest)
    return [
        row(
            f"{name}, T = {longest}",
            "iterations where λ_1 < -0.05; above 0.05",
            f"{few(exponents[k], iterations[k, ..., at])}; "
            f"{many(exponents[k], iterations[k, ..., at])}",
            "few; about T",
        )
        for k, name in enumerate(config.cells)
    ]


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
