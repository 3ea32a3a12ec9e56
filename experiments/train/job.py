"""Turns configurations of `experiments.train` into compiled functions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

import lstm_jax as lj
from experiments.common import memory_limit
from experiments.common.cli import ConfigError
from experiments.common.own_data import task_of
from experiments.train.config import (
    OPTIMIZERS,
    WARM_UP,
    Config,
    seeds,
    with_free_defaults,
)
from lstm_jax.training import loop, runs, sharding, validation
from lstm_jax.training.curricula import Curriculum, growing_length

MOST_STEPS_PER_CHUNK = runs.MOST_STEPS
# What may differ between the runs of one program, and the stand-in for it in `common`.
TRACED = {"learning_rate": 1.0, "clip": 1.0, "forget_bias": 1.0, "seed": 0}


class Job(NamedTuple):
    """Configurations as functions; all leaves are (run, ...), one run per seed.

    Attributes:
      place: moves a state to the devices of the mesh, as `chunk` and `test` need it.
      chunk: `(state, num_steps) -> (state, history)`, compiled for any number of steps.
      validate: `state -> (state, evaluation)`, with `state.best` brought up to date.
      gather: brings what `chunk` returned, or a part of it, to one device per process.
    """

    initial: Callable[[], loop.TrainState]
    place: Callable[[loop.TrainState], loop.TrainState]
    chunk: Callable[..., tuple[loop.TrainState, loop.History]]
    test: Callable[[loop.TrainState], loop.Evaluation]
    validate: Callable[[loop.TrainState], tuple[loop.TrainState, loop.Evaluation]]
    gather: Callable[[Any], Any]


def job_of(config: Config) -> Job:
    """Returns the functions of a configuration, with its numbers as constants.

    Raises:
      ConfigError: the task refuses it, or the mesh does not fit the devices, the batch
        or the seeds.
    """
    return _job(config, _keys([config]), runs.Settings())


def job_of_many(configs: Sequence[Config]) -> Job:
    """Returns the functions of several configurations with the same `common`."""
    return _job(common(configs[0]), _keys(configs), _settings(configs))


def _job(shared: Config, keys: jax.Array, settings: runs.Settings) -> Job:
    program = program_of(shared, len(keys))
    test_keys, valid_keys = (
        program.place(jax.vmap(partial(jax.random.fold_in, data=part))(keys))
        for part in (1, 2)
    )
    placed = program.place(settings)
    return Job(
        initial=lambda: _watched(shared, program.begin(keys, settings)),
        place=program.place,
        chunk=lambda state, num_steps: program.steps(state, placed, num_steps),
        test=lambda state: program.test(
            test_keys, state, shared.test_size, shared.length
        ),
        validate=lambda state: program.validate(
            valid_keys, state, shared.test_size, shared.length, shared.patience
        ),
        gather=program.gather,
    )


def _watched(shared: Config, state: loop.TrainState) -> loop.TrainState:
    """Returns the state with room for what validation finds, if there is any."""
    if shared.valid is None:
        return state
    return state._replace(best=jax.vmap(validation.begin)(state.params))


def common(config: Config) -> Config:
    """Returns what the runs of one program share, with stand-ins for traced values."""
    return replace(config, **{n: v for n, v in TRACED.items() if _varies(config, n)})


def program_of(shared: Config, num_runs: int) -> runs.Program:
    """Returns the program of what runs share; raises `ConfigError` as `job_of`."""
    return _program(with_free_defaults(shared), num_runs)


@cache  # a run that goes on in the same process compiles nothing
def _program(shared: Config, num_runs: int) -> runs.Program:
    task, options = task_of(shared), {"dtype": dtype_of(shared)}
    if shared.forget_bias is not None:
        options["forget_bias"] = shared.forget_bias
    recipe = runs.Recipe(
        cell_of(shared),
        task,
        partial(_optimizer, shared),
        hidden_size=shared.hidden_size,
        batch_size=shared.batch_size,
        length=_length_of(shared),
        max_length=None if shared.start_length is None else shared.length,
        init_options=options,
        stop_after=shared.stop_after,
    )
    if shared.valid is not None and task.sample_valid is None:
        raise ConfigError(
            f"valid: got {shared.valid:g}; it must not be given for the task "
            f"{task.name!r}, which keeps no part of its data for it"
        )
    try:
        program = runs.program(recipe, mesh=_mesh(shared, num_runs))
        drawn = [task.sample]
        if shared.valid is not None and task.sample_valid is not None:
            drawn.append(task.sample_valid)
        for sample in drawn:
            jax.eval_shape(partial(sample, jax.random.key(0), 1, shared.length))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return program


def _varies(config: Config, name: str) -> bool:
    return isinstance(getattr(config, name), int | float)


def _keys(configs: Sequence[Config]) -> jax.Array:
    return jnp.stack([jax.random.key(s) for config in configs for s in seeds(config)])


def _settings(configs: Sequence[Config]) -> runs.Settings:
    """Returns the traced values, in the dtype in which weights are updated."""
    dtype = dtype_of(configs[0])

    def column(name):
        values = [getattr(config, name) for config in configs for _ in seeds(config)]
        return {name: jnp.array(values, dtype)} if _varies(configs[0], name) else {}

    return runs.Settings(
        hyperparams=column("learning_rate") | column("clip"),
        init_options=column("forget_bias"),
    )


def _optimizer(shared: Config, **traced: Any) -> optax.GradientTransformation:
    numbers = {"learning_rate": shared.learning_rate, "clip": shared.clip, **traced}
    rate = _scheduled(shared, numbers["learning_rate"])
    if shared.weight_decay:
        optimizer = optax.adamw(rate, weight_decay=shared.weight_decay, mask=_matrices)
    else:
        optimizer = OPTIMIZERS[shared.optimizer](rate)
    if isinstance(shared.clip, str):
        return optimizer
    return optax.chain(optax.clip_by_global_norm(numbers["clip"]), optimizer)


def _scheduled(shared: Config, rate: Any) -> Any:
    """Returns the learning rate, or what it is at every update."""
    if shared.schedule == "constant":
        return rate
    steps = max(1, shared.num_steps)
    shape = optax.cosine_decay_schedule(1.0, steps)
    if shared.schedule == "warmup_cosine":
        warm_up = min(math.ceil(WARM_UP * steps), steps - 1)
        shape = optax.warmup_cosine_decay_schedule(0.0, 1.0, warm_up, steps)
    # The rate may be traced, and optax compares it with 0.
    return lambda count: rate * shape(count)


def _matrices(params: Any) -> Any:
    """Marks what weight decay pulls at: biases, peepholes and scales stay."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _mesh(shared: Config, num_runs: int) -> Mesh | None:
    """Returns the mesh; that of several processes cuts the batch if not told."""
    text = shared.mesh
    if text is None and jax.process_count() > 1:
        text = f"data:{jax.device_count()}"
    if text is None:
        return None
    _check_noise(shared, text)
    sharding.check_divides(
        sharding.parse_mesh(text), batch_size=shared.batch_size, num_seeds=num_runs
    )
    return sharding.mesh_of(text)


def _check_noise(shared: Config, mesh: str) -> None:
    seeds = sharding.parse_mesh(mesh)[sharding.SEED]
    if shared.dropout and sharding.num_devices(mesh) > seeds:
        raise ConfigError(
            f"dropout: got {shared.dropout:g} with the mesh {mesh!r}; it must be 0 "
            "where devices share a batch, for all would draw the same"
        )


def check_memory(config: Config, num_settings: int = 1) -> None:
    """Refuses runs whose weights, sequences or hidden states do not fit in memory."""
    task, side = task_of(config), (num_settings, "num_seeds")
    arrays = [
        (*side, "num_layers", "hidden_size", "hidden_size"),
        (*side, "length", "batch_size", task.input_size),
        (*side, "length", "batch_size", "hidden_size"),
        ("length", "test_size", task.input_size),
    ]
    itemsize = jnp.dtype(dtype_of(config)).itemsize
    memory_limit.check(asdict(config), arrays, itemsize=itemsize)


def going(state: loop.TrainState) -> bool:
    """Whether any run still has to be trained."""
    over = (np.asarray(state.diverged_at) >= 0) | (np.asarray(state.solved_at) >= 0)
    if state.best is not None:
        over |= np.asarray(state.best.ended_at) >= 0
    return not over.all()


def at_best(state: loop.TrainState) -> loop.TrainState:
    """Returns the state with the weights that validation found best, if any did."""
    if state.best is None:
        return state
    return state._replace(params=state.best.params, step=state.best.step)


def in_files(config: Config, tree: Any) -> Any:
    """Returns leaves (run, ...) as files hold them: of one seed, without that axis."""
    return tree if config.num_seeds > 1 else jax.tree.map(lambda leaf: leaf[0], tree)


def cell_of(config: Config) -> lj.Cell:
    """Returns the cell of all layers, in mixed precision if `dtype` says so."""
    cell = lj.CELLS[config.cell]
    if config.dtype == "mixed":
        cell = lj.mixed(cell)
    if config.bidirectional:
        cell = lj.cells.bidirectional(cell)
    if config.dropout:
        cell = lj.cells.dropout(cell, config.dropout)
    return cell if config.num_layers == 1 else lj.stack(*[cell] * config.num_layers)


def dtype_of(config: Config) -> Any:
    """Returns the dtype of the weights."""
    return jnp.dtype("float32" if config.dtype == "mixed" else config.dtype)


def _length_of(config: Config) -> int | Curriculum:
    if config.start_length is None or config.curriculum_steps is None:
        return config.length
    return growing_length(config.start_length, config.length, config.curriculum_steps)
