"""Answer units: how class outputs are activated and scored, today or in 1997."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import numpy as np

from lstm_jax.checks import check_choice
from lstm_jax.tasks import losses

Probabilities: TypeAlias = Sequence[int | float] | np.ndarray


class AnswerUnits(NamedTuple):
    """What a task does with the outputs of a linear readout.

    Attributes:
      loss: `(outputs, batch) -> scalar`.
      activations: outputs -> numbers in [0, 1], one for each class.
      uncertainty: the least mean loss where classes come with these probabilities.
    """

    loss: Callable
    activations: Callable
    uncertainty: Callable[[Probabilities], float]


def entropy(probabilities: Probabilities) -> float:
    """Returns -sum p ln p, in nats: the least cross-entropy."""
    p = np.asarray(probabilities, np.float64)
    return float(-np.sum(p * np.log(np.where(p > 0, p, 1))))


def sum_of_variances(probabilities: Probabilities) -> float:
    """Returns sum p (1 - p): the least squared error, summed over classes."""
    p = np.asarray(probabilities, np.float64)
    return float(np.sum(p * (1 - p)))


ANSWER_UNITS: dict[str, AnswerUnits] = {
    "softmax": AnswerUnits(losses.cross_entropy, jax.nn.softmax, entropy),
    "logistic": AnswerUnits(
        losses.logistic_squared_error, jax.nn.sigmoid, sum_of_variances
    ),
}
"""Cross-entropy in nats, and squared error of logistic units as in 1997."""


def answer_units(name: str) -> AnswerUnits:
    """Returns the units of that name; ValueError for an unknown one."""
    check_choice("units", name, ANSWER_UNITS)
    return ANSWER_UNITS[name]


def uniform(classes: int) -> np.ndarray:
    """Returns the probabilities of classes that are equally likely."""
    return np.full(classes, 1 / classes)
