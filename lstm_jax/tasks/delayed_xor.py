"""Delayed XOR: the XOR of two earlier bits of a random stream.

    asked at step t >= delay:  x[t - delay/2] XOR x[t - delay]

Inputs are the bits, 0 or 1 with probability 1/2, as one number; the answer is one of
two classes, asked for at every step from `delay` on. The loss is the mean cross-entropy
in nats. The floor is ln 2, and knowing one of the two bits does not lower it. A
sequence is right where every largest output is.

A worked example, delay 2:

    x        1  0  0  1  1
    asked    -  -  1  0  1      as 0 XOR 1, 0 XOR 0, 1 XOR 0

References:
  Engelken (2023), the delayed temporal XOR task, https://arxiv.org/abs/2312.17306;
  the delay of its code is that of the later bit, half of `delay`,
  https://github.com/RainerEngelken/GradientFlossing
"""

from collections.abc import Mapping
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import (
    ask_every,
    random_symbols,
    sampler,
    steps,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def delayed_xor(delay: int = 10) -> Task:
    """Returns the task, for lengths from delay + 1.

    Args:
      delay: steps back to the earlier bit; even.

    Raises:
      ValueError: the delay is odd or below 2.

    Example:
      >>> lj.tasks.delayed_xor(delay=2).answers
      'every_step'
    """
    check_whole("delay", delay, 2)
    if delay % 2:
        raise ValueError(f"delay: got {delay}; it must be even and at least 2")
    return _delayed_xor(delay)


@factory
def _delayed_xor(delay: int) -> Task:
    sample = sampler(partial(_draw, delay), shortest=delay + 1)
    return Task(
        name="delayed_xor",
        input_size=1,
        output_size=2,
        answers="every_step",
        sample=sample,
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=floor,
        plateaus=plateaus,
        correct=losses.all_right,
    )


def floor(length: int) -> float:
    """Returns ln 2: the answer is a coin's toss."""
    del length
    return float(np.log(2))


def plateaus(length: int) -> Mapping[str, float]:
    """Returns ln 2: one bit alone is worth nothing."""
    del length
    return {"one of two bits": float(np.log(2))}


def _draw(
    delay: int, key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    bits = random_symbols(key, (max_length, batch_size), 0, 2)
    # Bits that roll over from the end land where nothing is asked.
    xor = jnp.roll(bits, delay // 2, axis=0) ^ jnp.roll(bits, delay, axis=0)
    asked = steps(max_length) >= delay
    return ask_every(bits[..., None].astype(jnp.float32), xor, length, asked)


DELAYED_XOR = delayed_xor()
