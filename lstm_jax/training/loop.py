"""train: fits a cell and a linear readout to a task with any optax optimiser."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_key, check_whole
from lstm_jax.engine.placing import spread_as
from lstm_jax.tasks.task import Task
from lstm_jax.training.chunks import OnChunk, ignored, train_in_chunks
from lstm_jax.training.chunks import train_chunk as train_chunk
from lstm_jax.training.chunks import train_steps as train_steps
from lstm_jax.training.curricula import Length
from lstm_jax.training.models import Evaluation as Evaluation
from lstm_jax.training.models import ModelParams as ModelParams
from lstm_jax.training.models import evaluate as evaluate
from lstm_jax.training.models import init_model as init_model
from lstm_jax.training.models import predict as predict
from lstm_jax.training.models import scores as scores
from lstm_jax.training.updates import NEVER as NEVER
from lstm_jax.training.updates import History as History
from lstm_jax.training.updates import TrainState as TrainState
from lstm_jax.training.updates import check_parts
from lstm_jax.training.updates import check_updates as check_updates
from lstm_jax.training.updates import is_going as is_going
from lstm_jax.training.updates import step_function as step_function
from lstm_jax.training.updates import train_step as train_step
from lstm_jax.types import PRNGKey


def train(
    key: PRNGKey,
    cell: Cell,
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    hidden_size: int,
    num_steps: int,
    batch_size: int,
    length: Length,
    max_length: int | None = None,
    init_options: Mapping[str, Any] | None = None,
    stop_after: int | None = None,
    on_chunk: OnChunk | None = None,
    chunk: int = 100,
) -> tuple[TrainState, History]:
    """Trains a new model; pure, so it can be jitted, and vmapped over keys and options.

        state = init_train_state(key, ...)
        for _ in range(num_steps):
            state = one update on a fresh batch of task.sample
        return state, history

    Args:
      key: all random numbers follow from it.
      cell: any `Cell`; one that draws random numbers (`zoneout`) gets new keys at
        every update.
      task: any `Task`; one of `lj.tasks.from_batches` is pulled as `on_chunk` is
        called, outside of the compiled program, and training ends with its batches.
      optimizer: any optax transformation; clip the gradients in front of it.
      hidden_size: units of the cell.
      num_steps: updates.
      batch_size: sequences per update; 1 is on-line training.
      length: steps of a sequence, or a curriculum `step -> length`.
      max_length: steps that are drawn and run, at least `length`; required where
        `length` is a curriculum or traced.
      init_options: keyword options of `cell.init`, such as its dtype.
      stop_after: ends training after this many right sequences in a row
        (`task.correct`), each judged before the update it contributes to.
      on_chunk: `(state, history) -> bool | None`, called after each `chunk` updates
        with the state and the history of that chunk: to show progress, to log, to
        record. True ends the training. The numbers are those without it, to the last
        bit. Not under `jit` or `vmap`, which see no values.
      chunk: updates between two calls.

    Raises:
      TypeError: an argument, or part of the task's first batch, has the wrong type or
        dtype.
      ValueError: a curriculum without `max_length`, `stop_after` on a task without a
        criterion, or another bad value; or the first batch breaks the contract of
        `Batch`, or the scores that of `Task`.

    Example:
      >>> import optax
      >>> state, history = lj.train(
      ...     jax.random.key(0), lj.LSTM, lj.tasks.PARITY, optax.adam(1e-2),
      ...     hidden_size=4, num_steps=3, batch_size=2, length=5,
      ... )
      >>> history.loss.shape, int(state.step)
      ((3,), 3)
    """
    state = init_train_state(
        key,
        cell,
        task,
        optimizer,
        hidden_size=hidden_size,
        init_options=init_options,
    )
    check_whole("num_steps", num_steps, 0)

    def step_of(task, batch_size=batch_size, length=length):
        return step_function(
            cell,
            task,
            optimizer,
            batch_size=batch_size,
            length=length,
            max_length=max_length,
            stop_after=stop_after,
        )

    step = step_of(task)
    if on_chunk is None and task.batches is None:
        return train_steps(state, num_steps, step)
    return train_in_chunks(state, num_steps, step_of, task, on_chunk or ignored, chunk)


def init_train_state(
    key: PRNGKey,
    cell: Cell,
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    hidden_size: int,
    init_options: Mapping[str, Any] | None = None,
) -> TrainState:
    """Returns a new model with a fresh optimiser; arguments and errors as in `train`.

    Example:
      >>> import optax
      >>> state = lj.training.init_train_state(
      ...     jax.random.key(0), lj.GRU, lj.tasks.ADDING, optax.adam(0.1), hidden_size=4
      ... )
      >>> state.params.cell.w_hh.shape, int(state.step)
      ((4, 12), 0)
    """
    check_key("key", key)
    check_parts(cell, task, optimizer)
    key_model, key_data = jax.random.split(key)
    params = init_model(
        key_model,
        cell,
        task.input_size,
        task.output_size,
        hidden_size=hidden_size,
        init_options=init_options,
    )
    state = begin_training(key_data, params, optimizer)
    # Devices with their own keys must not share what is the same for all keys, such as
    # a bias: its gradient would be their sum.
    return spread_as(jax.random.key_data(key), state)


def begin_training(
    key: PRNGKey, params: ModelParams, optimizer: optax.GradientTransformation
) -> TrainState:
    """Returns the state before the first update of given parameters."""
    return TrainState(
        params=params,
        opt_state=optimizer.init(params),
        key=key,
        step=jnp.zeros((), jnp.int32),
        diverged_at=jnp.full((), NEVER, jnp.int32),
        right_in_a_row=jnp.zeros((), jnp.int32),
        solved_at=jnp.full((), NEVER, jnp.int32),
    )
