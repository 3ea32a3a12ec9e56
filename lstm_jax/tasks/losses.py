"""Losses, accuracies and criteria that tasks share; they skip answers of weight 0.

`*scored` is (batch,) or (time, batch), as in `Batch`. Outputs and targets of answers
that are not asked for, even NaN and classes that do not exist, affect neither values
nor gradients.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.tasks.task import Batch


def scored(batch: Batch) -> Bool[Array, " *scored"]:
    """Returns which answers are asked for: those whose weight is not 0."""
    return batch.weights.astype(jnp.bool_)


def cross_entropy(
    outputs: Float[Array, "*scored classes"], batch: Batch
) -> Float[Array, ""]:
    """Returns the weighted mean of -ln softmax(outputs)[target], in nats.

    NaN under `jit`, where values can't be refused, if a class asked for doesn't exist.

    Raises:
      TypeError: the targets are not integers.
      ValueError: they are not one class an answer, or, where their values are known,
        one that is asked for is not a class of the outputs.
    """
    logits, classes = _of_scored(outputs, batch), _classes(outputs, batch)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, classes)
    return weighted_mean(_nan_of_none(losses, classes, logits), batch)


def logistic_squared_error(
    outputs: Float[Array, "*scored classes"], batch: Batch
) -> Float[Array, ""]:
    """Returns the mean of |sigmoid(outputs) - one_hot(target)|^2, summed over classes.

    What was trained in 1997, up to a factor of 1/2: logistic output units. Errors and
    NaN as for `cross_entropy`.
    """
    activations = jax.nn.sigmoid(_of_scored(outputs, batch))
    losses = jnp.sum(_class_errors(activations, batch) ** 2, axis=-1)
    classes = _classes(outputs, batch)
    return weighted_mean(_nan_of_none(losses, classes, outputs), batch)


def logistic_cross_entropy(
    outputs: Float[Array, "*scored units"], batch: Batch
) -> Float[Array, ""]:
    """Returns the mean cross-entropy of logistic units, summed over units, in nats.

    Targets are (*scored, units), 0 or 1 each: any number of units may be asked for.

    Raises:
      ValueError: outputs and targets have different shapes.
    """
    if batch.targets.shape != outputs.shape:
        raise ValueError(
            f"outputs: shape is {outputs.shape}; it must be {batch.targets.shape}, one "
            "number for each unit of the targets"
        )
    logits, asked = _of_scored(outputs, batch), _of_scored(batch.targets, batch)
    units = optax.sigmoid_binary_cross_entropy(logits, asked.astype(outputs.dtype))
    return weighted_mean(jnp.sum(units, axis=-1), batch)


def squared_error(
    outputs: Float[Array, "*scored numbers"], batch: Batch
) -> Float[Array, ""]:
    """Returns the mean of (output - target)^2, in the squared unit of the target.

    Of several numbers an answer, the mean over them too. Targets are (*scored,
    numbers); of one number also (*scored,).

    Raises:
      ValueError: outputs and targets have different shapes.
    """
    return weighted_mean(jnp.mean(_errors(outputs, batch) ** 2, axis=-1), batch)


def argmax_right(
    outputs: Float[Array, "*scored classes"], batch: Batch
) -> Bool[Array, " *scored"]:
    """Returns which answers have the largest output at the right class."""
    largest = jnp.argmax(_of_scored(outputs, batch), axis=-1)
    classes = _classes(outputs, batch)
    return largest.astype(classes.dtype) == classes


def within(
    tolerance: float, outputs: Float[Array, "*scored numbers"], batch: Batch
) -> Bool[Array, " *scored"]:
    """Returns which answers have |output - target| < tolerance in all their numbers."""
    return jnp.max(jnp.abs(_errors(outputs, batch)), axis=-1) < tolerance


def classes_within(
    tolerance: float, activations: Float[Array, "*scored classes"], batch: Batch
) -> Bool[Array, " *scored"]:
    """Returns which answers have |activation - one_hot(target)| < tolerance in all."""
    errors = _class_errors(_of_scored(activations, batch), batch)
    return jnp.max(jnp.abs(errors), axis=-1) < tolerance


def legal_most_active(
    outputs: Float[Array, "*scored classes"],
    batch: Batch,
    legal: Bool[Array, "*scored classes"],
) -> Bool[Array, " *scored"]:
    """Returns where each legal class has a larger output than each illegal one."""
    logits = _of_scored(outputs, batch)
    least_legal = jnp.min(jnp.where(legal, logits, jnp.inf), axis=-1)
    most_illegal = jnp.max(jnp.where(legal, -jnp.inf, logits), axis=-1)
    return least_legal > most_illegal


def all_scored(right: Bool[Array, " *scored"], batch: Batch) -> Bool[Array, " batch"]:
    """Returns the sequences in which every answer that is asked for is right.

    One in which nothing is asked for is among them.
    """
    right = right | ~scored(batch)
    return right if right.ndim == 1 else jnp.all(right, axis=0)


def share(
    right: Bool[Array, " *scored"], counted: Bool[Array, " *scored"]
) -> Float[Array, ""]:
    """Returns the share of counted answers that are right; NaN if none are counted."""
    return jnp.sum(right & counted, dtype=jnp.float32) / jnp.sum(
        counted, dtype=jnp.float32
    )


def weighted_mean(losses: Float[Array, " *scored"], batch: Batch) -> Float[Array, ""]:
    """Returns the mean over the answers that are asked for, by their weights.

    0, with a gradient of 0, where nothing is asked for: such a batch teaches nothing.
    """
    counts = scored(batch)
    weights = batch.weights.astype(losses.dtype)
    total = jnp.where(jnp.any(counts), jnp.sum(weights), 1)
    return jnp.sum(jnp.where(counts, losses, 0) * weights) / total


def accuracy(
    outputs: Float[Array, "*scored classes"], batch: Batch
) -> Float[Array, ""]:
    """Returns the share of the asked answers whose largest output is right."""
    return share(argmax_right(outputs, batch), scored(batch))


def all_right(
    outputs: Float[Array, "*scored classes"], batch: Batch
) -> Bool[Array, " batch"]:
    """Returns the sequences all of whose asked answers are right by `argmax_right`."""
    return all_scored(argmax_right(outputs, batch), batch)


def all_within(
    tolerance: float,
    activate: Callable[[Array], Array],
    outputs: Float[Array, "*scored classes"],
    batch: Batch,
) -> Bool[Array, " batch"]:
    """Returns the sequences all of whose answers are right by `classes_within`."""
    return all_scored(classes_within(tolerance, activate(outputs), batch), batch)


def _of_scored(values: Array, batch: Batch) -> Array:
    """Returns (*scored, ...) with zeros in place of what is not asked for."""
    counts = scored(batch)
    trailing = tuple(range(counts.ndim, values.ndim))
    return jnp.where(jnp.expand_dims(counts, trailing), values, 0)


def _errors(
    outputs: Float[Array, "*scored numbers"], batch: Batch
) -> Float[Array, "*scored numbers"]:
    targets = batch.targets
    if targets.ndim == batch.weights.ndim:
        targets = targets[..., None]
    if targets.shape != outputs.shape:
        raise ValueError(
            f"outputs: shape is {outputs.shape}; it must be {targets.shape}, one "
            f"number for each in the targets of shape {batch.targets.shape}"
        )
    targets = _of_scored(targets, batch)
    return _of_scored(outputs, batch) - targets.astype(outputs.dtype)


def _class_errors(
    activations: Float[Array, "*scored classes"], batch: Batch
) -> Float[Array, "*scored classes"]:
    classes = _classes(activations, batch)
    size, dtype = activations.shape[-1], activations.dtype
    return activations - jax.nn.one_hot(classes, size, dtype=dtype)


def _nan_of_none(losses: Array, classes: Array, outputs: Array) -> Array:
    """Returns the losses, NaN where the class is none of the outputs."""
    exists = (classes >= 0) & (classes < outputs.shape[-1])
    return jnp.where(exists, losses, jnp.nan)


def _classes(
    outputs: Float[Array, "*scored classes"], batch: Batch
) -> Int[Array, " *scored"]:
    """Returns the classes that are asked for, 0 where there is none."""
    targets, size = batch.targets, outputs.shape[-1]
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise TypeError(
            f"targets: dtype is {targets.dtype}; it must be integer, a class an answer"
        )
    if targets.shape != outputs.shape[:-1]:
        raise ValueError(
            f"targets: shape is {targets.shape}; it must be {outputs.shape[:-1]}, a "
            "class for each answer of the outputs"
        )
    classes = _of_scored(targets, batch)
    if not isinstance(classes, Tracer):
        wrong = np.asarray(classes)[np.asarray((classes < 0) | (classes >= size))]
        if wrong.size:
            raise ValueError(
                f"targets: found {wrong[0]}; each that is asked for must be in "
                f"[0, {size - 1}], the classes of the outputs"
            )
    return classes
