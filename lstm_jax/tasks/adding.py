"""Adding, as Le et al. and Arjovsky et al. have it: the sum of two marked numbers.

    x_t = (number, mark)      numbers uniform in [0, 1]
    answer at the last step   the sum of the two numbers whose mark is 1

One mark is uniform in the first half of the sequence, steps [0, length // 2), the other
in the second half; all sequences have `length` steps. The loss is the mean squared
error, in the squared unit of the numbers.

    floor     1/6    the answer is always 1, the variance of two uniform numbers is left
    plateau   1/12   one of the two numbers is known

(Where the last step is marked, its number can be read off without memory; that is worth
1 / (12 ceil(length / 2)), and the floor leaves it out, as the papers do.)

A worked example, length 6:

    numbers  0.5  0.25  0.75  1.0  0.5  0.125
    marks    0    1     0     0    1    0        -> 0.25 + 0.5 = 0.75

A sequence counts as right where (output - answer)^2 < 0.04, the criterion of Pascanu et
al., in whose code the answer is half the sum.

References:
  Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941
  Arjovsky, Shah & Bengio (2016), with one mark in each half,
  https://arxiv.org/abs/1511.06464
  Pascanu, Mikolov & Bengio (2013), section 4.1.2, the criterion,
  https://arxiv.org/abs/1211.5063

`adding_1997` is another task: do not mix their numbers.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import (
    ask_last,
    sampler,
    steps,
    uniform_between,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def sum_of_marked(
    inputs: Float[Array, "time batch 2"],
) -> Float[Array, " batch"]:
    """Returns the answers: the sum of the numbers that are marked."""
    numbers, marks = inputs[..., 0], inputs[..., 1]
    return jnp.sum(numbers * marks, axis=0)


def floor(length: int) -> float:
    """Returns 1/6, the variance of the sum of two numbers in [0, 1]."""
    del length
    return 1 / 6


def plateaus(length: int) -> Mapping[str, float]:
    """Returns 1/12: one number is known, the variance of the other is left."""
    del length
    return {"one of two numbers": 1 / 12}


def correct(outputs: Float[Array, "batch 1"], batch: Batch) -> Bool[Array, " batch"]:
    """Returns which sums are right: squared error below 0.04."""
    return losses.all_scored(losses.within(0.2, outputs, batch), batch)


def accuracy(outputs: Float[Array, "batch 1"], batch: Batch) -> Float[Array, ""]:
    """Returns the share of the sums that are right."""
    return losses.share(correct(outputs, batch), losses.scored(batch))


def _draw(
    key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    key_numbers, key_early, key_late = jax.random.split(key, 3)
    numbers = jax.random.uniform(key_numbers, (max_length, batch_size), jnp.float32)
    half = length // 2
    early = uniform_between(key_early, batch_size, jnp.zeros_like(half), half - 1)
    late = uniform_between(key_late, batch_size, half, length - 1)
    step = steps(max_length)
    marked = (step == early) | (step == late)
    inputs = jnp.stack([numbers, marked.astype(jnp.float32)], axis=-1)
    return ask_last(inputs, sum_of_marked(inputs), length)


_sample = sampler(_draw, shortest=2)

ADDING = Task(
    name="adding",
    input_size=2,
    output_size=1,
    answers="last_step",
    sample=_sample,
    loss=losses.squared_error,
    accuracy=accuracy,
    floor=floor,
    plateaus=plateaus,
    correct=correct,
)
