"""Even pairs: is the number of places where the symbol changes even?

Inputs are random symbols a and b, one-hot; class 1, "even", means that "ab" and "ba"
together stand in the string an even number of times, in other words that it ends as it
began. It is asked for at the last step. The loss is the cross-entropy in nats; the
floor is ln 2, as the last symbol alone says nothing (a single symbol is always even).

A worked example:  a a b b a  -> ab once, ba once: even, class 1

A sequence is right where the largest output is.

References:
  Deletang et al. (2023), "Even Pairs", trained on lengths 1 to 40 and tested up to 500,
  https://arxiv.org/abs/2207.02098; in its code "even" is class 0,
  https://github.com/google-deepmind/neural_networks_chomsky_hierarchy
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import (
    ask_last,
    one_hot,
    random_symbols,
    sampler,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def floor(length: int) -> float:
    """Returns ln 2, and 0 for a single symbol."""
    return float(np.log(2)) if length > 1 else 0.0


def _draw(
    key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    symbols = random_symbols(key, (max_length, batch_size), 0, 2)
    even = (symbols[0] == symbols[length - 1]).astype(jnp.int32)
    return ask_last(one_hot(symbols, 2), even, length)


_sample = sampler(_draw, shortest=1)

EVEN_PAIRS = Task(
    name="even_pairs",
    input_size=2,
    output_size=2,
    answers="last_step",
    sample=_sample,
    loss=losses.cross_entropy,
    accuracy=losses.accuracy,
    floor=floor,
    correct=losses.all_right,
)
