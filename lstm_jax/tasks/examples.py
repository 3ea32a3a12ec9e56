"""Arrays of a user as examples: checked, stored on the device, made into a batch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lstm_jax.tasks import stored
from lstm_jax.tasks.sampling import steps
from lstm_jax.tasks.task import Batch


class Examples(NamedTuple):
    """Sequences and their answers; `*scored` is (example,) or (time, example)."""

    inputs: Float[Array, "time example input"]
    targets: Array
    weights: Float[Array, "*scored example"]
    lengths: Int[Array, " example"]


def examples_of(
    inputs: Any, targets: Any, lengths: Any, weights: Any, *, every: bool
) -> Examples:
    """Returns the arrays, on the host unless they are JAX's; refuses what doesn't fit.

    Errors as of `from_arrays`; `every` says whether there is an answer at every step.
    """
    inputs, targets = stored.real("inputs", inputs), stored.real("targets", targets)
    _check_axes(inputs, targets, lengths, every)
    time, count, _ = inputs.shape
    lengths = _given(lengths, time, (count,))
    _check_lengths(lengths, time, count)
    _check_finite(inputs, lengths)
    shape = (time, count) if every else (count,)
    weights = _given(weights, 1.0, shape)
    _check_shape("weights", weights, shape, "one for each answer")
    return Examples(inputs, targets, weights, lengths)


def _given(array: Any, otherwise: float, shape: tuple[int, ...]) -> np.ndarray:
    """Returns an array, or one number for all that takes no memory."""
    return np.broadcast_to(otherwise, shape) if array is None else np.asarray(array)


def asked(examples: Examples) -> np.ndarray:
    """Returns the answers that are asked for, (answer, ...)."""
    counts = examples.weights != 0
    if counts.ndim == 2:
        counts = counts & (np.arange(len(counts))[:, None] < examples.lengths)
    if not counts.any():
        raise ValueError("weights: got 0 for every answer; one of training must count")
    return np.asarray(examples.targets)[counts]


def part(examples: Examples, first: int, last: int) -> Examples:
    """Returns the examples from `first` to before `last`."""
    axis = examples.weights.ndim - 1
    axes = (1, axis, axis, 0)  # of the examples
    cut = [
        array[(*[slice(None)] * axis, slice(first, last))]
        for array, axis in zip(examples, axes, strict=True)
    ]
    return Examples(*cut)


def on_device(examples: Examples) -> Examples:
    """Returns them on the device, in JAX's own float and integer dtypes."""
    return Examples(*map(_as_stored, examples))


def batch_of(examples: Examples, which: Any = slice(None)) -> Batch:
    """Returns these of the examples as a batch, padded with zeros."""
    time, axis = len(examples.inputs), examples.weights.ndim - 1
    lengths = examples.lengths[which]
    counts = steps(time) < lengths
    inputs = jnp.where(counts[..., None], examples.inputs[:, which], 0)
    take = (slice(None),) * axis
    targets = examples.targets[(*take, which)]
    weights = examples.weights[(*take, which)].astype(inputs.dtype)
    if axis:
        weights = jnp.where(counts, weights, 0)
        answered = counts.reshape(counts.shape + (1,) * (targets.ndim - 2))
        targets = jnp.where(answered, targets, 0)
    return Batch(inputs, targets, weights, lengths)


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


def _check_finite(inputs: Any, lengths: Int[np.ndarray, " example"]) -> None:
    """Refuses a number that is read and not finite."""
    # A sum needs no second array; padding beyond the lengths may hold anything.
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(inputs.sum(dtype=float)):
            return
    found = np.asarray(inputs)
    odd = ~np.isfinite(found) & (np.arange(len(found))[:, None] < lengths)[..., None]
    if odd.any():
        step, example, which = np.argwhere(odd)[0]
        raise ValueError(
            f"inputs: found {found[odd][0]} at step {step}, example {example}, input "
            f"{which}; they must be finite up to the lengths"
        )
