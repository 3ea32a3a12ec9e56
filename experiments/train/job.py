"""From a configuration of `experiments.train` to compiled functions."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

import lstm_jax as lj
from experiments.common import memory_limit
from experiments.common.cli import ConfigError
from experiments.train.config import OPTIMIZERS, Config, with_free_defaults
from lstm_jax.training import loop, sharding
from lstm_jax.training.curricula import Curriculum, growing_length

MOST_STEPS_PER_CHUNK = 1000


class Job(NamedTuple):
    """A configuration as functions; with several seeds, leaves have them in front.

    Attributes:
      initial: `() -> TrainState`.
      place: a state to where `chunk` wants it: on the devices of the mesh.
      chunk: `(state, num_steps) -> (state, history)`, compiled for any number of steps.
      gather: what `chunk` returned, or a part of it, to one device of every process.
      test: `state -> Evaluation`, of a gathered state; every process does the same.
    """

    initial: Callable[[], loop.TrainState]
    place: Callable[[loop.TrainState], loop.TrainState]
    chunk: Callable[..., tuple[loop.TrainState, loop.History]]
    gather: Callable[[Any], Any]
    test: Callable[[loop.TrainState], loop.Evaluation]


def job_of(config: Config) -> Job:
    """Returns the functions; raises `ConfigError` where the task refuses."""
    return _job_of(with_free_defaults(config))


@cache  # a run that goes on in the same process compiles nothing
def _job_of(config: Config) -> Job:
    task = lj.TASKS[config.task]
    cell = cell_of(config)
    optimizer = _optimizer(config)
    try:
        mesh = _mesh(config)
        step = loop.step_function(
            cell,
            task,
            optimizer,
            batch_size=config.batch_size,
            length=length_of(config),
            max_length=None if config.start_length is None else config.length,
            stop_after=config.stop_after,
            mesh=mesh,
        )
        jax.eval_shape(partial(task.sample, jax.random.key(0), 1, config.length))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    begin = partial(_initial, config, cell, task, optimizer)
    chunk = partial(loop.train_chunk, step=step, most_steps=MOST_STEPS_PER_CHUNK)
    test = partial(test_of, config, cell, task)
    keys = [jax.random.key(config.seed + n) for n in range(config.num_seeds)]
    place, gather = movers(mesh, seeds=config.num_seeds > 1)
    if config.num_seeds == 1:
        return Job(
            initial=lambda: jax.jit(begin)(keys[0]),
            place=place,
            chunk=jax.jit(chunk),
            gather=gather,
            test=partial(jax.jit(test), keys[0]),
        )
    stacked = jnp.stack(keys)
    return Job(
        initial=lambda: jax.jit(jax.vmap(begin))(stacked),
        place=place,
        chunk=jax.jit(sharding.vmapped(chunk, mesh, in_axes=(0, None))),
        gather=gather,
        # One after the other: all test sequences of all seeds at once need gigabytes.
        test=jax.jit(
            lambda state: jax.lax.map(lambda args: test(*args), (stacked, state))
        ),
    )


def _mesh(config: Config) -> Mesh | None:
    """Returns the mesh; that of several processes cuts the batch if not told."""
    text = config.mesh
    if text is None and jax.process_count() > 1:
        text = f"data:{jax.device_count()}"
    if text is None:
        return None
    mesh = sharding.mesh_of(text)
    sharding.check_divides(
        mesh.shape, batch_size=config.batch_size, num_seeds=config.num_seeds
    )
    return mesh


def check_memory(config: Config, num_settings: int = 1) -> None:
    """Refuses weights, sequences, and memories at all steps that can't be held.

    Args:
      config: of the runs, one a seed.
      num_settings: that train side by side.
    """
    task, runs = lj.TASKS[config.task], (num_settings, "num_seeds")
    arrays = [
        (*runs, "hidden_size", "hidden_size"),
        (*runs, "length", "batch_size", task.input_size),
        (*runs, "length", "batch_size", "hidden_size"),
        ("length", "test_size", task.input_size),
    ]
    itemsize = jnp.dtype(dtype_of(config)).itemsize
    memory_limit.check(asdict(config), arrays, itemsize=itemsize)


def movers(mesh: Mesh | None, seeds: bool) -> tuple[Callable, Callable]:
    """Returns `place` and `gather` of a job."""
    if mesh is None:
        return lambda state: state, lambda tree: tree
    place = partial(sharding.place, mesh=mesh, seeds=seeds)
    return place, partial(sharding.gather, mesh=mesh)


def cell_of(config: Config) -> lj.Cell:
    """Returns the cell, in mixed precision where that is asked for."""
    cell = lj.CELLS[config.cell]
    return lj.mixed(cell) if config.dtype == "mixed" else cell


def _optimizer(config: Config) -> optax.GradientTransformation:
    optimizer = OPTIMIZERS[config.optimizer](config.learning_rate)
    if isinstance(config.clip, str):
        return optimizer
    return optax.chain(optax.clip_by_global_norm(config.clip), optimizer)


def dtype_of(config: Config) -> Any:
    """Returns the dtype of the weights."""
    return jnp.dtype("float32" if config.dtype == "mixed" else config.dtype)


def length_of(config: Config) -> int | Curriculum:
    """Returns the length of the sequences, or how it grows."""
    if config.start_length is None or config.curriculum_steps is None:
        return config.length
    return growing_length(config.start_length, config.length, config.curriculum_steps)


def _initial(
    config: Config,
    cell: lj.Cell,
    task: lj.Task,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> loop.TrainState:
    options: dict[str, Any] = {"dtype": dtype_of(config)}
    if config.forget_bias is not None:
        options["forget_bias"] = config.forget_bias
    return loop.init_train_state(
        key,
        cell,
        task,
        optimizer,
        hidden_size=config.hidden_size,
        init_options=options,
    )


def test_of(
    config: Config,
    cell: lj.Cell,
    task: lj.Task,
    key: jax.Array,
    state: loop.TrainState,
) -> loop.Evaluation:
    """Returns loss and accuracy on fresh sequences, the same at every test."""
    return lj.evaluate(
        jax.random.fold_in(key, 1),
        cell,
        task,
        state.params,
        batch_size=config.test_size,
        length=config.length,
    )
