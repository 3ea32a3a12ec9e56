"""Long time lag, 2a and 2b: the last symbol is the first one.

    2a   x a1 a2 ... a_{p-1} x      or    y a1 a2 ... a_{p-1} y
    2b   the same, with a_i drawn from a1 ... a_{p-1} at every step

Either with probability 1/2; the next symbol is predicted at every step. The last symbol
is asked for and never shown, so a sequence has p steps. Symbols are one-hot, in the
order a1 ... a_{p-1}, x, y. Sequences shorter than p show fewer of the a_i; longer ones
do not exist in 2a, which has no more symbols.

The loss is the mean cross-entropy in nats (or, with units "logistic", the squared
error) over all steps; the accuracy is that of the last symbol, where guessing is right
in 1/2.

    2a   floor ln 2 / length: all else follows from the current symbol
    2b   floor: the last step is not known in advance; then, in nats,
         plateau ((length - 1) ln(p - 1) + ln 2) / length, the end is foreseen;
         "everything" (length - 1) ln(p - 1) / length, as the a_i stay random

A worked example of 2a, p = 4:   shown  y a1 a2 a3    asked  a1 a2 a3 y
A worked example of 2b, p = 4:   shown  x a3 a1 a3    asked  a3 a1 a3 x

A sequence is right where every output unit is within 0.25 of its target: at all steps
in 2a, at the last one in 2b.

References:
  Hochreiter & Schmidhuber (1997), experiments 2a and 2b, section 5.2, p = 100 there,
  https://doi.org/10.1162/neco.1997.9.8.1735
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.answer_units import AnswerUnits, answer_units, uniform
from lstm_jax.tasks.sampling import (
    ask_every,
    one_hot,
    random_symbols,
    sampler,
    steps,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey, any_rank

TOLERANCE = 0.25


def long_time_lag_2a(p: int = 100, units: str = "softmax") -> Task:
    """Returns the task without noise, for lengths from 2 to p.

    Args:
      p: the largest lag; there are p + 1 symbols.
      units: "softmax", cross-entropy in nats; "logistic", squared error as in 1997.

    Raises:
      ValueError: p is below 2, or other units.

    Example:
      >>> lj.tasks.long_time_lag_2a(p=10)
      <Task 'long_time_lag_2a': 11 inputs, 11 outputs, answers every_step>
    """
    _check(p, units)
    return _noise_free(p, units)


def long_time_lag_2b(p: int = 100, units: str = "softmax") -> Task:
    """Returns the task with random symbols in between, for any length from 2.

    The paper's lag is p. Arguments and errors as for `long_time_lag_2a`.

    Example:
      >>> lj.tasks.long_time_lag_2b(p=10).input_size
      11
    """
    _check(p, units)
    return _noisy(p, units)


@factory
def _noise_free(p: int, units: str) -> Task:
    scoring = answer_units(units)
    coin = scoring.uncertainty(uniform(2))

    sample = sampler(partial(_draw, p, _in_order), shortest=2, longest=p)
    return Task(
        name="long_time_lag_2a",
        input_size=p + 1,
        output_size=p + 1,
        answers="every_step",
        sample=sample,
        loss=scoring.loss,
        accuracy=accuracy_of_last,
        floor=lambda length: coin / length,
        correct=partial(losses.all_within, TOLERANCE, scoring.activations),
    )


@factory
def _noisy(p: int, units: str) -> Task:
    scoring = answer_units(units)

    def correct(outputs, batch):
        right = losses.classes_within(TOLERANCE, scoring.activations(outputs), batch)
        return losses.all_scored(right | ~is_last(batch), batch)

    sample = sampler(partial(_draw, p, _at_random), shortest=2)
    return Task(
        name="long_time_lag_2b",
        input_size=p + 1,
        output_size=p + 1,
        answers="every_step",
        sample=sample,
        loss=scoring.loss,
        accuracy=accuracy_of_last,
        floor=partial(_noisy_floor, p, scoring),
        plateaus=partial(_noisy_plateaus, p, scoring),
        correct=correct,
    )


@any_rank
def is_last(batch: Batch) -> Bool[Array, "time batch"]:
    """Returns where the last symbol is asked for."""
    last = steps(len(batch.inputs)) == batch.lengths - 1
    return last & losses.scored(batch)


def accuracy_of_last(
    outputs: Float[Array, "time batch symbols"], batch: Batch
) -> Float[Array, ""]:
    """Returns the share of the last symbols that are predicted."""
    return losses.share(losses.argmax_right(outputs, batch), is_last(batch))


def _check(p: int, units: str) -> None:
    check_whole("p", p, 2)
    answer_units(units)


def _noisy_floor(p: int, scoring: AnswerUnits, length: int) -> float:
    end = 1 / (length - 1)
    after_a = np.append((1 - end) * uniform(p - 1), end * uniform(2))
    after_first = scoring.uncertainty(uniform(p - 1))
    return (after_first + (length - 1) * scoring.uncertainty(after_a)) / length


def _noisy_plateaus(p: int, scoring: AnswerUnits, length: int) -> Mapping[str, float]:
    random = (length - 1) * scoring.uncertainty(uniform(p - 1))
    return {
        "which step is the last": (random + scoring.uncertainty(uniform(2))) / length,
        "everything": random / length,
    }


def _draw(
    p: int,
    between: Callable[..., Array],
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_first, key_between = jax.random.split(key)
    first = p - 1 + random_symbols(key_first, (batch_size,), 0, 2)
    middle = between(key_between, p, batch_size, max_length)
    step = steps(max_length)
    shown = jnp.where(step == 0, first, jnp.roll(middle, 1, axis=0))
    asked = jnp.where(step == length - 1, first, middle)
    return ask_every(one_hot(shown, p + 1), asked, length)


def _in_order(
    key: PRNGKey, p: int, batch_size: int, max_length: int
) -> Int[Array, "time 1"]:
    del key, p, batch_size
    return steps(max_length)


def _at_random(
    key: PRNGKey, p: int, batch_size: int, max_length: int
) -> Int[Array, "time batch"]:
    return random_symbols(key, (max_length, batch_size), 0, p - 1)


LONG_TIME_LAG_2A = long_time_lag_2a()
LONG_TIME_LAG_2B = long_time_lag_2b()
