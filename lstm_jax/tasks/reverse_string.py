"""Reverse a string: its symbols, the last one first.

    shown    n symbols    n markers
    asked                 the same symbols, backwards

`length` is 2 n; of an odd one the last step is empty. The symbols are uniform among v.
Inputs are one-hot: the symbols, the marker. The loss is the mean cross-entropy of the
answers in nats:

    floor           ln v: a marker says nothing
    the last one    (n - 1)/n ln v
    the last two    (n - 2)/n ln v

The whole string must be kept, and what came last is wanted first: a stack.

A sequence is right where every symbol is.

A worked example, symbols a b:

    shown  a b b ! ! !
    asked  - - - b b a

References:
  Deletang et al. (2023), "Reverse String", v = 2, trained on n from 1 to 40 and tested
  up to 500, https://arxiv.org/abs/2207.02098
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
from lstm_jax.tasks.sampling import sampler
from lstm_jax.tasks.strings import ask_behind, random_strings
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def reverse_string(num_symbols: int = 2) -> Task:
    """Returns the task, for lengths from 2.

    Args:
      num_symbols: size v of the alphabet, at least 2.

    Raises:
      TypeError: it is not a whole number.
      ValueError: it is too small.

    Example:
      >>> lj.tasks.reverse_string(num_symbols=8)
      <Task 'reverse_string_8': 9 inputs, 8 outputs, answers every_step>
    """
    check_whole("num_symbols", num_symbols, 2)
    return _reverse_string(num_symbols)


@factory
def _reverse_string(num_symbols: int) -> Task:
    return Task(
        name="reverse_string" + ("" if num_symbols == 2 else f"_{num_symbols}"),
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
    """Returns the losses of who knows the last one or two symbols."""
    many, known = length // 2, {"the last one": 1, "the last two": 2}
    return {
        name: (many - number) / many * float(np.log(num_symbols))
        for name, number in known.items()
        if number < many
    }


def _draw(
    num_symbols: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    strings = random_strings(key, num_symbols, max_length, batch_size)
    backwards = jnp.roll(strings[::-1], length // 2 - len(strings), axis=0)
    return ask_behind(strings, backwards, num_symbols, max_length, length)


REVERSE_STRING = reverse_string()
