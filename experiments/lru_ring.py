"""Does an LRU need its normalisation? A ring of λ near 1, with γ and without.

Question: does γ = sqrt(1 - |λ|²) on the input keep an LRU's memory at unit scale
however near 1 its ring lies, and does training need it there?

  python -m experiments.lru_ring
  python -m experiments.lru_ring --networks=ring,ring_gamma --learning_rates=0.1

Source: Orvieto et al. (2023), Resurrecting recurrent neural networks for long
sequences, https://arxiv.org/abs/2303.06349: proposition 3, and the steps of its tables
from a dense tanh RNN to the LRU, through notes. Their accuracies, in
`experiments.criteria.lru_ring`, are of six layers on sequential CIFAR, ListOps and
Pathfinder, ours of two on 8 x 8 digits: a step's direction can be compared, no number.

Settings. (1) White inputs of width 4 through `lj.cells.LRU` as it is drawn, 5 memories
1/(1 - r_max) long, after which E|h|² lacks at most exp(-10) of it; E|h|² / E|x B|² over
2048 layers of 64 numbers. Its closed form is `lj.theory.lru_ring_variance`.

(2) `lj.tasks.sequential_digits`, 64 steps of one pixel. Two layers of 24 units, each
with a dense one above, y = gelu(h W + b), and a linear readout of the last step; Adam
behind a clip of the norm to 1, 300 updates with batches of 32, at each of three rates.

  tanh, linear      dense, W_hh ~ Glorot, whose λ fill the unit disk
  disk              `lj.cells.LRU` with |λ|² ~ U[0, 1] and γ = 1
  disk_gamma        the same with γ
  ring              the first with |λ| from .9 to .999
  ring_gamma        the same with γ

γ is learnt in neither, so that two networks differ by their start alone; B can learn
the same. The steps between linear and disk (complex λ by their parts, or by an
exponential that may pass 1) are no options of the library's cells, and left out. All
run step by step: as a tree a gradient took four times as long on these CPUs.

Expected. (1) 2.05, 4.97 and 24.2 without γ, within 3 %; 1 with it. (2) At the largest
rate a smaller loss with γ than without it on the ring, in .8 of the seeds. At the
smallest nothing of the kind: docs/decisions/014-calibration-lru_ring.md.

Found: 7 minutes on two cores with three times as many jobs, 4 minutes of a CPU. (1)
Within 0.4 % on all rings, both ways. (2) At the rate .003 every step of the source goes
its way, by median losses .89 (tanh), .62 (linear), .37 (disk) and .16 (ring), but that
to γ, which is ahead in 1 seed of 5. At .01 and .03 it is ahead in 5 of 5: .24 to .33,
and .54 to 1.35, two of those without γ at chance. Over 64 steps training does not need
γ; a large rate does.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import cli, compiling, memory_limit, records, training
from experiments.common.cli import option
from experiments.common.cores import on_all_cores
from experiments.common.memoryless import DENSE
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record, take
from experiments.common.rows import Row, mean, verdict_lines
from experiments.criteria.lru_ring import PUBLISHED, RINGS, SIDES, WINDOWS, checks, last
from experiments.figures.lru_ring import plot
from lstm_jax import initializers
from lstm_jax.training import loop

NAME = "lru_ring"
LRU = lj.cells.LRU
NUM_INPUTS = 4
LAYERS_AT_ONCE = 64
LENGTH = 64  # pixels


class Network(NamedTuple):
    """A cell, and the options of its start."""

    cell: lj.Cell
    options: Mapping[str, float] = {}


def fixed_gamma(cell: lj.Cell) -> lj.Cell:
    """Returns the LRU whose γ is not learnt: as it is drawn, or 1 `with_gamma` = 0."""

    def init(*args, with_gamma=1.0, **options):
        drawn = cell.init(*args, **options)
        return drawn._replace(gamma_log=with_gamma * drawn.gamma_log)

    def step(params, carry, x):
        gamma_log = jax.lax.stop_gradient(params.gamma_log)
        return cell.step(params._replace(gamma_log=gamma_log), carry, x)

    return replace(cell, init=init, step=step, transition=None)


def from_glorot(cell: lj.Cell) -> lj.Cell:
    """Returns the dense RNN with a Glorot W_hh, whose λ fill the unit disk."""
    init = partial(cell.init, recurrent_init=initializers.glorot)
    return replace(cell, init=init)


LRU = fixed_gamma(lj.cells.LRU)
DISK: Mapping[str, float] = {"r_min": 0.0, "r_max": 1.0}
NEAR_ONE: Mapping[str, float] = {"r_min": 0.9, "r_max": 0.999}
NETWORKS = {
    "tanh": Network(from_glorot(lj.RNN)),
    "linear": Network(from_glorot(lj.rnn("linear"))),
    "disk": Network(LRU, {**DISK, "with_gamma": 0.0}),
    "disk_gamma": Network(LRU, {**DISK, "with_gamma": 1.0}),
    "ring": Network(LRU, {**NEAR_ONE, "with_gamma": 0.0}),
    "ring_gamma": Network(LRU, {**NEAR_ONE, "with_gamma": 1.0}),
}


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured and trained; every field is a flag."""

    rings: tuple[str, ...] = option(
        tuple(RINGS), cli.list_of(cli.one_of(RINGS)), "radii of λ, untrained"
    )
    memories: int = option(5, cli.integer(minimum=3), "1/(1 - r_max) that are run")
    num_units: int = option(64, cli.integer(minimum=1), "of an untrained layer")
    num_sequences: int = option(4, cli.integer(minimum=1), "of white inputs, a layer")
    num_drawn: int = option(2048, cli.integer(minimum=2), "untrained layers of a ring")
    networks: tuple[str, ...] = option(
        tuple(NETWORKS), cli.list_of(cli.one_of(NETWORKS)), "what is trained"
    )
    learning_rates: tuple[float, ...] = option(
        (3e-3, 1e-2, 3e-2), cli.list_of(cli.number(above=0)), "for Adam"
    )
    num_layers: int = option(2, cli.integer(minimum=1), "with memory, of a network")
    hidden_size: int = option(24, cli.integer(minimum=1), "units of a layer")
    num_seeds: int = option(5, cli.integer(minimum=1), "networks of each kind and rate")
    num_updates: int = option(300, cli.integer(minimum=WINDOWS), "of training")
    batch_size: int = option(32, cli.integer(minimum=1), "images per update")
    num_test: int = option(2000, cli.integer(minimum=1), "images of the test, drawn")
    seed: int = option(0, cli.seed(), "everything random follows from it")


def run(config: Config) -> Record:
    """Measures the rings, trains the networks, and returns the record."""
    _check_memory(config)
    start, count = time.monotonic(), len(config.rings)
    nets = {NETWORKS[name].cell: NETWORKS[name] for name in config.networks}
    with progress(count + len(config.networks)) as advance:
        # Before the threads, each of which would compile its own.
        programs = {cell: program(config, net) for cell, net in nets.items()}
        names = config.networks
        found = on_all_cores(
            [partial(growth, config, ring, advance) for ring in config.rings]
            + [partial(trained, config, name, programs, advance) for name in names]
        )
    losses, right = (np.stack(of) for of in zip(*found[count:], strict=True))
    networks = ("network", "rate", "seed")
    record = records.new(
        NAME,
        asdict(config),
        start,
        {
            "growth": Quantity(np.stack(found[:count]), ("ring", "side", "drawn"), "1"),
            "loss": Quantity(losses, (*networks, "window"), "nats"),
            "accuracy": Quantity(right, networks, "1"),
        },
        axes={
            "ring": config.rings,
            "side": SIDES,
            "network": config.networks,
            "rate": config.learning_rates,
        },
    )
    return record._replace(rows=_rows(record), verdict=_verdict(record))


def _check_memory(config: Config) -> None:
    per_memory = round(1 / (1 - max(RINGS[ring][1] for ring in config.rings)))
    together = min(config.num_drawn, LAYERS_AT_ONCE)
    arrays = [
        ("memories", "num_sequences", per_memory, NUM_INPUTS, together),
        ("num_sequences", "num_units", 2, together),
        ("num_units", "num_units", 2, together),
        ("num_drawn", len(config.rings), len(SIDES)),
        ("num_layers", "hidden_size", "hidden_size", "num_seeds"),
        ("batch_size", "hidden_size", LENGTH),
        ("num_test", "hidden_size", LENGTH),
        ("num_seeds", "num_updates", len(config.learning_rates)),
    ]
    memory_limit.check(asdict(config), arrays)


# -- Untrained: proposition 3 --------------------------------------------------------


def steps_of(config: Config, ring: str) -> int:
    """Returns the steps after which the slowest number has forgotten its start."""
    return round(config.memories / (1 - RINGS[ring][1]))


def growth(config: Config, ring: str, advance: Advance) -> np.ndarray:
    """Returns E|h|² / E|x B|² of every layer, (side, drawn), without γ and with it."""
    r_min, r_max = RINGS[ring]
    shape = steps_of(config, ring), config.num_sequences, NUM_INPUTS

    def one(with_gamma, key):
        key_layer, key_x = jax.random.split(key)
        ring = {"r_min": r_min, "r_max": r_max, "with_gamma": with_gamma}
        params = LRU.init(key_layer, NUM_INPUTS, config.num_units, **ring)
        # Nothing reads y here, and the compiler leaves it out.
        carry, _ = lj.unroll(LRU, params, jax.random.normal(key_x, shape))
        squares = jnp.mean(carry.re**2 + carry.im**2)
        return squares / jnp.mean(jnp.sum(params.b_re**2 + params.b_im**2, axis=0))

    @partial(jax.jit, compiler_options=compiling.soon())
    def measure(with_gamma, keys):
        over = partial(jax.lax.map, batch_size=LAYERS_AT_ONCE)
        return over(partial(one, with_gamma), keys)

    keys = jax.random.split(jax.random.key(config.seed), config.num_drawn)
    found = np.stack([measure(with_gamma, keys) for with_gamma in (0.0, 1.0)])
    advance(f"|λ| in {ring}", 1)
    return found


# -- Trained: digits -----------------------------------------------------------------


def training_of(
    config: Config, network: Network
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """Returns keys, rates and options of every run, (rate * seed,) each."""
    seeds = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    rates = jnp.repeat(jnp.array(config.learning_rates), config.num_seeds)
    options = {
        name: jnp.full(rates.shape, value) for name, value in network.options.items()
    }
    return jnp.tile(seeds, len(config.learning_rates)), rates, options


def program(config: Config, network: Network) -> Callable[..., Any]:
    """Returns training and test, compiled for all networks of this one's cell.

    Of keys, rates and options as in `training_of`: losses (run, update) and the shares
    of right answers, (run,).
    """
    cell = lj.stack(*[network.cell, DENSE] * config.num_layers)
    task = lj.tasks.sequential_digits()

    @partial(jax.jit, compiler_options=compiling.soon())
    def train_and_test(keys, rates, options):
        states, history = lj.train_many(
            keys,
            cell,
            task,
            training.optimizer,
            hyperparams={"learning_rate": rates},
            init_options=options,
            hidden_size=config.hidden_size,
            num_steps=config.num_updates,
            batch_size=config.batch_size,
            length=LENGTH,
            runs_at_once=1,
        )
        # A key of its own; the images are not those of training.
        test = partial(loop.evaluate, jax.random.key(config.seed + 1), cell, task)
        sized = partial(test, batch_size=config.num_test, length=LENGTH)
        return history.loss, jax.lax.map(sized, states.params).accuracy

    return train_and_test.lower(*training_of(config, network)).compile()


def trained(
    config: Config, name: str, programs: Mapping[lj.Cell, Any], advance: Advance
) -> tuple[np.ndarray, np.ndarray]:
    """Returns losses (rate, seed, window) and the test's accuracies (rate, seed)."""
    network = NETWORKS[name]
    losses, right = programs[network.cell](*training_of(config, network))
    shape = len(config.learning_rates), config.num_seeds
    kept = config.num_updates // WINDOWS * WINDOWS
    windows = np.asarray(losses)[:, :kept].reshape(*shape, WINDOWS, -1).mean(-1)
    advance(name, 1)
    return windows, np.asarray(right).reshape(shape)


# -- Table, verdict, row -------------------------------------------------------------


def _rows(record: Record) -> list[dict[str, str]]:
    rows = []
    for name, of in zip(record.axes["network"], last(record), strict=True):
        row = {"network": name}
        right = take(record, "accuracy", network=name)
        for rate, losses, accuracies in zip(
            record.axes["rate"], of, right, strict=True
        ):
            told = f"{np.median(losses):.3f} ({100 * np.median(accuracies):.1f} %)"
            row[f"loss at {rate:g}"] = told
        rows.append(row | {"theirs, other data": PUBLISHED.get(name, "")})
    return rows


def _verdict(record: Record) -> list[str]:
    growths = zip(record.axes["ring"], take(record, "growth"), strict=True)
    return [
        "",
        *(_grown(ring, *sides) for ring, sides in growths),
        "Table: loss of the last quarter of the training, in nats, and right answers "
        f"of the test; medians over {record.config['num_seeds']} seeds.",
        "Theirs: right answers in % on sequential CIFAR, ListOps and Pathfinder.",
        *verdict_lines(checks(record)),
    ]


def _grown(ring: str, without: np.ndarray, having: np.ndarray) -> str:
    law = lj.theory.lru_ring_variance(*RINGS[ring])
    return (
        f"|λ| in {ring}: E|h|² / E|x B|² = {mean(without, '.3f')} without γ (closed "
        f"form {law:.3f}), {mean(having, '.3f')} with it"
    )


ROW = Row(
    number="18",
    title="the LRU's normalisation, and a ring near 1",
    source=(
        "Orvieto et al. (2023), proposition 3 and tables 1 to 3, "
        "https://arxiv.org/abs/2303.06349"
    ),
    sizes={
        "smoke": {
            "rings": ("0..0.9",), "num_units": 32, "num_sequences": 16,
            "num_drawn": 512, "networks": ("ring", "ring_gamma"),
            "learning_rates": (0.1,), "num_layers": 1, "hidden_size": 8,
            "num_seeds": 1, "num_updates": 60, "batch_size": 16, "num_test": 500,
        },
        "standard": {},
        "paper": {
            "num_drawn": 8192, "num_layers": 6, "hidden_size": 64, "num_seeds": 20,
            "num_updates": 2000, "learning_rates": (1e-3, 3e-3, 1e-2, 3e-2),
        },
    },
    checks=checks,
)  # fmt: skip

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
