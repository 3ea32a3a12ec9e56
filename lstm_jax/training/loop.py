"""train: a cell and a linear readout on a task, by any optax optimiser."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from lstm_jax import readouts
from lstm_jax.cells.cell import Cell
from lstm_jax.readouts import LinearParams
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import Params, PRNGKey
from lstm_jax.unrolling import unroll


class ModelParams(NamedTuple):
    """What is trained."""

    cell: Params
    readout: LinearParams


class TrainState(NamedTuple):
    """Everything the next update needs."""

    params: ModelParams
    opt_state: optax.OptState
    key: PRNGKey
    step: Int[Array, ""]


class History(NamedTuple):
    """One entry per update, on the batch of that update, before the update.

    Attributes:
      loss: in nats.
      accuracy: in [0, 1].
    """

    loss: Float[Array, " num_steps"]
    accuracy: Float[Array, " num_steps"]


class Evaluation(NamedTuple):
    """How a model does on data that training never drew."""

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


def train(
    key: PRNGKey,
    cell: Cell,
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    hidden_size: int,
    num_steps: int,
    batch_size: int,
    length: int,
    init_options: Mapping[str, Any] | None = None,
) -> tuple[TrainState, History]:
    """Trains a new model; pure, so it can be jitted, and vmapped over keys and options.

        state = init_train_state(key, ...)
        for _ in range(num_steps):
            state = one update on a fresh batch of task.sample
        return state, history

    Args:
      key: everything random follows from it.
      cell: any `Cell`.
      task: any `Task`.
      optimizer: any optax transformation; clip the gradients in front of it.
      hidden_size: units of the cell.
      num_steps: updates.
      batch_size: sequences per update.
      length: steps of a sequence.
      init_options: keyword options of `cell.init`.
    """
    state = init_train_state(
        key,
        cell,
        task,
        optimizer,
        hidden_size=hidden_size,
        init_options=init_options,
    )
    return train_steps(
        state,
        cell,
        task,
        optimizer,
        num_steps=num_steps,
        batch_size=batch_size,
        length=length,
    )


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
    key_model, key_data = jax.random.split(key)
    params = init_model(
        key_model,
        cell,
        task.input_size,
        task.output_size,
        hidden_size=hidden_size,
        init_options=init_options,
    )
    return begin_training(key_data, params, optimizer)


def begin_training(
    key: PRNGKey, params: ModelParams, optimizer: optax.GradientTransformation
) -> TrainState:
    """Returns the state before the first update of given parameters."""
    return TrainState(
        params=params,
        opt_state=optimizer.init(params),
        key=key,
        step=jnp.zeros((), jnp.int32),
    )


def init_model(
    key: PRNGKey,
    cell: Cell,
    input_size: int,
    output_size: int,
    *,
    hidden_size: int,
    init_options: Mapping[str, Any] | None = None,
) -> ModelParams:
    """Returns a new cell and its linear readout, in the dtype of the cell's weights."""
    key_cell, key_readout = jax.random.split(key)
    params = cell.init(key_cell, input_size, hidden_size, **(init_options or {}))
    x = jax.ShapeDtypeStruct((input_size,), _dtype(params))
    _, y = jax.eval_shape(cell.step, params, cell.init_carry(params), x)
    readout = readouts.init_linear(
        key_readout, y.shape[-1], output_size, dtype=_dtype(params)
    )
    return ModelParams(cell=params, readout=readout)


def train_steps(
    state: TrainState,
    cell: Cell,
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    num_steps: int,
    batch_size: int,
    length: int,
) -> tuple[TrainState, History]:
    """Returns the state after `num_steps` updates; two calls continue each other."""

    def update(state, _):
        key, key_batch = jax.random.split(state.key)
        batch = task.sample(key_batch, batch_size, length)

        def loss_fn(params):
            outputs = predict(cell, task, params, batch)
            return task.loss(outputs, batch), task.accuracy(outputs, batch)

        (loss, accuracy), gradients = jax.value_and_grad(loss_fn, has_aux=True)(
            state.params
        )
        # optax raises floats to integer counts, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(
                gradients, state.opt_state, state.params
            )
            params: Any = optax.apply_updates(state.params, updates)
        after = TrainState(params, opt_state, key, state.step + 1)
        return after, History(loss, accuracy)

    return jax.lax.scan(update, state, length=num_steps)


def predict(
    cell: Cell, task: Task, params: ModelParams, batch: Batch
) -> Float[Array, "*batch output"]:
    """Returns the model's answers, (batch, output_size), at each last step.

    Steps beyond the lengths are run and not read: cheaper than masking them.
    """
    del task  # every task so far answers at its last step
    _, ys = unroll(cell, params.cell, batch.inputs.astype(_dtype(params)))
    return readouts.linear(params.readout, readouts.last_step(ys, batch.lengths))


def evaluate(
    key: PRNGKey,
    cell: Cell,
    task: Task,
    params: ModelParams,
    *,
    batch_size: int,
    length: int,
) -> Evaluation:
    """Returns loss and accuracy on one batch of `task.sample_test`."""
    batch = task.sample_test(key, batch_size, length)
    outputs = predict(cell, task, params, batch)
    return Evaluation(task.loss(outputs, batch), task.accuracy(outputs, batch))


def _dtype(params: Params) -> Any:
    return jnp.result_type(*jax.tree.leaves(params))
