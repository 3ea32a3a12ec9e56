"""Counting: a^n b^n and a^n b^n c^n, symbol by symbol.

    shown    S a ... a b ... b            S a ... a b ... b c ... c
    asked    a ... a b ... b T            a ... a b ... b c ... c T

n is uniform in 1 ... N, where N is the largest that fits: 2 N + 1 <= length, or
3 N + 1 <= length. So `length` = 21 is n = 1 ... 10 of a^n b^n. The next symbol is
predicted at each step. Inputs are one-hot S, a, b (, c); the classes are a, b (, c), T.

After an a comes another a or a b, and nothing tells which; from the first b on,
counting settles the rest. The loss is the mean cross-entropy in nats over all steps:

    floor         the current symbol alone is known
    everything    ln N a string: how often a comes is the one choice there is

A string is right where, at every step, all legal next symbols (a and b after an a) are
more active than all others; the accuracy is the share of such strings.

A worked example:  shown  S a a b b    asked  a a b b T

References:
  Gers & Schmidhuber (2001), https://doi.org/10.1109/72.963769
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.answer_units import entropy
from lstm_jax.tasks.sampling import ask_every, one_hot, sampler, steps, uniform_between
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def floor(num_letters: int, length: int) -> float:
    """Returns the loss of a predictor that sees only the current symbol.

    Of each letter's sum of n = N (N + 1) / 2 steps in N strings, N are the last one.
    """
    largest = (length - 1) // num_letters
    last = 2 / (largest + 1)
    return (
        num_letters
        * _mean_n(largest)
        * entropy([last, 1 - last])
        / (1 + num_letters * _mean_n(largest))
    )


def plateaus(num_letters: int, length: int) -> Mapping[str, float]:
    """Returns the loss of a predictor that counts: ln N a string."""
    largest = (length - 1) // num_letters
    mean_length = 1 + num_letters * _mean_n(largest)
    return {"everything": float(np.log(largest)) / mean_length}


def correct(
    outputs: Float[Array, "time batch letters"], batch: Batch
) -> Bool[Array, " batch"]:
    """Returns the strings of which every legal next symbol is predicted."""
    classes = outputs.shape[-1]
    after_a = jnp.argmax(batch.inputs, axis=-1)[..., None] == 1
    a_or_b = jnp.arange(classes) < 2
    asked = jax.nn.one_hot(batch.targets, classes, dtype=jnp.bool_)
    legal = jnp.where(after_a, a_or_b, asked)
    right = losses.legal_most_active(outputs, batch, legal)
    return losses.all_scored(right, batch)


def accuracy(
    outputs: Float[Array, "time batch letters"], batch: Batch
) -> Float[Array, ""]:
    """Returns the share of the strings that are right."""
    counted = jnp.any(losses.scored(batch), axis=0)
    return losses.share(correct(outputs, batch), counted)


def _mean_n(largest: int) -> float:
    return (largest + 1) / 2


def _draw(
    num_letters: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    largest = (length - 1) // num_letters
    n = uniform_between(key, batch_size, jnp.ones_like(largest), largest)
    step = steps(max_length)
    # Symbol k > 0 of a string is letter (k - 1) // n; symbol 0 is S, the last one T.
    asked = jnp.minimum(step // n, num_letters)
    shown = jnp.where(step == 0, 0, 1 + (step - 1) // n)
    return ask_every(one_hot(shown, num_letters + 1), asked, num_letters * n + 1)


@factory
def _task(name: str, num_letters: int) -> Task:
    sample = sampler(partial(_draw, num_letters), shortest=num_letters + 1)
    return Task(
        name=name,
        input_size=num_letters + 1,
        output_size=num_letters + 1,
        answers="every_step",
        sample=sample,
        loss=losses.cross_entropy,
        accuracy=accuracy,
        floor=partial(floor, num_letters),
        plateaus=partial(plateaus, num_letters),
        correct=correct,
    )


ANBN = _task("anbn", 2)
ANBNCN = _task("anbncn", 3)
