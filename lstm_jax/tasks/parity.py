"""Parity: is the number of ones in a string of bits odd?

Inputs are random bits, one-hot as (0, 1); the answer, class 1 for odd, is asked for at
the last step. The loss is the cross-entropy in nats; the floor is ln 2, even if
only one of the bits was missed (of a single bit the floor is 0: it is seen).

A worked example:  1 0 1 1  -> odd, class 1

A sequence is right where the largest output is.

References:
  Hochreiter & Schmidhuber (1996), for guessing weights;
  Deletang et al. (2023), "Parity Check", trained on lengths 1 to 40 and tested up to
  500, https://arxiv.org/abs/2207.02098
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import (
    ask_last,
    one_hot,
    random_symbols,
    sampler,
    steps,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def floor(length: int) -> float:
    """Returns ln 2, and 0 for a single bit."""
    return float(np.log(2)) if length > 1 else 0.0


def plateaus(length: int) -> Mapping[str, float]:
    """Returns ln 2: with one bit missing, nothing is known."""
    return {"all bits but one": floor(length)} if length > 1 else {}


def _draw(
    key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    bits = random_symbols(key, (max_length, batch_size), 0, 2)
    ones = jnp.sum(jnp.where(steps(max_length) < length, bits, 0), axis=0)
    return ask_last(one_hot(bits, 2), ones % 2, length)


_sample = sampler(_draw, shortest=1)

PARITY = Task(
    name="parity",
    input_size=2,
    output_size=2,
    answers="last_step",
    sample=_sample,
    loss=losses.cross_entropy,
    accuracy=losses.accuracy,
    floor=floor,
    plateaus=plateaus,
    correct=losses.all_right,
)
