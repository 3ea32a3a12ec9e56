"""One update of a model: the batch, the gradient, the optimiser, the criteria."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import KeyedCell
from lstm_jax.checks import check_whole, shown
from lstm_jax.engine.placing import cond
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
from lstm_jax.training.models import ModelParams, dtype_of, predict
from lstm_jax.training.validation import NEVER, Best
from lstm_jax.types import PRNGKey, at_least_float32


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
      best: what validation found, of a run that has any; such a run also ends where
        its patience does.
    """

    params: ModelParams
    opt_state: optax.OptState
    key: PRNGKey
    step: Int[Array, ""]
    diverged_at: Int[Array, ""]
    right_in_a_row: Int[Array, ""]
    solved_at: Int[Array, ""]
    best: Best | None = None


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
    check_parts(cell, task, optimizer)
    check_updates(task, drawing, stop_after)

    def step(state: TrainState) -> tuple[TrainState, History]:
        return cond(is_going(state), update, hold, state)

    def hold(state):
        nothing = jnp.full((), jnp.nan, history_dtype(state.params))
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


def is_going(state: TrainState) -> Bool[Array, ""]:
    """Whether a run still trains: not diverged, not solved, not out of patience."""
    going = (state.diverged_at == NEVER) & (state.solved_at == NEVER)
    return going if state.best is None else going & (state.best.ended_at == NEVER)


def check_parts(
    cell: Cell, task: Task, optimizer: optax.GradientTransformation
) -> None:
    """Refuses anything but a cell, a task and an optax transformation."""
    check_cell("cell", cell)
    check_task(task)
    if not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
        raise TypeError(
            f"optimizer: got {shown(optimizer)}; it must be an optax transformation, "
            "such as optax.adam(1e-3)"
        )


def train_step(
    state: TrainState,
    cell: Cell,
    task: Task,
    optimizer: optax.GradientTransformation,
    **options: Any,
) -> tuple[TrainState, History]:
    """Returns the state after one update on a fresh batch, and its line of history.

    For a loop of one's own:

        state = lj.training.init_train_state(key, cell, task, optimizer, hidden_size=32)
        step = jax.jit(partial(lj.training.train_step, cell=cell, task=task,
                               optimizer=optimizer, batch_size=32, length=100))
        for _ in range(1000):
            state, entry = step(state)

    `options` are batch_size, length, max_length and stop_after of `train`, whose
    updates these are, to the last bit.

    Example:
      >>> import optax
      >>> task, adam = lj.tasks.PARITY, optax.adam(1e-2)
      >>> state = lj.training.init_train_state(
      ...     jax.random.key(0), lj.LSTM, task, adam, hidden_size=4
      ... )
      >>> state, entry = lj.training.train_step(
      ...     state, lj.LSTM, task, adam, batch_size=2, length=5
      ... )
      >>> int(state.step), entry.loss.shape
      (1, ())
    """
    return step_function(cell, task, optimizer, **options)(state)


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


def history_dtype(params: ModelParams) -> Any:
    """Returns the dtype of losses and norms: that of the weights, float32 at least."""
    return at_least_float32(dtype_of(params))


def _entry(state: TrainState, loss: Array, accuracy: Array, gradients: Any) -> History:
    dtype = history_dtype(state.params)
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
