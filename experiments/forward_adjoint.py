"""Why is backpropagation through time run backwards? A network that forgets decides.

Question: the gradient can be computed forwards in time, by inverse Jacobians; how long
may a sequence be until rounding has destroyed it?

  python -m experiments.forward_adjoint
  python -m experiments.forward_adjoint --moduli=0.8,0.98 --cells=rnn,gru

Source: Zucchet, Pourcel & Ernoult (2026), Forward propagation of errors through time,
https://nicolaszucchet.github.io/Forward-propagation-errors-through-time/, equations 6
to 9 and the section "It works! but it is extremely sensitive".

The algorithm. With J_t = dh_{t+1}/dh_t and g_t = dl_t/dh_t, the adjoint of L = Σ l_t
obeys d_t = J_tᵀ d_{t+1} + g_t backwards, so d_{t+1} = J_t⁻ᵀ (d_t - g_t) forwards. A
first pass from d'_0 = 0 gives what the second starts from,

    d_0 = J_0ᵀ J_1ᵀ ... J_{T-1}ᵀ (g_T - d'_T)

(equation 9 there has the other sign), and d_T must come out as g_T, which is known.

Settings. (1) h_t = λ h_{t-1} + x_t, λ complex and diagonal as in the source: 32 units,
|λ|² spread evenly over [r², 1], r its smallest modulus, phases at random; x and g white
noise. The relative error of d_T against T, in float32 and in float64, over lengths at
which r^-T = e^10 ... e^70 (float32) or e^300 (float64). (2) The same layer in float32:
cosine of forward and backward gradient of the input weights, against r, for lengths
100, 300, 1000. (3) Cells of this library, 8 units, float64, initial weights, white
noise: the rate at which the error of d_T grows, of the second pass alone, started from
the backward pass's d_0, and of both passes.

Expected. (1) Equation 7: ε becomes ε λ^-T, so ln error rises by -ln r a step; float64
reaches 53/24 = 2.2 times as far, a little more near r = 1, where it takes so many steps
that their rounding errors add up. (2) The figure there, whose values are not printed:
the gradient is useless below a modulus that rises with T. (3) Nothing is published. The
second pass amplifies by exp(-λ_n T), λ_n the smallest Lyapunov exponent. The first one
loses d_0 to ε |J_0ᵀ ... J_{T-1}ᵀ| |d'_T|, hence both together by exp((λ_1 - 2 λ_n) T):
units that mix forget twice. Where no unit mixes with another, as in (1), they don't.

Found: 93 s on two shared cores. All five criteria hold: (1) within 2.3 %, and float64
reaches 2.2 (r = .5) to 2.7 (r = .98) times as far; (2) half of the alignment is lost at
r = .841, .945, .985; (3) within 0.3 %, for rnn, lstm, gru and four_gate.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from threadpoolctl import threadpool_limits

import lstm_jax as lj
from experiments.common import cli, compiling, memory_limit, wording
from experiments.common.cli import option
from experiments.common.forwards import (
    Run,
    alignment,
    backwards,
    cell_jacobians,
    gradients,
    last_error,
    log_stretches,
    warmed_up,
)
from experiments.common.laws import Found, record_of, row
from experiments.common.records import Quantity, Record, take
from experiments.common.rows import Check, Row, verdict_lines
from experiments.figures.forward_adjoint import plot
from lstm_jax.types import PRNGKey

NAME = "forward_adjoint"
CELLS = ("rnn", "lstm", "gru", "four_gate")
PRECISIONS = ("float32", "float64")
PASSES = ("second", "both")
# Nats by which the fastest unit forgets: e^87 is the largest float32.
FORGOTTEN = {"float32": np.linspace(10, 70, 7), "float64": np.linspace(30, 300, 7)}
FORGOTTEN_BY_CELLS = (30, 270)
LONGEST = 600  # steps of a cell
HALF_LOST = 0.5


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    moduli: tuple[float, ...] = option(
        (0.5, 0.7, 0.9, 0.95, 0.98),
        cli.list_of(cli.number_in("(0, 1)")),
        "r, smallest |λ|",
    )
    num_units: int = option(32, cli.integer(minimum=2), "units of the linear layer")
    lengths: tuple[int, ...] = option(
        (100, 300, 1000), cli.list_of(cli.integer(minimum=10)), "T of the alignment"
    )
    cells: tuple[str, ...] = option(
        CELLS, cli.list_of(cli.one_of(lj.CELLS)), "cells of the library"
    )
    hidden_size: int = option(8, cli.integer(minimum=1), "units of a cell")
    num_seeds: int = option(8, cli.integer(minimum=2), "layers, and cells of each kind")
    seed: int = option(0, cli.seed(), "everything random follows from it")


def run(config: Config) -> Record:
    """Runs adjoints forwards, and returns the record."""
    longest = max(config.lengths)
    sizes = asdict(config) | {"lengths": longest}
    units = ("num_seeds", "num_units")
    states = ("num_seeds", "hidden_size", "hidden_size")
    memory_limit.check(sizes, [("lengths", *units), (LONGEST, *states)], itemsize=16)
    parts = {"error and length": _errors, "alignment": _alignments, "cells": _cells}
    # Of matrices so small, two threads of BLAS only wait for each other.
    one_thread = threadpool_limits(limits=1, user_api="blas")
    with jax.enable_x64(True), one_thread:
        record = record_of(NAME, config, parts)
    lines = verdict_lines(checks(record))
    return record._replace(verdict=["", *lines])


# -- One linear layer ----------------------------------------------------------------


def layer(config: Config, key: PRNGKey, modulus: Any, dtype: Any) -> Array:
    """Returns λ, (unit, 1, 1), as units that don't mix."""
    moduli = jnp.sqrt(jnp.linspace(modulus**2, 1, config.num_units))
    phases = jax.random.uniform(key, moduli.shape, maxval=2 * jnp.pi)
    drawn = jax.lax.complex(moduli * jnp.cos(phases), moduli * jnp.sin(phases))
    return drawn.astype(dtype)[:, None, None]


def white(key: PRNGKey, shape: tuple[int, ...], dtype: Any) -> Callable[[Any], Array]:
    """Returns t -> g_t, white noise, (time, *batch); g_0 = 0: h_0 is given."""
    drawn = jax.random.normal(key, shape, dtype).at[0].set(0)
    return lambda t: drawn[t]


def linear_run(
    config: Config, key: PRNGKey, modulus: Any, length: Any, dtype: Any, longest: int
) -> Run:
    """Returns a run of one layer, over at most `longest` steps."""
    key_layer, key_direct = jax.random.split(key)
    eigenvalues = layer(config, key_layer, modulus, dtype)
    direct = white(key_direct, (longest + 1, config.num_units, 1), dtype)
    return Run(lambda t: eigenvalues, direct, length)


def _errors(config: Config) -> Found:
    """Measures ln error of d_T against T, and its slope."""
    logs = {name: _log_errors(config, name) for name in PRECISIONS}
    fits = np.array([_fits(config, name, logs[name]) for name in PRECISIONS])
    axes = ("precision", "modulus", "seed")
    arrays = {
        f"log_error_{name}": Quantity(of, ("modulus", f"forgotten_{name}", "seed"), "1")
        for name, of in logs.items()
    }
    arrays["error_rate"] = Quantity(fits[:, :, 0], axes, "nats/step")
    arrays["error_start"] = Quantity(fits[:, :, 1], axes, "nats")
    entries: dict[str, Any] = {"modulus": config.moduli, "precision": PRECISIONS}
    entries |= {f"forgotten_{name}": FORGOTTEN[name].tolist() for name in PRECISIONS}
    return Found(arrays, entries, _error_rows(config, fits[:, :, 0]))


def _log_errors(config: Config, name: str) -> np.ndarray:
    """Returns ln of the relative errors of d_T, (modulus, length, seed)."""
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    dtype = jnp.complex64 if name == "float32" else jnp.complex128
    lengths = np.array([steps_of(r, FORGOTTEN[name]) for r in config.moduli])
    longest = int(lengths.max())

    @partial(jax.jit, compiler_options=compiling.soon())
    @partial(jax.vmap, in_axes=(None, None, 0), out_axes=1)
    def measure(modulus, lengths, key):
        def one(length):
            of = linear_run(config, key, modulus, length, dtype, longest)
            return last_error(of, warmed_up(of))

        return jax.lax.map(one, lengths)

    found = [measure(*of, keys) for of in zip(config.moduli, lengths, strict=True)]
    return np.array(found, np.float64)


def steps_of(modulus: float, forgotten: np.ndarray) -> np.ndarray:
    """Returns the lengths over which a unit of that modulus forgets so many nats."""
    return np.ceil(forgotten / -np.log(modulus)).astype(int)


def _fits(config: Config, name: str, logs: np.ndarray) -> list[np.ndarray]:
    """Returns slope and value at T = 0 of least-squares lines, (modulus, 2, seed)."""
    lengths = [steps_of(r, FORGOTTEN[name]) for r in config.moduli]
    return [np.polyfit(*of, 1) for of in zip(lengths, logs, strict=True)]


def _error_rows(config: Config, rates: np.ndarray) -> list[dict[str, str]]:
    return [
        row(
            f"linear, r = {text}",
            f"growth of the error, {name}",
            wording.rate(of.mean(), 4),
            wording.rate(-np.log(r), 4),
        )
        for name, of_name in zip(PRECISIONS, rates, strict=True)
        for r, text, of in zip(
            config.moduli, wording.told_apart(config.moduli), of_name, strict=True
        )
    ]


# -- The gradient of a layer ---------------------------------------------------------


def _alignments(config: Config) -> Found:
    """Measures the quality of the gradient in float32 against the smallest modulus."""
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    grid, longest = 1 - np.geomspace(0.5, 0.001, 25), max(config.lengths)

    @partial(jax.jit, compiler_options=compiling.soon())
    @partial(jax.vmap, in_axes=(0, None, None))
    @partial(jax.vmap, in_axes=(None, None, 0))
    def measure(modulus, length, key):
        of = linear_run(config, key, modulus, length, jnp.complex64, longest)
        key_x = jax.random.fold_in(key, 2)
        inputs = white(key_x, (longest + 1, config.num_units, 1), jnp.complex64)
        return alignment(*gradients(of, inputs))

    found = np.array([measure(grid, length, keys) for length in config.lengths])
    axes = ("length", "smallest_modulus", "seed")
    least = [_threshold(grid, of) for of in found.mean(-1)]
    lengths = zip(config.lengths, least, strict=True)
    return Found(
        arrays={
            "alignment": Quantity(found, axes, "1"),
            "least_modulus": Quantity(np.array(least), ("length",), "1"),
        },
        axes={"length": config.lengths, "smallest_modulus": grid.tolist()},
        rows=[
            row(
                f"linear, T = {length}",
                "r at which half the alignment is lost, float32",
                f"{at:.4f}",
                f"about {2 ** (-24 / length):.4f} (ε r^-T = 1)",
            )
            for length, at in lengths
        ],
    )


def _threshold(grid: np.ndarray, cosines: np.ndarray) -> float:
    """Returns the modulus above which the alignment stays above a half."""
    bad = np.flatnonzero(cosines < HALF_LOST)
    if not bad.size:
        return float(grid[0])
    k = bad[-1]
    if k + 1 == len(grid):
        return float(grid[-1])
    ends = cosines[k : k + 2]
    return float(np.interp(HALF_LOST, ends, grid[k : k + 2]))


# -- Cells ---------------------------------------------------------------------------


def _cells(config: Config) -> Found:
    """Measures how fast the error grows in cells, beside their exponents."""
    found = [_of_cell(config, name) for name in config.cells]
    rates, exponents = (np.array(of) for of in zip(*found, strict=True))
    expected = expected_rates(exponents)
    rows = [
        row(
            cell,
            f"growth of the error, {'both passes' if p else 'second pass alone'}",
            wording.rate(rates[c, p].mean()),
            wording.rate(expected[c, p].mean()),
        )
        for c, cell in enumerate(config.cells)
        for p in range(len(PASSES))
    ]
    ends, axes = ("cell", "end", "seed"), ("cell", "pass", "seed")
    return Found(
        arrays={
            "cell_rate": Quantity(rates, axes, "nats/step"),
            "exponent": Quantity(exponents, ends, "nats/step"),
        },
        axes={"cell": config.cells, "pass": PASSES, "end": ("largest", "smallest")},
        rows=rows,
    )


def expected_rates(exponents: np.ndarray) -> np.ndarray:
    """Returns -λ_n, and λ_1 - 2 λ_n, (cell, pass, seed)."""
    first, last = exponents[:, 0], exponents[:, 1]
    return np.stack([-last, first - 2 * last], axis=1)


def _of_cell(config: Config, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns rates (pass, seed), and the largest and smallest exponent (2, seed)."""
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    measure = partial(cell_jacobians, lj.CELLS[name], config.hidden_size, LONGEST + 1)
    jacobians = jax.jit(jax.vmap(measure), compiler_options=compiling.soon())(keys)
    stretches = log_stretches(np.asarray(jacobians))
    fastest = stretches[:, :, -1].mean()
    short, long = (int(np.ceil(nats / -fastest)) for nats in FORGOTTEN_BY_CELLS)
    short, long = min(short, LONGEST // 2), min(long, LONGEST)

    def errors(jacobians, key, length):
        direct = white(key, jacobians.shape[:2], jacobians.dtype)
        of = Run(lambda t: jacobians[t], direct, length)
        second = last_error(of, backwards(of))
        return jnp.stack([second, last_error(of, warmed_up(of))])

    both = jax.jit(jax.vmap(errors, in_axes=(0, 0, None)))
    at_short, at_long = (np.asarray(both(jacobians, keys, n)) for n in (short, long))
    exponents = stretches[:, short:long].mean(1)
    return ((at_long - at_short) / (long - short)).T, exponents[:, [0, -1]].T


# -- The row -------------------------------------------------------------------------


def checks(record: Record) -> list[Check]:
    """Returns the criteria of the row."""
    laws = -np.log(record.axes["modulus"])
    apart = np.abs(take(record, "error_rate").mean(-1) / laws - 1)
    reach = _reach(record)
    least, lengths = take(record, "least_modulus"), record.axes["length"]
    rising = bool((np.diff(least[np.argsort(lengths)]) > 0).all())
    quality = take(record, "alignment").mean(-1)
    expected = expected_rates(take(record, "exponent"))
    # Medians: in a few runs the first pass happens to round far better.
    cells = np.abs(np.median(take(record, "cell_rate") / expected, axis=-1) - 1)
    told = [f"{at:.3f} (T = {n})" for at, n in zip(least, lengths, strict=True)]
    return [
        Check(
            "the error grows by -ln r a step, within 5 %",
            "λ^-T ε, one unit",
            f"within {100 * apart.max():.1f} % for {apart.size} pairs of r and type",
            bool((apart <= 0.05).all()),
        ),
        Check(
            "the gradient is useless below a modulus, and that rises with T",
            "as a figure",
            f"half the alignment is lost at r = {', '.join(told)}",
            rising and bool((quality[:, 0] < 0.5).all()),
        ),
        Check(
            "float64 reaches at least twice as far as float32",
            "float64 improves it",
            f"{reach.mean():.2f} times ({reach.min():.2f} to {reach.max():.2f})",
            bool((reach >= 2).all()),
        ),
        Check(
            "in cells the second pass amplifies errors by -λ_n a step, within 5 %",
            "",
            f"within {100 * cells[:, 0].max():.1f} %",
            bool((cells[:, 0] <= 0.05).all()),
        ),
        Check(
            "in cells both passes amplify them by λ_1 - 2 λ_n a step, within 5 %",
            "",
            f"within {100 * cells[:, 1].max():.1f} %",
            bool((cells[:, 1] <= 0.05).all()),
        ),
    ]  # fmt: skip


def _reach(record: Record) -> np.ndarray:
    """Returns how much farther float64 gets to a relative error of 1, per modulus."""

    def reached(name):  # in nats that the fastest unit forgets
        logs = take(record, f"log_error_{name}").mean(-1)
        nats = record.axes[f"forgotten_{name}"]
        return np.array([np.interp(0, of, nats) for of in logs])

    return reached("float64") / reached("float32")


ROW = Row(
    number="15",
    title="running the adjoint forwards fails when the network forgets",
    source=(
        "Zucchet, Pourcel & Ernoult (2026), equations 6 to 9 and the section on "
        "sensitivity, "
        "https://nicolaszucchet.github.io/Forward-propagation-errors-through-time/"
    ),
    sizes={
        "smoke": {
            "moduli": (0.5, 0.7), "num_units": 4, "lengths": (30, 100),
            "cells": ("rnn",), "hidden_size": 3, "num_seeds": 3,
        },
        "standard": {},
        "paper": {"num_seeds": 32, "moduli": (0.5, 0.7, 0.9, 0.95, 0.98, 0.99)},
    },
    checks=checks,
)  # fmt: skip

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
