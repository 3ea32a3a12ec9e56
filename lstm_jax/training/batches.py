"""Batches as a task draws and scores them, held to what `Batch` and `Task` promise.

Shapes and dtypes are checked while an update is traced, which costs nothing when it
runs. Values are checked in `first_batch`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.checks import check_type, check_whole, shown
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

ARRAY = jax.Array | np.ndarray | jax.ShapeDtypeStruct
NUMBER = jax.Array | np.ndarray | np.generic | int | float


class Drawing(NamedTuple):
    """How batches are drawn.

    Attributes:
      split: the field of the task that draws: "sample", "sample_valid" or
        "sample_test".
      batch_size: sequences.
      length: steps, or a curriculum `step -> length`.
      max_length: steps of the arrays; None where they are `length`.
    """

    split: str
    batch_size: int
    length: Any
    max_length: int | None = None

    @property
    def time(self) -> int:
        """Steps of the arrays."""
        return self.length if self.max_length is None else self.max_length


def check_drawing(drawing: Drawing) -> None:
    """Refuses sizes that no batch can have."""
    _, batch_size, length, max_length = drawing
    check_whole("batch_size", batch_size, 1)
    if max_length is not None:
        check_whole("max_length", max_length, 1)
    elif callable(length):
        raise ValueError(
            "max_length: got None; it must be a number where length is a curriculum"
        )
    known = not callable(length) and not isinstance(length, Tracer)
    if known or max_length is None:
        check_whole("length", length, 1, max_length)


def draw(task: Task, drawing: Drawing, key: PRNGKey, step: Int[Array, ""]) -> Batch:
    """Returns the batch of an update; refuses types and shapes that `Batch` forbids."""
    batch = unchecked(task, drawing, key, step)
    _check_batch(task, batch, drawing.batch_size, drawing.time)
    return batch


def unchecked(task: Task, drawing: Drawing, key: PRNGKey, step: Int[Array, ""]) -> Any:
    """Returns what the task draws, unchecked."""
    sample = getattr(task, drawing.split)
    if drawing.max_length is None:
        return sample(key, drawing.batch_size, drawing.length)
    length = drawing.length(step) if callable(drawing.length) else drawing.length
    return sample(key, drawing.batch_size, drawing.max_length, length)


def loss_of(task: Task, outputs: Array, batch: Batch) -> Float[Array, ""]:
    """Returns the task's loss, which must be a real scalar of JAX."""
    loss = task.loss(outputs, batch)
    check_type("loss", loss, jax.Array, f"one real number of jax, in {task.name!r}")
    _check_scalar("loss", loss, task)
    return loss


def accuracy_of(task: Task, outputs: Array, batch: Batch) -> Float[Array, ""]:
    """Returns the task's accuracy, which must be a real scalar."""
    accuracy = task.accuracy(outputs, batch)
    check_type("accuracy", accuracy, NUMBER, f"one real number, in {task.name!r}")
    _check_scalar("accuracy", accuracy, task)
    floating = jnp.issubdtype(jnp.result_type(accuracy), jnp.floating)
    return jnp.asarray(accuracy, None if floating else jnp.float32)


def _check_scalar(name: str, value: Any, task: Task) -> None:
    if np.shape(value) != () or not _is_real(jnp.result_type(value)):
        raise ValueError(
            f"{name}: got {shown(value)}; it must be one real number, in {task.name!r}"
        )


def judge(
    criterion: Callable[..., Array], task: Task, outputs: Array, batch: Batch
) -> Bool[Array, " batch"]:
    """Returns which sequences are right by the criterion `task.correct`."""
    right, wanted = criterion(outputs, batch), batch.lengths.shape
    check_type("correct", right, ARRAY, f"bool{list(wanted)}, in {task.name!r}")
    if right.shape != wanted or right.dtype != jnp.bool_:
        raise ValueError(
            f"correct: got {shown(right)}; it must be bool{list(wanted)}, one for each "
            f"sequence, in {task.name!r}"
        )
    return right


def _check_batch(task: Task, batch: Any, batch_size: int, time: int) -> None:
    check_type("sample", batch, Batch, f"an lj.Batch, what {task.name!r} must return")
    asked, axes = (batch_size,), "(batch,)"
    if task.answers == "every_step":
        asked, axes = (time, batch_size), "(time, batch)"
    of = f"in {task.name!r}, answers={task.answers!r}"
    check_inputs(task, batch.inputs, batch_size, time)
    _check_array("lengths", batch.lengths, (batch_size,), f"(batch,) {of}")
    _check_array("weights", batch.weights, asked, f"{axes} {of}")
    check_type("targets", batch.targets, ARRAY, f"an array, {of}")
    if batch.targets.shape[: len(asked)] != asked:
        raise ValueError(
            f"targets: shape is {batch.targets.shape}; it must begin with {asked}, "
            f"{axes} {of}"
        )
    if not jnp.issubdtype(batch.lengths.dtype, jnp.integer):
        dtype = batch.lengths.dtype
        raise TypeError(f"lengths: dtype is {dtype}; it must be integer, {of}")


def check_inputs(task: Task, inputs: Any, batch_size: int, time: int) -> None:
    """Refuses inputs that are not (time, batch, input_size)."""
    shape = (time, batch_size, task.input_size)
    axes = f"(time, batch, input_size) of {task.name!r}"
    _check_array("inputs", inputs, shape, axes)


def _check_array(name: str, array: Any, shape: tuple[int, ...], axes: str) -> None:
    check_type(name, array, ARRAY, f"an array {axes}")
    if array.shape != shape:
        raise ValueError(f"{name}: shape is {array.shape}; it must be {shape}, {axes}")
    if not _is_real(array.dtype):
        raise TypeError(f"{name}: dtype is {array.dtype}; it must be real, {axes}")


def _is_real(dtype: Any) -> bool:
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    return any(jnp.issubdtype(dtype, kind) for kind in kinds)
