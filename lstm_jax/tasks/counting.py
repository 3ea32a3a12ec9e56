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

`counting(predict="legal")` asks for all legal next symbols and no others, as the
authors do: one logistic unit a symbol, cross-entropy in nats summed over the units.
Nothing is left to chance then, so that a network that counts has a loss of 0, and
nothing rewards it for knowing that n ends at N. A string is right where at every step
exactly the units of the legal symbols are above 1/2.

A worked example:  shown  S a a b b    asked  a a b b T

References:
  Gers & Schmidhuber (2001), https://doi.org/10.1109/72.963769
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.checks import check_choice
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.answer_units import entropy
from lstm_jax.tasks.sampling import ask_every, one_hot, sampler, steps, uniform_between
from lstm_jax.tasks.task import Batch, Task, no_plateaus
from lstm_jax.types import PRNGKey

LETTERS = {2: "anbn", 3: "anbncn"}


def counting(num_letters: int = 2, predict: str = "next") -> Task:
    """Returns the task with two letters, a^n b^n, or three, a^n b^n c^n.

    Args:
      num_letters: 2 or 3.
      predict: "next", the next symbol, cross-entropy of a softmax; or "legal", all
        legal next symbols, cross-entropy of logistic units.

    Raises:
      ValueError: another number, or another prediction.

    Example:
      >>> lj.tasks.counting(3, predict="legal").output_size
      4
    """
    if num_letters not in LETTERS:
        raise ValueError(f"num_letters: got {num_letters!r}; it must be 2 or 3")
    check_choice("predict", predict, PREDICTIONS)
    return _counting(num_letters, predict)


def strings(
    num_letters: int, n: Int[Array, " batch"], max_length: int, predict: str = "next"
) -> Batch:
    """Returns the strings of these n, at least 1, cut after `max_length` steps.

    The other arguments are those of `counting`.
    """
    step = steps(max_length)
    # Symbol k > 0 of a string is letter (k - 1) // n; symbol 0 is S, the last one T.
    asked = jnp.minimum(step // n, num_letters)
    shown = jnp.where(step == 0, 0, 1 + (step - 1) // n)
    batch = ask_every(one_hot(shown, num_letters + 1), asked, num_letters * n + 1)
    return PREDICTIONS[predict].asked(batch)


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


def floor_of_legal(num_letters: int, length: int) -> float:
    """Returns the floor of the prediction "legal".

    After a, both are legal; after another letter the two units that may come are on
    or off, and off or on.
    """
    largest = (length - 1) // num_letters
    last = 2 / (largest + 1)
    uncertain = (num_letters - 1) * _mean_n(largest)
    both = 2 * entropy([last, 1 - last])
    return uncertain * both / (1 + num_letters * _mean_n(largest))


def plateaus_of_legal(num_letters: int, length: int) -> Mapping[str, float]:
    """Returns {}: who counts loses nothing."""
    del num_letters
    return no_plateaus(length)


def legal_next(batch: Batch) -> Bool[Array, "time batch letters"]:
    """Returns the legal next symbols, by the inputs and the next symbol of a batch."""
    classes = batch.inputs.shape[-1]
    after_a = jnp.argmax(batch.inputs, axis=-1)[..., None] == 1
    asked = jax.nn.one_hot(batch.targets, classes, dtype=jnp.bool_)
    return jnp.where(after_a, jnp.arange(classes) < 2, asked)


def correct(
    outputs: Float[Array, "time batch letters"], batch: Batch
) -> Bool[Array, " batch"]:
    """Returns the strings of which every legal next symbol is predicted."""
    right = losses.legal_most_active(outputs, batch, legal_next(batch))
    return losses.all_scored(right, batch)


def correct_of_legal(
    outputs: Float[Array, "time batch letters"], batch: Batch
) -> Bool[Array, " batch"]:
    """Returns the strings of which exactly the legal symbols have units above 1/2."""
    right = jnp.all((outputs > 0) == (batch.targets > 0), axis=-1)
    return losses.all_scored(right, batch)


def _ask_next(batch: Batch) -> Batch:
    """Returns the batch: it is asked for the next symbols already."""
    return batch


def _ask_legal(batch: Batch) -> Batch:
    """Returns the same strings, asked for the legal symbols, 1, among the others, 0."""
    legal = legal_next(batch) & losses.scored(batch)[..., None]
    return batch._replace(targets=legal.astype(batch.inputs.dtype))


class Prediction(NamedTuple):
    """What is asked at each step, and how the answers are scored."""

    asked: Callable[[Batch], Batch]
    loss: Callable
    correct: Callable
    floor: Callable[[int, int], float]
    plateaus: Callable


PREDICTIONS = {
    "next": Prediction(_ask_next, losses.cross_entropy, correct, floor, plateaus),
    "legal": Prediction(
        _ask_legal,
        losses.logistic_cross_entropy,
        correct_of_legal,
        floor_of_legal,
        plateaus_of_legal,
    ),
}


def accuracy(
    right: Callable, outputs: Float[Array, "time batch letters"], batch: Batch
) -> Float[Array, ""]:
    """Returns the share of the strings that are right."""
    counted = jnp.any(losses.scored(batch), axis=0)
    return losses.share(right(outputs, batch), counted)


def _mean_n(largest: int) -> float:
    return (largest + 1) / 2


def _draw(
    num_letters: int,
    predict: str,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    largest = (length - 1) // num_letters
    n = uniform_between(key, batch_size, jnp.ones_like(largest), largest)
    return strings(num_letters, n, max_length, predict)


@factory
def _counting(num_letters: int, predict: str) -> Task:
    of = PREDICTIONS[predict]
    draw = partial(_draw, num_letters, predict)
    return Task(
        name=LETTERS[num_letters],
        input_size=num_letters + 1,
        output_size=num_letters + 1,
        answers="every_step",
        sample=sampler(draw, shortest=num_letters + 1),
        loss=of.loss,
        accuracy=partial(accuracy, of.correct),
        floor=partial(of.floor, num_letters),
        plateaus=partial(of.plateaus, num_letters),
        correct=of.correct,
    )


ANBN = counting(2)
ANBNCN = counting(3)
