"""A task of your own arrays: sequences, and what is asked about them.

The last examples are the test; training draws the others at random, with replacement.
An evaluation draws all test examples before it draws one again. The floor is the loss
of the best constant.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from lstm_jax.checks import check_choice, check_key, check_whole
from lstm_jax.tasks import stored
from lstm_jax.tasks.sampling import checked_length, steps
from lstm_jax.tasks.task import Answers, Batch, Task
from lstm_jax.types import PRNGKey


class Examples(NamedTuple):
    """The data; `*scored` is (example,) or (time, example)."""

    inputs: Float[Array, "time example input"]
    targets: Array
    weights: Float[Array, "*scored example"]
    lengths: Int[Array, " example"]


def from_arrays(
    inputs: Any,
    targets: Any,
    *,
    lengths: Any = None,
    weights: Any = None,
    test: float = 0.2,
    valid: float = 0.0,
    loss: str = "squared_error",
    answers: Answers = "last_step",
    accuracy: Callable | None = None,
    name: str = "mine",
) -> Task:
    """Returns the task of arrays, which are its leaves; see `Task`.

    Its length is the time axis: `lj.train(..., length=inputs.shape[0])`.

    Args:
      inputs: (time, example, input); steps beyond `lengths` are not read.
      targets: (example,) or (example, output) for answers at the last step, with the
        time in front for answers at every step; integers for "cross_entropy".
      lengths: (example,), the steps that count; all if not given.
      weights: (example,), or (time, example) for answers at every step; how much each
        answer counts, 1 if not given.
      test: the share of examples, the last ones, that are held out for
        `lj.evaluate`; with 0 it draws those of training.
      valid: the share of the others, at their end, that are held out of training for
        `sample_valid`.
      loss: "squared_error" or "cross_entropy".
      answers: "last_step" or "every_step".
      accuracy: `(outputs, batch) -> scalar`; if not given the share of right classes,
        or of numbers that are within half a standard deviation of all targets.
      name: what tables and messages call it.

    Raises:
      TypeError: an array is not of real numbers, or classes are not integers.
      ValueError: axes don't fit one another; the message has the `swapaxes` to write
        if they do the other way round.

    Example:
      >>> import optax
      >>> inputs = jax.random.normal(jax.random.key(0), (12, 50, 2))
      >>> labels = (inputs[0, :, 0] > 0).astype(int)
      >>> task = lj.tasks.from_arrays(inputs, labels, loss="cross_entropy")
      >>> state, _ = lj.train(
      ...     jax.random.key(1), lj.LSTM, task, optax.adam(1e-2),
      ...     hidden_size=4, num_steps=3, batch_size=8, length=12,
      ... )
      >>> result = lj.evaluate(
      ...     jax.random.key(2), lj.LSTM, task, state.params, batch_size=10, length=12
      ... )
      >>> result.loss.shape
      ()
    """
    check_choice("answers", answers, get_args(Answers))
    check_choice("loss", loss, stored.LOSSES)
    inputs, targets = stored.real("inputs", inputs), stored.real("targets", targets)
    every = answers == "every_step"
    _check_axes(inputs, targets, lengths, every)
    time, count, _ = inputs.shape
    lengths = np.full(count, time) if lengths is None else np.asarray(lengths)
    _check_lengths(lengths, time, count)
    shape = (time, count) if every else (count,)
    weights = np.ones(shape) if weights is None else np.asarray(weights)
    _check_shape("weights", weights, shape, "one for each answer")
    held = stored.num_test(test, count)
    arrays = (inputs, targets, weights, lengths)
    axes = (1, len(shape) - 1, len(shape) - 1, 0)

    def part(first: int, last: int) -> list:
        return [
            _cut(a, axis, first, last) for a, axis in zip(arrays, axes, strict=True)
        ]

    def drawing(choose: Callable, data: Examples) -> Partial:
        return Partial(partial(_drawn, choose), data)

    outputs = (*targets.shape[len(shape) :], 1)[0]
    if loss == "cross_entropy":
        outputs = stored.num_classes(_asked(*arrays[1:]))
    cut = count - held
    begin = cut - stored.num_valid(valid, cut)
    training = _stored(part(0, begin))
    validation = _stored(part(begin, cut)) if begin < cut else None
    testing = _stored(part(cut, count)) if held else training
    return Task(
        name=name,
        input_size=inputs.shape[2],
        output_size=outputs,
        answers=answers,
        sample=drawing(stored.at_random, training),
        sample_test=drawing(stored.each_once, testing),
        sample_valid=validation and drawing(stored.each_once, validation),
        **stored.scores_of(loss, _asked(*part(0, begin)[1:]), accuracy),
    )


def _asked(targets: Any, weights: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the answers that are asked for, (answer, ...)."""
    counts = weights != 0
    if weights.ndim == 2:
        counts = counts & (np.arange(len(weights))[:, None] < lengths)
    if not counts.any():
        raise ValueError("weights: got 0 for every answer; one of training must count")
    return np.asarray(targets)[counts]


def _stored(arrays: list) -> Examples:
    return Examples(*map(_as_stored, arrays))


def _cut(array: Any, axis: int, first: int, last: int) -> Any:
    return array[(*[slice(None)] * axis, slice(first, last))]


def _as_stored(array: Any) -> Array:
    """Returns an array on the device, in JAX's own float or integer dtype."""
    kind = float if jnp.issubdtype(array.dtype, jnp.floating) else int
    return jnp.asarray(array, jax.dtypes.canonicalize_dtype(kind))


def _check_axes(inputs: Any, targets: Any, lengths: Any, every: bool) -> None:
    if inputs.ndim != 3:
        raise ValueError(
            f"inputs: shape is {inputs.shape}; it must be (time, example, input)"
        )
    asked = inputs.shape[:2] if every else inputs.shape[1:2]
    if lengths is not None:
        first = np.shape(lengths)
        if first != inputs.shape[1:2] and first == inputs.shape[:1]:
            raise _turned("inputs", inputs, "lengths", "(time, example, input)")
    if targets.shape[: len(asked)] == asked and targets.ndim <= len(asked) + 1:
        return
    if every and targets.shape[:2] == asked[::-1]:
        raise _turned("targets", targets, "inputs", "(time, example, ...)")
    if not every and targets.shape[:1] == inputs.shape[:1]:
        raise _turned("inputs", inputs, "targets", "(time, example, input)")
    wanted = f"{asked} or ({', '.join(map(str, asked))}, output)"
    raise ValueError(
        f"targets: shape is {targets.shape}; it must be {wanted}, for inputs of shape "
        f"{inputs.shape}, (time, example, input)"
    )


def _turned(name: str, array: Any, by: str, axes: str) -> ValueError:
    return ValueError(
        f"{name}: shape is {array.shape}, by the {by} with the examples first; it must "
        f"be {axes}: {name}.swapaxes(0, 1)"
    )


def _check_shape(name: str, array: Any, wanted: tuple[int, ...], why: str) -> None:
    if array.shape != wanted:
        raise ValueError(f"{name}: shape is {array.shape}; it must be {wanted}, {why}")


def _check_lengths(lengths: np.ndarray, time: int, count: int) -> None:
    _check_shape("lengths", lengths, (count,), "one for each example")
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"lengths: dtype is {lengths.dtype}; it must be integer")
    wrong = lengths[(lengths < 1) | (lengths > time)]
    if wrong.size:
        raise ValueError(
            f"lengths: found {wrong[0]}; each must be in [1, {time}], the time axis of "
            "inputs"
        )


def _drawn(
    choose: Callable[..., Array],
    data: Examples,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Any = None,
) -> Batch:
    check_key("key", key)
    check_whole("batch_size", batch_size, 1)
    time, count, _ = data.inputs.shape
    checked_length(max_length, length, shortest=time, longest=time)
    which = choose(key, batch_size, count)
    lengths = data.lengths[which]
    counts = steps(time) < lengths
    inputs = jnp.where(counts[..., None], data.inputs[:, which], 0)
    axis = data.weights.ndim - 1
    targets = jnp.take(data.targets, which, axis=axis)
    weights = data.weights[..., which].astype(inputs.dtype)
    if axis:
        weights = jnp.where(counts, weights, 0)
        asked = counts.reshape(counts.shape + (1,) * (targets.ndim - 2))
        targets = jnp.where(asked, targets, 0)
    return Batch(inputs, targets, weights, lengths)
