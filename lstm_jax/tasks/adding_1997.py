"""Adding and multiplication, as Hochreiter & Schmidhuber have them.

    x_t = (number, mark)
    marks         1 at two of the steps, -1 at the first and at the last, else 0
    first mark    one of the first 10 steps
    second mark   one of the first T/2 - 1 steps that are still unmarked
    length        uniform in [T, 1.1 T], so the end cannot be foreseen

where T = `sampling.nominal_length(length)`: a `length` of 110 is the paper's T = 100.
"In the rare case where the first pair of the sequence gets marked", its number becomes
the neutral one, 0 for sums and 1 for products. The paper says so of X1; here it holds
for X2 too, and the pair's mark stays -1, which the paper leaves open. Below T = 20 the
first mark is among the first T/2 steps.

              numbers    answer at the last step    floor        one number known
    adding    [-1, 1]    0.5 + (X1 + X2) / 4        1/24         1/48
    multipl.  [0, 1]     X1 X2                      7/144        1/36

The loss is the mean squared error, in the squared unit of the answer. The fractions are
those of numbers that are never neutral; `floor` and `plateaus` count the neutral ones
too (T = 100: 0.0392 and 0.0205, 0.0592 and 0.0343).

A worked example of adding, length 6:

    numbers   0.5  -0.25  0.5  1.0  0.75  0.0
    marks    -1     1     1    0    0    -1      -> 0.5 + (-0.25 + 0.5) / 4 = 0.5625

The same numbers, multiplied with marks at steps 2 and 3: 0.5 * 1.0 = 0.5.

A sequence is right where |output - answer| < 0.04.

References:
  Hochreiter & Schmidhuber (1997), experiments 4 and 5, sections 5.4 and 5.5,
  https://doi.org/10.1162/neco.1997.9.8.1735
"""

from collections.abc import Callable, Mapping
from functools import partial
from operator import mul
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import (
    ask_last,
    lengths_from_nominal,
    nominal_length,
    sampler,
    steps,
    uniform_between,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

TOLERANCE = 0.04
FIRST_MARKS = 10
SHORTEST = 6


class Operation(NamedTuple):
    """What tells adding from multiplication.

    Attributes:
      low: least number; the largest is 1.
      neutral: what the first pair's number becomes where it is marked.
      answer: (X1, X2) -> answer.
    """

    low: float
    neutral: float
    answer: Callable


def _scaled_sum(x: Array, y: Array) -> Array:
    return 0.5 + (x + y) / 4


SUM = Operation(low=-1.0, neutral=0.0, answer=_scaled_sum)
PRODUCT = Operation(low=0.0, neutral=1.0, answer=mul)


def chances_of_neutral(length: int) -> tuple[float, float]:
    """Returns how often X1, and how often X2, is the neutral number."""
    half = nominal_length(length) // 2
    first = 1 / min(half, FIRST_MARKS)
    return first, (1 - first) / (half - 1)


def sum_floor(length: int) -> float:
    """Returns the variance of the answer; 1/24 if no number were neutral."""
    first, second = chances_of_neutral(length)
    return (2 - first - second) / 3 / 16


def sum_plateaus(length: int) -> Mapping[str, float]:
    """Returns what is left of it when X1 is known; 1/48 if no number were neutral."""
    _, second = chances_of_neutral(length)
    return {"one of two numbers": (1 - second) / 3 / 16}


def product_floor(length: int) -> float:
    """Returns the variance of the answer; 7/144 if no number were neutral."""
    # With a neutral number the product is one uniform number.
    uniform = sum(chances_of_neutral(length))
    mean = (1 - uniform) / 4 + uniform / 2
    return (1 - uniform) / 9 + uniform / 3 - mean**2


def product_plateaus(length: int) -> Mapping[str, float]:
    """Returns what is left when X1 is known; 1/36 if no number were neutral."""
    first, second = chances_of_neutral(length)
    # Where X1 is neutral X2 is not: X2 is 1 in this share of the other sequences.
    ones = second / (1 - first)
    variance = (1 - ones) / 3 + ones - ((1 - ones) / 2 + ones) ** 2
    return {"one of two numbers": first / 12 + (1 - first) / 3 * variance}


def correct(outputs: Float[Array, "batch 1"], batch: Batch) -> Bool[Array, " batch"]:
    """Returns which answers are right: absolute error below 0.04."""
    return losses.all_scored(losses.within(TOLERANCE, outputs, batch), batch)


def accuracy(outputs: Float[Array, "batch 1"], batch: Batch) -> Float[Array, ""]:
    """Returns the share of the answers that are right."""
    return losses.share(correct(outputs, batch), losses.scored(batch))


@factory
def _task(name: str, operation: Operation, floor: Callable, plateaus: Callable) -> Task:
    return Task(
        name=name,
        input_size=2,
        output_size=1,
        answers="last_step",
        sample=sampler(partial(_draw, operation), shortest=SHORTEST),
        loss=losses.squared_error,
        accuracy=accuracy,
        floor=floor,
        plateaus=plateaus,
        correct=correct,
    )


def _draw(
    operation: Operation,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_numbers, key_marks, key_lengths = jax.random.split(key, 3)
    drawn = jax.random.uniform(
        key_numbers, (max_length, batch_size), jnp.float32, minval=operation.low
    )
    first, second = marked_steps(key_marks, batch_size, length)
    # Only the number of a marked first pair changes.
    is_neutral = (first == 0) | (second == 0)
    numbers = drawn.at[0].set(jnp.where(is_neutral, operation.neutral, drawn[0]))
    lengths = lengths_from_nominal(key_lengths, batch_size, length)
    marks = _marks(first, second, lengths, max_length)
    x1, x2 = (_number_at(numbers, step) for step in (first, second))
    inputs = jnp.stack([numbers, marks], axis=-1)
    return ask_last(inputs, operation.answer(x1, x2), lengths)


def marked_steps(
    key: PRNGKey, batch_size: int, length: Int[Array, ""]
) -> tuple[Int[Array, " batch"], Int[Array, " batch"]]:
    """Returns the steps of the two marks, which a sequence does not tell apart."""
    key_first, key_second = jax.random.split(key)
    half = nominal_length(length) // 2
    zero = jnp.zeros_like(half)
    first = uniform_between(
        key_first, batch_size, zero, jnp.minimum(half, FIRST_MARKS) - 1
    )
    unmarked = uniform_between(key_second, batch_size, zero, half - 2)
    return first, unmarked + (unmarked >= first).astype(jnp.int32)


def _marks(
    first: Int[Array, " batch"],
    second: Int[Array, " batch"],
    lengths: Int[Array, " batch"],
    max_length: int,
) -> Float[Array, "time batch"]:
    step = steps(max_length)
    marked = (step == first) | (step == second)
    at_an_end = (step == 0) | (step == lengths - 1)
    return jnp.where(at_an_end, -1.0, marked.astype(jnp.float32))


def _number_at(
    numbers: Float[Array, "time batch"], step: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    return jnp.take_along_axis(numbers, step[None], axis=0)[0]


ADDING_1997 = _task("adding_1997", SUM, sum_floor, sum_plateaus)
MULTIPLICATION = _task("multiplication", PRODUCT, product_floor, product_plateaus)
