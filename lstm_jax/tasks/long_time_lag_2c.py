"""Long time lag, 2c: one symbol to keep, an unknown number of distractors after it.

    b  (x or y)  q + k distractors out of a1 ... a_p  e     -> x or y?

q is fixed; k = 0, 1, ... is geometric: after each distractor from the q-th on, e comes
with probability 1/10. The answer is read at e; chance is 1/2. Symbols are one-hot, in
the order a1 ... a_p, b, e, x, y.

A finite array must cut the tail: k <= K, K = min(50, (length - 3) // 2), and
q = length - 3 - K. So `length` = q + 53 is the paper's q, of whose sequences one in 216
would have been longer.

The loss is the cross-entropy of two softmax units in nats (or, with units "logistic",
the squared error); the floor is ln 2, and nothing lies between it and 0.

A worked example, q = 2, k = 1, p = 3:  b y a3 a1 a1 e  -> y, class 1

A sequence is right where both output units are within 0.2 of their targets.

References:
  Hochreiter & Schmidhuber (1997), experiment 2c, section 5.2 and table 3, (q, p) from
  (50, 50) to (1000, 50),
  https://doi.org/10.1162/neco.1997.9.8.1735
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.answer_units import answer_units, uniform
from lstm_jax.tasks.sampling import ask_last, one_hot, random_symbols, sampler, steps
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

TOLERANCE = 0.2
END_PROBABILITY = 0.1
LARGEST_K = 50
SHORTEST = 4

AT_MOST = 1 - (1 - END_PROBABILITY) ** np.arange(1, LARGEST_K + 2)
"""AT_MOST[n] is the probability of k <= n."""


def long_time_lag_2c(num_distractors: int = 50, units: str = "softmax") -> Task:
    """Returns the task.

    Args:
      num_distractors: p, how many different ones there are.
      units: "softmax", cross-entropy in nats; "logistic", squared error as in 1997.

    Raises:
      ValueError: p is below 1, or other units.

    Example:
      >>> lj.tasks.long_time_lag_2c(num_distractors=10).input_size
      14
    """
    check_whole("num_distractors", num_distractors, 1)
    answer_units(units)
    return _long_time_lag_2c(num_distractors, units)


@factory
def _long_time_lag_2c(p: int, units: str) -> Task:
    loss, activations, uncertainty = answer_units(units)

    sample = sampler(partial(_draw, p), shortest=SHORTEST)
    return Task(
        name="long_time_lag_2c",
        input_size=p + 4,
        output_size=2,
        answers="last_step",
        sample=sample,
        loss=loss,
        accuracy=losses.accuracy,
        floor=lambda length: uncertainty(uniform(2)),
        correct=partial(losses.all_within, TOLERANCE, activations),
    )


def _draw(
    p: int, key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    key_between, key_information, key_extra = jax.random.split(key, 3)
    b, e, x = p, p + 1, p + 2
    information = random_symbols(key_information, (batch_size,), 0, 2)
    largest_k = jnp.minimum(LARGEST_K, (length - 3) // 2)
    lengths = length - largest_k + _extra(key_extra, batch_size, largest_k)
    step = steps(max_length)
    symbols = random_symbols(key_between, (max_length, batch_size), 0, p)
    symbols = jnp.where(step == 0, b, symbols)
    symbols = jnp.where(step == 1, x + information, symbols)
    symbols = jnp.where(step == lengths - 1, e, symbols)
    return ask_last(one_hot(symbols, p + 4), information, lengths)


def _extra(
    key: PRNGKey, batch_size: int, largest_k: Int[Array, ""]
) -> Int[Array, " batch"]:
    """Returns k, geometric, given that k <= largest_k: the inverse of AT_MOST."""
    at_most = jnp.asarray(AT_MOST, jnp.float32)
    draw = jax.random.uniform(key, (batch_size,), jnp.float32) * at_most[largest_k]
    beyond = draw >= at_most[:, None]
    return jnp.minimum(jnp.sum(beyond, axis=0, dtype=jnp.int32), largest_k)


LONG_TIME_LAG_2C = long_time_lag_2c()
