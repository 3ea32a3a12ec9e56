"""A toy task: was the first number positive? Copied to lstm_jax/tasks/."""

import jax
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import ask_last, sampler
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def floor(length: int) -> float:
    """Returns ln 2, of a guess; 0 where the first number is the last."""
    return float(np.log(2)) if length > 1 else 0.0


def _draw(
    key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    numbers = jax.random.normal(key, (max_length, batch_size, 1))
    signs = (numbers[0, :, 0] > 0).astype(int)
    return ask_last(numbers, signs, length)


_sample = sampler(_draw, shortest=1)

FIRST_SIGN = Task(
    name="first_sign",
    input_size=1,
    output_size=2,
    answers="last_step",
    sample=_sample,
    loss=losses.cross_entropy,
    accuracy=losses.accuracy,
    floor=floor,
    correct=losses.all_right,
)
