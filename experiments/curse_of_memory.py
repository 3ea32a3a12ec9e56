"""The curse of memory: nothing explodes, and the loss still grows sharp.

Question: how do the variances of a linear unit's state and of its derivative by λ grow
with its memory 1/(1 - λ), and does another parameter tame them? And those of a gate?

  python -m experiments.curse_of_memory
  python -m experiments.curse_of_memory --correlations=0,0.9 --networks=gru,lstm

Source: Zucchet & Orvieto (2024), Recurrent neural networks: vanishing and exploding
gradients are not the end of the story, https://arxiv.org/abs/2405.21064, for E[h²] and
E[(dh/dλ)²] of stationary inputs; the cure, λ = exp(-exp ν) and a factor
γ = sqrt(1 - λ²) on the input, is of Orvieto et al. (2023),
https://arxiv.org/abs/2303.06349, section 3.4. Both in `lj.theory`, for AR(1) inputs.

Settings. h_t = λ h_{t-1} + x_t, by `lj.unroll` of a linear RNN with one unit, float64,
x an AR(1) sequence of variance 1 and correlation ρ; dh_t/dλ by forward derivatives of
that run. Means over 100 000 steps, after 20 memories 1/(1 - λ); intervals over seeds.

The networks of `common/memory_nets.py` at init, 8 units, white input, a memory of
1/(1 - |λ|) or 1/(1 - σ(b)) steps: E[(dh/dθ)²] by `lj.gradients.sensitivities`, θ what
sets the memory, over units, 16 sequences and, after 10 of the longest memories, 2.

Expected. (1) λ = .9, white input: 5.263 and 263.9; λ = .99: 50.25 and 251 263. (2) As
1 - λ shrinks, E[(dh/dλ)²] grows with its power -3, by ν with power -1, and by ν with γ
with power 0, derived here: dλ/dν = λ ln λ is about -(1 - λ), and γ² about 2 (1 - λ).
(3) dh_T/dh_0 = λ^T is below 1 all along: the gradient doesn't explode. (4) Networks, as
derived in `memory_nets`: power 3 by a factor on an orthogonal W, and by its numbers; an
LRU's 1 by ν without γ, 0 with it, and 2 by the phase; by the bias of the gate -1 for
minGRU and GRU, and 2 for the c of an LSTM without W_hh, no more than E[c²]. For an LSTM
with W_hh nothing is derived.

Found: 3 minutes on two shared cores. E[h²] within 0.5 % and E[(dh/dλ)²] within 0.6 % of
the closed forms, at all twelve pairs; powers 3.00, 1.01 and -0.00. Of networks all
eight powers are within .05 of those derived. There are two kinds: by a factor on W, its
numbers or a phase, E[(dh/dθ)²] grows faster than E[h²] by a power of 2; by ν or a bias
no faster. The LSTM is of the second kind in the median of 16 networks; but W_hh feeds c
back, and in 6 of them, at 200 steps, E[(dh/db)²] is from 1e5 to 1e15.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import lstm_jax as lj
from experiments.common import cli, compiling, memory_limit, wording
from experiments.common.cli import option
from experiments.common.laws import Found, record_of, row
from experiments.common.memory_nets import INPUTS, NETS, Net, label_of
from experiments.common.records import Quantity, Record, take
from experiments.common.rows import Check, Row, verdict_lines
from experiments.figures.curse_of_memory import plot
from lstm_jax import theory

NAME = "curse_of_memory"
LINEAR = lj.rnn("linear")
MEMORIES_BEFORE = 20  # of 1/(1 - λ): what is left of the start is exp(-20)
CELL_MEMORIES = (10, 2)  # before, and averaged over: exp(-20) of the square is left
PARAMETERS = ("λ", "ν", "ν with γ")
POWERS = (3, 1, 0)
TAMED = "νb"  # about ± ln of the memory


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    decays: tuple[float, ...] = option(
        (0.8, 0.9, 0.95, 0.98, 0.99, 0.995),
        cli.list_of(cli.number_in("(0, 1)")),
        "λ of the units",
    )
    correlations: tuple[float, ...] = option(
        (0.0, 0.5), cli.list_of(cli.number_in("[0, 1)")), "ρ of the inputs"
    )
    num_steps: int = option(100_000, cli.integer(minimum=100), "steps averaged over")
    num_seeds: int = option(16, cli.integer(minimum=2), "sequences; networks")
    networks: tuple[str, ...] = option(
        tuple(NETS), cli.list_of(cli.one_of(NETS)), "networks measured"
    )
    num_units: int = option(8, cli.integer(minimum=1), "units of a network")
    num_sequences: int = option(16, cli.integer(minimum=1), "that a network reads")
    seed: int = option(0, cli.seed(), "everything random follows from it")


def run(config: Config) -> Record:
    """Simulates the units, and returns the record."""
    arrays = [
        ("num_steps", "num_seeds", 4),
        (sum(steps_of(config)), "num_sequences", "num_units"),
        (sum(steps_of(config)), "num_units", "num_units"),
    ]
    memory_limit.check(asdict(config), arrays, itemsize=8)
    parts = {"the units": _measured, "the networks": _networks}
    with jax.enable_x64(True):
        record = record_of(NAME, config, parts)
    lines = verdict_lines(checks(record))
    return record._replace(verdict=["", *lines])


# -- One unit ------------------------------------------------------------------------


def inputs(key: jax.Array, correlation: Any, num_steps: int) -> jax.Array:
    """Returns an AR(1) sequence of variance 1, (time, 1), by a linear RNN."""
    fresh = jax.random.normal(key, (num_steps, 1)) * jnp.sqrt(1 - correlation**2)
    start = jax.random.normal(jax.random.fold_in(key, 1), (1,))
    return states(correlation, 1.0, fresh, start)


def states(
    decay: Any, factor: Any, xs: jax.Array, start: jax.Array | None = None
) -> jax.Array:
    """Returns h_t = λ h_{t-1} + γ x_t, (time, 1)."""
    shaped = lambda value: jnp.reshape(jnp.asarray(value, xs.dtype), (1, 1))
    params = lj.RNNParams(shaped(factor), shaped(decay), jnp.zeros(1))
    carry = None if start is None else lj.RNNCarry(h=start)
    return lj.unroll(LINEAR, params, xs, carry)[1]


def by_parameter(decay: Any, xs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns h_t, (time,), and its derivatives by λ, ν, and ν with γ, (3, time)."""
    nu = jnp.log(-jnp.log(decay))
    of_nu: Callable[[Any], Any] = lambda nu: jnp.exp(-jnp.exp(nu))
    normalised = lambda nu: states(of_nu(nu), jnp.sqrt(1 - of_nu(nu) ** 2), xs)
    of_decay = lambda decay: states(decay, 1.0, xs)
    ways = ((of_decay, decay), (lambda nu: of_decay(of_nu(nu)), nu), (normalised, nu))
    pairs = [jax.jvp(of, (at,), (jnp.ones_like(at),)) for of, at in ways]
    return pairs[0][0][:, 0], jnp.stack([slope[:, 0] for _, slope in pairs])


def _measured(config: Config) -> Found:
    """Averages h² and the squares of its derivatives over the steps."""
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)

    @partial(jax.jit, static_argnums=2, compiler_options=compiling.soon())
    def measure(decay, correlation, before):
        def one(key):
            xs = inputs(key, correlation, before + config.num_steps)
            h, slopes = by_parameter(decay, xs)
            return jnp.mean(h[before:] ** 2), jnp.mean(slopes[:, before:] ** 2, axis=1)

        return jax.lax.map(one, keys)

    before = int(np.ceil(MEMORIES_BEFORE / (1 - max(config.decays))))
    found = [
        [measure(decay, rho, before) for rho in config.correlations]
        for decay in config.decays
    ]
    variances = np.array([[of[0] for of in line] for line in found])
    squares = np.array([[of[1] for of in line] for line in found])
    at = ("decay", "correlation", "seed")
    return Found(
        arrays={
            "variance": Quantity(variances, at, "1"),
            "sensitivity": Quantity(squares, (*at, "parameter"), "1"),
        },
        axes={
            "decay": config.decays,
            "correlation": config.correlations,
            "parameter": PARAMETERS,
        },
        rows=_rows(config, variances, squares[..., 0]),
    )


def laws(decays: Sequence[float], correlations: Sequence[float]) -> np.ndarray:
    """Returns E[h²] and E[(dh/dλ)²] in closed form, (2, decay, correlation)."""
    grid = np.array(decays)[:, None], np.array(correlations)
    return np.stack([theory.memory_variance(*grid), theory.sensitivity_variance(*grid)])


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean over the last axis, and half of its 95 % Student-t interval."""
    count = values.shape[-1]
    spread = values.std(-1, ddof=1) / np.sqrt(count)
    return values.mean(-1), scipy.stats.t.ppf(0.975, count - 1) * spread


def powers(decays: Sequence[float], values: np.ndarray) -> np.ndarray:
    """Returns minus the slopes of ln values, (decay, ...), against ln(1 - λ).

    Over the longer half of the memories: the laws are asymptotic.
    """
    at = np.array(decays)
    longest = np.argsort(at)[-max(2, len(at) // 2) :]
    logs = np.log(values[longest])
    flat = logs.reshape(len(longest), -1)
    slopes = -np.polyfit(np.log(1 - at[longest]), flat, 1)[0]
    return slopes.reshape(logs.shape[1:])


def _rows(
    config: Config, variances: np.ndarray, squares: np.ndarray
) -> list[dict[str, str]]:
    exact = laws(config.decays, config.correlations)
    rows = []
    for i, decay in enumerate(wording.told_apart(config.decays)):
        for j, rho in enumerate(wording.told_apart(config.correlations)):
            for k, name in enumerate(("E h²", "E (dh/dλ)²")):
                mean, half = interval((variances, squares)[k][i, j])
                told, law = f"{mean:.6g} ± {half:.2g}", f"{exact[k, i, j]:.6g}"
                rows.append(row(f"λ = {decay}, ρ = {rho}", name, told, law))
    return rows


# -- Networks ------------------------------------------------------------------------


def steps_of(config: Config) -> list[int]:
    """Returns the steps that networks run before and while they are averaged over."""
    memory = 1 / (1 - max(config.decays))
    return [int(np.ceil(memories * memory)) for memories in CELL_MEMORIES]


def of_network(
    net: Net, key: jax.Array, decay: Any, config: Config
) -> tuple[jax.Array, jax.Array]:
    """Returns the means of (dh/dθ)² and h², over θ, units, sequences and steps."""
    before, after = steps_of(config)
    params = net.make(key, config.num_units, decay)
    shape = (before + after, config.num_sequences, INPUTS)
    xs = jax.random.normal(jax.random.fold_in(key, 1), shape)
    squares = lj.gradients.sensitivities(net.cell, params, xs, of="0")[0]
    h = lj.unroll(net.cell, params, xs)[1]
    return jnp.mean(squares[before:]), jnp.mean(h[before:] ** 2)


def _networks(config: Config) -> Found:
    """Measures every network at every decay, for every seed."""
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)

    @partial(jax.jit, static_argnums=0, compiler_options=compiling.soon())
    def measure(net, decays):
        one = lambda decay: lambda key: of_network(net, key, decay, config)
        return jax.lax.map(lambda decay: jax.lax.map(one(decay), keys), decays)

    decays = jnp.array(config.decays)
    found = np.array([measure(NETS[name], decays) for name in config.networks])
    axes = ("network", "decay", "seed")
    return Found(
        arrays={
            "network_sensitivity": Quantity(found[:, 0], axes, "1"),
            "network_square": Quantity(found[:, 1], axes, "1"),
        },
        axes={"network": config.networks},
        rows=_network_rows(config, found),
    )


def _network_rows(config: Config, measured: np.ndarray) -> list[dict[str, str]]:
    rows = []
    for name, squares in zip(config.networks, measured, strict=True):
        net = NETS[name]
        law = "" if net.power is None else f"{net.power}"
        told = (("power of E (dh/dθ)²", law), ("power of E h²", ""))
        for (what, expected), values in zip(told, squares, strict=True):
            mean, half = interval(powers(config.decays, values))
            found = f"{mean:.2f} ± {half:.2f}"
            rows.append(row(label_of(name), what, found, expected))
    return rows


# -- The row -------------------------------------------------------------------------


def checks(record: Record) -> list[Check]:
    """Returns the criteria of the row."""
    return [*_closed(record), *_scaled(record), *_of_networks(record)]


def _closed(record: Record) -> list[Check]:
    exact = laws(record.axes["decay"], record.axes["correlation"])
    means = (
        take(record, "variance").mean(-1),
        take(record, "sensitivity")[..., 0].mean(-1),
    )
    apart = [
        np.abs(mean / law - 1).max() for mean, law in zip(means, exact, strict=True)
    ]
    names = ("E[h²]", "E[(dh/dλ)²]")
    return [
        Check(
            f"{name} is the closed form's, within 5 % at every λ and ρ",
            "a formula",
            f"within {100 * worst:.1f} %",
            bool(worst <= 0.05),
        )
        for name, worst in zip(names, apart, strict=True)
    ]


def _scaled(record: Record) -> list[Check]:
    """Of the first correlation."""
    found = take(record, "sensitivity")[:, 0]  # decay, seed, parameter
    mean, half = interval(powers(record.axes["decay"], found).T)
    return [
        Check(
            f"E[(dh/d·)²] grows with power {power} of 1/(1 - λ), within .15, by {name}",
            "3, by the formula" if power == 3 else "",
            f"{m:.2f} ± {h:.2f}",
            bool(abs(m - power) <= 0.15),
        )
        for name, power, m, h in zip(PARAMETERS, POWERS, mean, half, strict=True)
    ]


def _of_networks(record: Record) -> list[Check]:
    """Of the networks for which a power is derived."""
    nets = [name for name in record.axes["network"] if NETS[name].power is not None]
    grown = {name: _powers_of(record, name) for name in nets}
    found = []
    for name, (slopes, _) in grown.items():
        power, (mean, half) = NETS[name].power, interval(slopes)
        what = f"power {power}, within .2, of {label_of(name)}"
        holds = bool(abs(mean - power) <= 0.2)
        found.append(Check(what, "", f"{mean:.2f} ± {half:.2f}", holds))
    tamed = [grown[name] for name in nets if NETS[name].parameter in TAMED]
    if tamed:
        worst = max((slopes - squares).mean() for slopes, squares in tamed)
        what = "E[(dh/dθ)²] grows no faster than E[h²], within .2, by ν and biases"
        told = f"faster by a power of {worst:.2f} at most"
        found.append(Check(what, "", told, bool(worst <= 0.2)))
    return found


def _powers_of(record: Record, name: str) -> list[np.ndarray]:
    """Returns the powers of E[(dh/dθ)²] and of E[h²] of a network, (seed,) each."""
    quantities = ("network_sensitivity", "network_square")
    of = [take(record, quantity, network=name) for quantity in quantities]
    return [powers(record.axes["decay"], values) for values in of]


ROW = Row(
    number="12a",
    title="the curse of memory: the loss grows sharp though no gradient explodes",
    source="Zucchet & Orvieto (2024), https://arxiv.org/abs/2405.21064",
    sizes={
        "smoke": {
            "decays": (0.9, 0.95, 0.98),
            "num_steps": 20_000,
            "num_seeds": 4,
            "networks": ("orthogonal", "min_gru"),
        },
        "standard": {},
        "paper": {
            "decays": (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999),
            "num_steps": 1_000_000,
        },
    },
    checks=checks,
)

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
