"""Latch: keep one bit against noise.

    x_t = +1 or -1, by the class, at the first 3 steps; then Gaussian noise, sd 0.2
    answer at the last step: +0.8 or -0.8

The loss is the mean squared error; the floor is 0.64, the variance of the answer. A
sequence is right where the output has the sign of the answer, chance 1/2.

Bengio et al. train the first inputs of a single unit together with it; here they are
given, which leaves the part of the problem that is about memory. The 0.2 of their
figure is a VARIANCE, as in task 3a of Hochreiter & Schmidhuber: `noise=0.2**0.5`.

A worked example:  1 1 1 0.1 -0.3 0.2  -> 0.8

References:
  Bengio, Simard & Frasconi (1994), sections II and III,
  https://doi.org/10.1109/72.279181
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.checks import check_number, check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import (
    ask_last,
    random_symbols,
    sampler,
    steps,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

TARGET = 0.8


def latch(noise: int | float = 0.2, num_informative: int = 3) -> Task:
    """Returns the task, for lengths from num_informative + 1.

    Args:
      noise: standard deviation.
      num_informative: steps that show the class, without noise.

    Raises:
      ValueError: the noise is negative or NaN, or no step is informative.

    Example:
      >>> task = lj.tasks.latch(noise=0.1)
      >>> batch = task.sample(jax.random.key(0), batch_size=2, max_length=5)
      >>> batch.inputs.shape
      (5, 2, 1)
    """
    check_number("noise", noise, "[0, inf)")
    check_whole("num_informative", num_informative, 1)
    return _latch(float(noise), num_informative)


@factory
def _latch(noise: float, num_informative: int) -> Task:
    sample = sampler(
        partial(_draw, noise, num_informative), shortest=num_informative + 1
    )
    return Task(
        name="latch",
        input_size=1,
        output_size=1,
        answers="last_step",
        sample=sample,
        loss=losses.squared_error,
        accuracy=accuracy,
        floor=lambda length: TARGET**2,
        correct=correct,
    )


def correct(outputs: Float[Array, "batch 1"], batch: Batch) -> Bool[Array, " batch"]:
    """Returns which outputs have the sign of the answer."""
    right = outputs[:, 0] * batch.targets.astype(outputs.dtype) > 0
    return losses.all_scored(right, batch)


def accuracy(outputs: Float[Array, "batch 1"], batch: Batch) -> Float[Array, ""]:
    """Returns the share of outputs with the sign of the answer."""
    return losses.share(correct(outputs, batch), losses.scored(batch))


def _draw(
    noise: float,
    num_informative: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_class, key_noise = jax.random.split(key)
    classes = random_symbols(key_class, (batch_size,), 0, 2)
    sign = (2 * classes - 1).astype(jnp.float32)
    noises = np.float32(noise) * jax.random.normal(
        key_noise, (max_length, batch_size), jnp.float32
    )
    inputs = jnp.where(steps(max_length) < num_informative, sign, noises)[..., None]
    targets = np.float32(TARGET) * sign
    return ask_last(inputs, targets, length)


LATCH = latch()
