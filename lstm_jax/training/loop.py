"""train: fits a cell and a linear readout to a task with any optax optimiser."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import KeyedCell
from lstm_jax.checks import check_key, check_whole, shown
from lstm_jax.engine.placing import cond, inside_shard_map, spread_as, spread_like
from lstm_jax.tasks.task import Task, check_task
from lstm_jax.training import criteria
from lstm_jax.training.batches import (
    Drawing,
    accuracy_of,
    check_drawing,
    draw,
    judge,
    loss_of,
)
from lstm_jax.training.curricula import Length
from lstm_jax.training.first_batch import check_first_batch
from lstm_jax.training.models import Evaluation as Evaluation
from lstm_jax.training.models import ModelParams as ModelParams
from lstm_jax.training.models import dtype_of
from lstm_jax.training.models import evaluate as evaluate
from lstm_jax.training.models import init_model as init_model
from lstm_jax.training.models import predict as predict
from lstm_jax.types import PRNGKey, at_least_float32

NEVER = -1


class TrainState(NamedTuple):
    """Everything the next update needs.

    Once diverged or solved, nothing in it changes any more.

    Attributes:
      params: of the model.
      opt_state: of the optimiser.
      key: all further random numbers follow from it.
      step: updates done.
      diverged_at: the update, counted from 1, that was skipped because its loss or
        gradient was not finite or its loss above `criteria.EXPLODED`; -1 if none was.
      right_in_a_row: sequences answered right since the last wrong one; 0 without
        `stop_after`.
      solved_at: the update, counted from 1, at which the criterion was met; or -1.
    """

    params: ModelParams
    opt_state: optax.OptState
    key: PRNGKey
    step: Int[Array, ""]
    diverged_at: Int[Array, ""]
    right_in_a_row: Int[Array, ""]
    solved_at: Int[Array, ""]


class History(NamedTuple):
    """One entry per update: the model on that update's batch, before the update.

    An update that diverged has its entry too; after the end of training they are NaN.

    Attributes:
      loss: the task's, in nats or squared units.
      accuracy: in [0, 1].
      gradient_norm: global norm of the gradient, before the optimiser clips it.
    """

    loss: Float[Array, " *num_steps"]
    accuracy: Float[Array, " *num_steps"]
    gradient_norm: Float[Array, " *num_steps"]


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
    return train_steps(state, num_steps, step)


def init_train_state(
    key: PRNGKey,
    cell: Cell,
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    hidden_size: int,
    init_options: Mapping[str, Any] | None = None,
) -> TrainState:
    """Returns a new model with a fresh optimiser."""
    check_key("key", key)
    _check_parts(cell, task, optimizer)
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
    nothing = jnp.full((most_steps,), jnp.nan, _history_dtype(state.params))

    def body(index, carried):
        state, history = carried
        state, entry = step(state)
        return state, jax.tree.map(lambda h, e: h.at[index].set(e), history, entry)

    start = _settled(state, step), History(nothing, nothing, nothing)
    return jax.lax.fori_loop(0, jnp.asarray(num_steps, jnp.int32), body, start)


def step_function(
    cell: Cell,
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    batch_size: int,
    length: Length,
    max_length: int | None = None,
    stop_after: int | None = None,
    predict: Callable[..., Array] = predict,
) -> Callable[[TrainState], tuple[TrainState, History]]:
    """Returns one update as a function; it leaves a finished state as it is.

    Arguments as in `train`; `predict` computes the outputs, `sharding.predict_over`
    where the batch is cut over a mesh.
    """
    drawing = Drawing("sample", batch_size, length, max_length)
    _check_parts(cell, task, optimizer)
    check_updates(task, drawing, stop_after)

    def step(state: TrainState) -> tuple[TrainState, History]:
        going = (state.diverged_at == NEVER) & (state.solved_at == NEVER)
        return cond(going, update, hold, state)

    def hold(state):
        nothing = jnp.full((), jnp.nan, _history_dtype(state.params))
        return state, History(nothing, nothing, nothing)

    def update(state):
        key, key_batch, *noise = _keys(cell, state.key)
        batch = draw(task, drawing, key_batch, state.step)

        def loss_fn(params):
            outputs = predict(cell, task, params, batch, *noise)
            return loss_of(task, outputs, batch), outputs

        (loss, outputs), gradients = jax.value_and_grad(loss_fn, has_aux=True)(
            state.params
        )
        entry = _entry(state, loss, accuracy_of(task, outputs, batch), gradients)
        diverged = criteria.has_diverged(entry.loss, entry.gradient_norm)
        after = cond(
            diverged,
            lambda: state._replace(diverged_at=state.step + 1),
            lambda: _updated(state, optimizer, gradients, key),
        )
        if stop_after is None or task.correct is None:
            return after, entry
        right = judge(task.correct, task, outputs, batch)
        judged = _judged(after, right, stop_after)
        return cond(diverged, lambda: after, lambda: judged), entry

    return step


def _check_parts(
    cell: Cell, task: Task, optimizer: optax.GradientTransformation
) -> None:
    check_cell("cell", cell)
    check_task(task)
    if not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
        raise TypeError(
            f"optimizer: got {shown(optimizer)}; it must be an optax transformation, "
            "such as optax.adam(1e-3)"
        )


def check_updates(task: Task, drawing: Drawing, stop_after: int | None) -> None:
    """Refuses updates that do not fit the task, its first batch or its criterion."""
    if stop_after is not None:
        check_whole("stop_after", stop_after, 1)
        if task.correct is None:
            raise ValueError(
                f"stop_after: got {stop_after}; it must be None, for the task "
                f"{task.name!r} has no criterion"
            )
    check_drawing(drawing)
    check_first_batch(task, drawing)


def _keys(cell: Cell, key: PRNGKey) -> Array:
    """Returns keys for later updates, the batch, and the cell's noise if it has any.

    A cell without noise must keep the same two keys: stored records depend on them.
    """
    return jax.random.split(key, 3 if isinstance(cell, KeyedCell) else 2)


def _history_dtype(params: ModelParams) -> Any:
    return at_least_float32(dtype_of(params))


def _entry(state: TrainState, loss: Array, accuracy: Array, gradients: Any) -> History:
    dtype = _history_dtype(state.params)
    norm = criteria.global_norm(gradients)
    return History(loss.astype(dtype), accuracy.astype(dtype), norm.astype(dtype))


def _updated(
    state: TrainState,
    optimizer: optax.GradientTransformation,
    gradients: ModelParams,
    key: PRNGKey,
) -> TrainState:
    # optax raises floats to integer counts, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params: Any = optax.apply_updates(state.params, updates)
    return state._replace(
        params=params, opt_state=opt_state, key=key, step=state.step + 1
    )


def _judged(state: TrainState, right: Array, stop_after: int) -> TrainState:
    """Returns the state with this batch counted, and marked if it is now solved."""
    rows = criteria.right_in_a_row(state.right_in_a_row, right)
    solved = jnp.max(rows) >= stop_after
    return state._replace(
        right_in_a_row=rows[-1], solved_at=jnp.where(solved, state.step, NEVER)
    )
