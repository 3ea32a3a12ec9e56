"""A sweep cut into parts, each trained by one compiled program.

Runs whose arrays have the same shapes make a group: what differs between them are
numbers, and these are traced. A group is cut into parts of the same number of settings,
so that it is compiled once.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

import lstm_jax as lj
from experiments.common.cli import ConfigError
from experiments.common.progress import Advance
from experiments.sweep.config import Config, run_config
from experiments.train import job
from experiments.train.config import OPTIMIZERS, seeds, with_free_defaults
from experiments.train.config import Config as RunConfig
from lstm_jax.training import criteria, loop, sharding

# What differs between the runs of a part, and what stands in for it in its RunConfig.
TRACED = {"learning_rate": 1.0, "clip": 1.0, "forget_bias": 1.0, "seed": 0}
# How a part is cut into chunks changes nothing but how often one hears of it.
SECONDS_PER_CHUNK = 1.0
MOST_STEPS_PER_CHUNK = 1000


class Part(NamedTuple):
    """Settings that are trained together.

    Attributes:
      common: what the runs share; what is traced is replaced by a stand-in.
      members: the number of each setting in the sweep.
      width: settings the program is compiled for, at least those there are, and so many
        that every device of the mesh gets as many runs.
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

    Attributes:
      loss: on sequences that training never drew.
      accuracy: likewise.
      updates: that were made.
      diverged_at: as in `TrainState`; -1 where it did not.
      solved_at: likewise.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    updates: np.ndarray
    diverged_at: np.ndarray
    solved_at: np.ndarray

    @property
    def diverged(self) -> np.ndarray:
        """Which runs diverged, if only in the last update, which no loss followed."""
        lost = ~(np.abs(self.loss) <= criteria.EXPLODED)
        return (self.diverged_at >= 0) | lost


class Program(NamedTuple):
    """A group of runs as compiled functions; leaves have the runs in front.

    Attributes:
      place: what the others take, to where they want it: on the devices of the mesh.
      initial: `(keys, numbers) -> TrainState`, not placed.
      chunk: `(state, numbers, num_steps) -> TrainState`, for any number of steps.
      test: `(keys, state) -> Evaluation`.
    """

    place: Callable[[Any], Any]
    initial: Callable[..., loop.TrainState]
    chunk: Callable[..., loop.TrainState]
    test: Callable[..., loop.Evaluation]


def plan(config: Config) -> list[Part]:
    """Returns the parts in the order they are trained in.

    Raises:
      ConfigError: a task refuses one of them, or the mesh can't be laid.
    """
    groups: dict[RunConfig, list[int]] = {}
    for number, setting in enumerate(config.settings()):
        run = run_config(config, setting)
        groups.setdefault(_common(run), []).append(number)
    for common in groups:
        job.check_memory(common)
        _check(common)
    at_once = max(1, config.at_once // config.num_seeds)
    parts = [
        part
        for common, members in groups.items()
        for part in _parts(common, members, at_once)
    ]
    for part in parts:
        job.check_memory(part.common, part.width)
    return parts


def _common(run: RunConfig) -> RunConfig:
    stand_ins = {n: value for n, value in TRACED.items() if _is_number(run, n)}
    return replace(run, **stand_ins)


def _check(common: RunConfig) -> None:
    """Raises `ConfigError` where the task or the mesh refuses a group."""
    job.job_of(replace(common, mesh=None))
    try:
        mesh = _mesh(common)
        if mesh is not None:
            # Any number of runs will do: a part is filled up.
            sharding.check_divides(
                mesh.shape,
                batch_size=common.batch_size,
                num_seeds=mesh.shape[sharding.SEED],
            )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _mesh(common: RunConfig) -> Mesh | None:
    return None if common.mesh is None else sharding.mesh_of(common.mesh)


def _is_number(run: RunConfig, name: str) -> bool:
    return isinstance(getattr(run, name), int | float)


def _parts(common: RunConfig, members: list[int], at_once: int) -> Iterable[Part]:
    count = math.ceil(len(members) / math.ceil(len(members) / at_once))
    devices = sharding.parse_mesh(common.mesh)[sharding.SEED] if common.mesh else 1
    of_equal_runs = devices // math.gcd(devices, common.num_seeds)
    width = math.ceil(count / of_equal_runs) * of_equal_runs
    # The mesh has no say in who is in a part, so that a sweep goes on over another.
    for first in range(0, len(members), count):
        yield Part(common, tuple(members[first : first + count]), width)


def train_part(part: Part, runs: list[RunConfig], advance: Advance) -> Outcome:
    """Returns how the runs of a part ended.

    Args:
      part: of the plan.
      runs: of its members.
      advance: called with the units of `Part.work`.
    """
    common = part.common
    # The last setting again where there are fewer than the program is compiled for.
    filled = [*runs, *[runs[-1]] * (part.width - len(runs))]
    with jax.enable_x64(common.dtype == "float64"):
        program = _program(with_free_defaults(common))
        keys, numbers = _keys(filled), _numbers(common, filled)
        state = _trained(part, program, keys, numbers, advance)
        tested = program.test(program.place(keys), state)
    leaves = (*tested, state.step, state.diverged_at, state.solved_at)
    shape = (part.width, common.num_seeds)
    return Outcome(
        *(np.asarray(_plain(leaf)).reshape(shape)[: len(runs)] for leaf in leaves)
    )


def _plain(leaf: jax.Array) -> np.ndarray:
    """Returns float64 for floats: NumPy's files do not know bfloat16."""
    values = np.asarray(leaf)
    return values if values.dtype.kind == "i" else values.astype(np.float64)


def _keys(runs: list[RunConfig]) -> jax.Array:
    return jnp.stack([jax.random.key(s) for run in runs for s in seeds(run)])


def _numbers(common: RunConfig, runs: list[RunConfig]) -> dict[str, jax.Array]:
    """Returns what is traced, (run,) each, in the dtype the weights are updated in."""
    return {
        name: jnp.array(
            [getattr(run, name) for run in runs for _ in seeds(run)],
            job.dtype_of(common),
        )
        for name in TRACED
        if name != "seed" and _is_number(common, name)
    }


def _trained(
    part: Part,
    program: Program,
    keys: jax.Array,
    numbers: dict[str, jax.Array],
    advance: Advance,
) -> loop.TrainState:
    common, what = part.common, f"{part.common.cell} on {part.common.task}"
    advance(f"{what}: compiling", 0)
    state = program.place(program.initial(keys, numbers))
    numbers = program.place(numbers)
    jax.block_until_ready(program.chunk(state, numbers, 0))
    done, size, work = 0, 1, part.num_runs * common.length
    while done < common.num_steps and _going(state):
        size = min(size, MOST_STEPS_PER_CHUNK, common.num_steps - done)
        start = time.monotonic()
        state = jax.block_until_ready(program.chunk(state, numbers, size))
        done += size
        advance(what, size * work)
        size = math.ceil(size * SECONDS_PER_CHUNK / (time.monotonic() - start))
    advance(what, part.work - done * work)
    return state


def _going(state: loop.TrainState) -> bool:
    """Whether any run is still to be trained."""
    over = (np.asarray(state.diverged_at) >= 0) | (np.asarray(state.solved_at) >= 0)
    return not over.all()


@cache  # a sweep that goes on in the same process compiles nothing
def _program(common: RunConfig) -> Program:
    cell, task = job.cell_of(common), lj.TASKS[common.task]
    mesh = _mesh(common)

    def chunk(state, numbers, num_steps):
        step = loop.step_function(
            cell,
            task,
            _optimizer(common, numbers),
            batch_size=common.batch_size,
            length=job.length_of(common),
            max_length=None if common.start_length is None else common.length,
            stop_after=common.stop_after,
            mesh=mesh,
        )
        most = MOST_STEPS_PER_CHUNK
        return loop.train_chunk(state, num_steps, step, most_steps=most)[0]

    test = partial(job.test_of, common, cell, task)
    # One after the other: all test sequences of all runs at once need gigabytes.
    test = sharding.over_runs(test, mesh=mesh, at_once=1)
    return Program(
        place=job.movers(mesh, seeds=True)[0],
        initial=jax.jit(jax.vmap(partial(_initial, common, cell, task))),
        chunk=jax.jit(sharding.vmapped(chunk, mesh, in_axes=(0, 0, None))),
        test=jax.jit(test),
    )


def _optimizer(
    common: RunConfig, numbers: dict[str, jax.Array]
) -> optax.GradientTransformation:
    optimizer_of: Any = OPTIMIZERS[common.optimizer]
    optimizer = optimizer_of(numbers["learning_rate"])
    if "clip" not in numbers:
        return optimizer
    limit: Any = numbers["clip"]
    return optax.chain(optax.clip_by_global_norm(limit), optimizer)


def _initial(
    common: RunConfig,
    cell: lj.Cell,
    task: lj.Task,
    key: jax.Array,
    numbers: dict[str, jax.Array],
) -> loop.TrainState:
    bias = {n: value for n, value in numbers.items() if n == "forget_bias"}
    return loop.init_train_state(
        key,
        cell,
        task,
        _optimizer(common, numbers),
        hidden_size=common.hidden_size,
        init_options={"dtype": job.dtype_of(common), **bias},
    )
