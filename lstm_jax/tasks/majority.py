"""Majority: has a string of bits more ones than zeros?

Inputs are random bits, one-hot as (0, 1); the answer, class 1 for more ones, class 0
also where there are as many zeros, is asked for at the last step. The loss is the
cross-entropy in nats. With y the answer and H the entropy,

    floor               H(y | the last bit)
    the last two        H(y | the last two bits)
    the last half       H(y | the last half of the bits), rounded down
    all bits but one    ln 2 times the chance that one bit decides

where the ones among the unseen bits are binomial. One counter is enough, a finite
memory is not; most strings forgive a lost bit, which those of parity never do.

A worked example:  1 0 1 1 0 1  -> four ones, two zeros, class 1

A sequence is right where the largest output is.

References:
  Butoi et al. (2025), FLaRe, https://arxiv.org/abs/2411.07107: the language Majority
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.tasks import losses
from lstm_jax.tasks.binomial import binomial
from lstm_jax.tasks.sampling import ask_last, one_hot, random_symbols, sampler, steps
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def floor(length: int) -> float:
    """Returns H(y | the last bit), in nats."""
    return _uncertain(length, 1)


def plateaus(length: int) -> Mapping[str, float]:
    """Returns the losses of who sees the last two, the last half, and all but one."""
    seen = {"the last two": 2, "the last half": length // 2,
            "all bits but one": length - 1}  # fmt: skip
    return {
        name: _uncertain(length, bits)
        for name, bits in seen.items()
        if 1 < bits < length
    }


def _uncertain(length: int, seen: int) -> float:
    """Returns H(y | so many of the bits), which is H(y | how many of them are 1)."""
    unseen = binomial(length - seen, 1 / 2)
    ones = np.arange(length - seen + 1)
    more = np.array([unseen[2 * (ones + k) > length].sum() for k in range(seen + 1)])
    shares = np.stack([more, 1 - more])
    uncertain = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=0)
    return float(binomial(seen, 1 / 2) @ uncertain)


def _draw(
    key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    bits = random_symbols(key, (max_length, batch_size), 0, 2)
    ones = jnp.sum(bits, axis=0, where=steps(max_length) < length, dtype=jnp.int32)
    more = (2 * ones > length).astype(jnp.int32)
    return ask_last(one_hot(bits, 2), more, length)


MAJORITY = Task(
    name="majority",
    input_size=2,
    output_size=2,
    answers="last_step",
    sample=sampler(_draw, shortest=1),
    loss=losses.cross_entropy,
    accuracy=losses.accuracy,
    floor=floor,
    plateaus=plateaus,
    correct=losses.all_right,
)
