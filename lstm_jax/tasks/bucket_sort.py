"""Bucket sort: the symbols of a string, in order.

    shown    n symbols    n markers
    asked                 the same symbols, sorted

`length` is 2 n; of an odd one the last step is empty. The symbols are uniform among v,
0 to v - 1. Inputs are one-hot: the symbols, the marker. The loss is the mean
cross-entropy of the answers in nats. With X_j the j-th symbol in order and H the
entropy,

    floor         ln v: a marker says nothing
    which step    the mean of H(X_j), P(X_j <= x) = P(C >= j), C binomial (n, (x + 1)/v)
    one symbol    the mean of H(X_j | one of the symbols), say the first

How often each symbol came is all that must be kept: v counters.

A sequence is right where every symbol is.

A worked example, symbols 0 1 2:

    shown  2 0 1 0 ! ! ! !
    asked  - - - - 0 0 1 2

References:
  Deletang et al. (2023), "Bucket Sort", v = 5, trained on n from 1 to 40 and tested up
  to 500, https://arxiv.org/abs/2207.02098
"""

import math
from collections.abc import Mapping
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.binomial import binomial
from lstm_jax.tasks.sampling import sampler, steps
from lstm_jax.tasks.strings import ask_behind, random_strings
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def bucket_sort(num_symbols: int = 5) -> Task:
    """Returns the task, for lengths from 2.

    Args:
      num_symbols: size v of the alphabet, at least 2.

    Raises:
      TypeError: it is not a whole number.
      ValueError: it is too small.

    Example:
      >>> lj.tasks.bucket_sort(num_symbols=2)
      <Task 'bucket_sort_2': 3 inputs, 2 outputs, answers every_step>
    """
    check_whole("num_symbols", num_symbols, 2)
    return _bucket_sort(num_symbols)


@factory
def _bucket_sort(num_symbols: int) -> Task:
    return Task(
        name="bucket_sort" + ("" if num_symbols == 5 else f"_{num_symbols}"),
        input_size=num_symbols + 1,
        output_size=num_symbols,
        answers="every_step",
        sample=sampler(partial(_draw, num_symbols), shortest=2),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=partial(floor, num_symbols),
        plateaus=partial(plateaus, num_symbols),
        correct=losses.all_right,
    )


def floor(num_symbols: int, length: int) -> float:
    """Returns ln v: a marker says nothing."""
    del length
    return math.log(num_symbols)


def plateaus(num_symbols: int, length: int) -> Mapping[str, float]:
    """Returns the losses of who knows the step, and one of the symbols too."""
    many = length // 2
    if many == 1:
        return {}
    of_one = [_uncertain(many, num_symbols, [one]) for one in range(num_symbols)]
    return {
        "which step": _uncertain(many, num_symbols, []),
        "one symbol": float(np.mean(of_one)),
    }


def _uncertain(many: int, num_symbols: int, known: list[int]) -> float:
    """Returns the mean of H(X_j) where some of the symbols are known."""
    place, unknown = np.arange(1, many + 1), many - len(known)
    up_to = np.zeros((num_symbols + 1, many))  # P(X_j < x)
    up_to[-1] = 1
    for symbol in range(1, num_symbols):
        chances = binomial(unknown, symbol / num_symbols)
        at_least = np.append(np.cumsum(chances[::-1])[::-1], 0)
        missing = place - sum(one < symbol for one in known)
        up_to[symbol] = at_least[np.clip(missing, 0, unknown + 1)]
    law = np.diff(up_to, axis=0)
    logs = np.log(np.where(law > 0, law, 1))
    return float(-np.sum(law * logs, axis=0).mean())


def _draw(
    num_symbols: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    strings = random_strings(key, num_symbols, max_length, batch_size)
    counted = steps(len(strings)) < length // 2
    in_order = jnp.sort(jnp.where(counted, strings, num_symbols), axis=0)
    return ask_behind(strings, in_order, num_symbols, max_length, length)


BUCKET_SORT = bucket_sort()
