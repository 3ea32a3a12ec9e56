"""A sweep divided into parts, each trained by one compiled program.

Runs whose arrays have the same shapes form a group: they differ only in numbers, which
are traced. A group is divided into parts with equal numbers of settings, so that it is
compiled once.
"""

import math
import time
from collections.abc import Iterable
from typing import NamedTuple

import jax
import numpy as np

from experiments.common.progress import Advance
from experiments.sweep.config import Config, run_config
from experiments.train.config import Config as RunConfig
from experiments.train.job import (
    MOST_STEPS_PER_CHUNK,
    Job,
    check_memory,
    common,
    going,
    job_of_many,
    program_of,
)
from lstm_jax.training import criteria, loop, sharding

# The size of a chunk only decides how often progress is reported.
SECONDS_PER_CHUNK = 1.0


class Part(NamedTuple):
    """Settings that are trained together.

    Attributes:
      common: what the runs share, with stand-ins for traced values.
      members: the number of each setting in the sweep.
      width: how many settings the program is compiled for: at least the members, and
        enough to give every device of the mesh the same number of runs.
    """

    common: RunConfig
    members: tuple[int, ...]
    width: int

    @property
    def work(self) -> int:
        """Units of progress: steps of sequences, over all updates of all runs."""
        return self.num_runs * self.common.num_steps * self.common.length

    @property
    def num_runs(self) -> int:
        """Runs the program is compiled for."""
        return self.width * self.common.num_seeds


class Outcome(NamedTuple):
    """How the runs of some settings ended; leaves (setting, seed).

    Loss and accuracy are on sequences that training never drew; `diverged_at` and
    `solved_at` are as in `TrainState`, -1 for runs that did not.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    updates: np.ndarray
    diverged_at: np.ndarray
    solved_at: np.ndarray

    @property
    def diverged(self) -> np.ndarray:
        """Which runs diverged; the test loss shows whether the last update did it."""
        lost = ~(np.abs(self.loss) <= criteria.EXPLODED)
        return (self.diverged_at >= 0) | lost


def plan(config: Config) -> list[Part]:
    """Returns the parts, in the order in which they are trained.

    Raises:
      ConfigError: a task refuses one of them, or the mesh does not fit.
    """
    parts = parts_of(config)
    for part in parts:
        check_memory(part.common)
        program_of(part.common, part.num_runs)
    for part in parts:
        check_memory(part.common, part.width)
    return parts


def parts_of(config: Config) -> list[Part]:
    """Returns the parts, without checking them."""
    groups: dict[RunConfig, list[int]] = {}
    for number, setting in enumerate(config.settings()):
        groups.setdefault(common(run_config(config, setting)), []).append(number)
    at_once = max(1, config.at_once // config.num_seeds)
    return [
        part
        for shared, members in groups.items()
        for part in _parts(shared, members, at_once)
    ]


def _parts(shared: RunConfig, members: list[int], at_once: int) -> Iterable[Part]:
    count = math.ceil(len(members) / math.ceil(len(members) / at_once))
    devices = sharding.parse_mesh(shared.mesh)[sharding.SEED] if shared.mesh else 1
    of_equal_runs = devices // math.gcd(devices, shared.num_seeds)
    width = math.ceil(count / of_equal_runs) * of_equal_runs
    # Members do not depend on the mesh, so that a sweep can be resumed on another.
    for first in range(0, len(members), count):
        yield Part(shared, tuple(members[first : first + count]), width)


def train_part(part: Part, runs: list[RunConfig], advance: Advance) -> Outcome:
    """Trains `runs`, one per member; `advance` is called with units of `Part.work`."""
    # Repeats the last setting up to the number the program is compiled for.
    filled = [*runs, *[runs[-1]] * (part.width - len(runs))]
    with jax.enable_x64(part.common.dtype == "float64"):
        job = job_of_many(filled)
        state = _trained(part, job, advance)
        tested = job.test(state)
    leaves = (*tested, state.step, state.diverged_at, state.solved_at)
    shape = (part.width, part.common.num_seeds)
    return Outcome(
        *(np.asarray(_plain(leaf)).reshape(shape)[: len(runs)] for leaf in leaves)
    )


def _plain(leaf: jax.Array) -> np.ndarray:
    """Returns floats as float64: NumPy's files do not support bfloat16."""
    values = np.asarray(leaf)
    return values if values.dtype.kind == "i" else values.astype(np.float64)


def _trained(part: Part, job: Job, advance: Advance) -> loop.TrainState:
    shared, what = part.common, f"{part.common.cell} on {part.common.task}"
    advance(f"{what}: compiling", 0)
    state = job.place(job.initial())
    jax.block_until_ready(job.chunk(state, 0))
    done, size, work = 0, 1, part.num_runs * shared.length
    while done < shared.num_steps and going(state):
        size = min(size, MOST_STEPS_PER_CHUNK, shared.num_steps - done)
        start = time.monotonic()
        state, _ = jax.block_until_ready(job.chunk(state, size))
        done += size
        advance(what, size * work)
        size = math.ceil(size * SECONDS_PER_CHUNK / (time.monotonic() - start))
    advance(what, part.work - done * work)
    return state
