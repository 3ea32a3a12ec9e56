"""The model that is trained, a cell and a linear readout, and its evaluation."""

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import readouts
from lstm_jax.cells import shapes
from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import KeyedCell, with_keys, without_noise
from lstm_jax.checks import check_key, check_type
from lstm_jax.readouts import LinearParams
from lstm_jax.tasks.task import Batch, Task, check_task
from lstm_jax.training.batches import Drawing, accuracy_of, check_drawing, draw, loss_of
from lstm_jax.training.first_batch import check_first_batch
from lstm_jax.types import Params, PRNGKey
from lstm_jax.unrolling import unroll

KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY


class ModelParams(NamedTuple):
    """The trained parameters."""

    cell: Params
    readout: LinearParams


class Evaluation(NamedTuple):
    """Scores of a model on data that training never drew."""

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


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
    check_cell("cell", cell)
    check_type("init_options", init_options, Mapping | None, "a mapping of options")
    _check_options(cell, init_options or {})
    key_cell, key_readout = jax.random.split(key)
    params = cell.init(key_cell, input_size, hidden_size, **(init_options or {}))
    readout = readouts.init_linear(
        key_readout,
        shapes.output_size(cell, params, input_size),
        output_size,
        dtype=dtype_of(params),
    )
    return ModelParams(cell=params, readout=readout)


def _check_options(cell: Cell, options: Mapping[str, Any]) -> None:
    """Refuses options that are not in the signature of `init`."""
    taken = inspect.signature(cell.init).parameters
    if any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        return
    for name in options:
        if name not in taken:
            known = [name for name in taken if taken[name].kind is KEYWORD_ONLY]
            raise TypeError(
                f"init_options: got {name!r}; {cell.name!r} takes "
                f"{', '.join(known) or 'none'}"
            )


def predict(
    cell: Cell,
    task: Task,
    params: ModelParams,
    batch: Batch,
    key: PRNGKey | None = None,
) -> Float[Array, "*scored output"]:
    """Returns the model's answers.

    (batch, output) at each sequence's last step, or (time, batch, output), depending on
    the task. Steps beyond the lengths are run but not read, which is cheaper than
    masking them, unless a layer reads backwards and would begin there. A `key` draws
    the noise of a `KeyedCell`, as in training; without one the cell runs as in
    evaluation.
    """
    check_type("params", params, ModelParams, "ModelParams, of a cell and its readout")
    xs = batch.inputs.astype(dtype_of(params))
    lengths = batch.lengths if 2 in cell.directions else None
    if key is None:
        _, ys = unroll(without_noise(cell), params.cell, xs, lengths=lengths)
    elif isinstance(cell, KeyedCell):
        keyed = with_keys(key, xs, cell.per)
        _, ys = unroll(cell, params.cell, keyed, lengths=lengths)
    else:
        raise ValueError(f"key: it was given, but {cell.name!r} draws nothing")
    if task.answers == "last_step":
        ys = _at_the_end(cell, ys, batch.lengths)
    return readouts.linear(params.readout, ys)


def _at_the_end(cell: Cell, ys: Array, lengths: Array) -> Float[Array, "batch output"]:
    """Returns what each direction of the last layer shows after its last step."""
    last = readouts.last_step(ys, lengths)
    if cell.directions[-1] == 1:
        return last
    half = ys.shape[-1] // 2
    return jnp.concatenate([last[..., :half], ys[0, ..., half:]], axis=-1)


def evaluate(
    key: PRNGKey,
    cell: Cell,
    task: Task,
    params: ModelParams,
    *,
    batch_size: int,
    length: int,
) -> Evaluation:
    """Returns loss and accuracy on one batch of `task.sample_test`.

    The same key draws the same batch, so evaluations can be compared. A cell with noise
    is evaluated without it. Errors as for `train`.

    Example:
      >>> import optax
      >>> state, _ = lj.train(
      ...     jax.random.key(0), lj.LSTM, lj.tasks.PARITY, optax.adam(1e-2),
      ...     hidden_size=4, num_steps=3, batch_size=2, length=5,
      ... )
      >>> result = lj.evaluate(
      ...     jax.random.key(1), lj.LSTM, lj.tasks.PARITY, state.params,
      ...     batch_size=8, length=5,
      ... )
      >>> result._fields
      ('loss', 'accuracy')
    """
    return scores(key, cell, task, params, Drawing("sample_test", batch_size, length))


def scores(
    key: PRNGKey, cell: Cell, task: Task, params: ModelParams, drawing: Drawing
) -> Evaluation:
    """Returns loss and accuracy on one batch, drawn from any part of the data."""
    check_key("key", key)
    check_cell("cell", cell)
    check_task(task)
    check_drawing(drawing)
    check_first_batch(task, drawing)
    batch = draw(task, drawing, key, jnp.zeros((), jnp.int32))
    outputs = predict(cell, task, params, batch)
    return Evaluation(loss_of(task, outputs, batch), accuracy_of(task, outputs, batch))


def dtype_of(params: Params) -> Any:
    """Returns the dtype that all weights together promote to."""
    return jnp.result_type(*jax.tree.leaves(params))
