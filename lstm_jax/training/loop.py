"""train: fits a cell and a linear readout to a task with any optax optimiser."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer
from jaxtyping import Array, Int

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_function, check_key, check_whole
from lstm_jax.engine.placing import inside_shard_map, spread_as, spread_like
from lstm_jax.tasks.task import Task
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
from lstm_jax.training.updates import check_parts, history_dtype
from lstm_jax.training.updates import check_updates as check_updates
from lstm_jax.training.updates import is_going as is_going
from lstm_jax.training.updates import step_function as step_function
from lstm_jax.training.updates import train_step as train_step
from lstm_jax.types import PRNGKey

OnChunk = Callable[..., bool | None]


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
      task: any `Task`.
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
    step = step_function(
        cell,
        task,
        optimizer,
        batch_size=batch_size,
        length=length,
        max_length=max_length,
        stop_after=stop_after,
    )
    if on_chunk is None:
        return train_steps(state, num_steps, step)
    return train_in_chunks(state, num_steps, step, on_chunk, chunk)


def train_in_chunks(
    state: TrainState,
    num_steps: int,
    step: Callable[[TrainState], tuple[TrainState, History]],
    on_chunk: OnChunk,
    chunk: int,
) -> tuple[TrainState, History]:
    """Returns what `train_steps` does; calls `on_chunk` on the way, as in `train`."""
    check_function("on_chunk", on_chunk, "(state, history) -> bool or None")
    check_whole("chunk", chunk, 1)
    check_whole("num_steps", num_steps, 0)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(state)):
        raise ValueError(
            "on_chunk: got a function under jit or vmap; it must be None there: it is "
            "called with values"
        )
    run = jax.jit(partial(train_chunk, step=step, most_steps=chunk))
    histories = []
    for done in range(0, num_steps, chunk):
        size = min(chunk, num_steps - done)
        state, history = run(state, size)
        histories.append(
            jax.tree.map(lambda entries, size=size: entries[:size], history)
        )
        if on_chunk(state, histories[-1]):
            break
    if not histories:
        return train_steps(state, 0, step)
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *histories)


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


def train_steps(
    state: TrainState,
    num_steps: int,
    step: Callable[[TrainState], tuple[TrainState, History]],
) -> tuple[TrainState, History]:
    """Returns the state after `num_steps` updates by `step`, of `step_function`.

    A second call goes on where the first one ended.
    """
    check_whole("num_steps", num_steps, 0)
    state = _settled(state, step)
    return jax.lax.scan(lambda state, _: step(state), state, length=num_steps)


def _settled(
    state: TrainState, step: Callable[[TrainState], tuple[TrainState, History]]
) -> TrainState:
    """Returns the state, on the devices that an update leaves it on."""
    if not inside_shard_map():
        return state
    return spread_like(state, jax.eval_shape(step, state)[0])


def train_chunk(
    state: TrainState,
    num_steps: Int[Array, ""],
    step: Callable[[TrainState], tuple[TrainState, History]],
    *,
    most_steps: int,
) -> tuple[TrainState, History]:
    """Returns the state after `num_steps` updates, a number that may be traced.

    One compiled program runs chunks of any size, so the results do not depend on how a
    run is cut, to the last bit. The history has `most_steps` entries, NaN beyond
    `num_steps`.
    """
    nothing = jnp.full((most_steps,), jnp.nan, history_dtype(state.params))

    def body(index, carried):
        state, history = carried
        state, entry = step(state)
        return state, jax.tree.map(lambda h, e: h.at[index].set(e), history, entry)

    start = _settled(state, step), History(nothing, nothing, nothing)
    return jax.lax.fori_loop(0, jnp.asarray(num_steps, jnp.int32), body, start)
