"""Real numbers follow their law, and not one another."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import slow_but
from scipy import stats
from tasks.laws import (
    ADDING,
    ADDING_1997,
    LATCH,
    MULTIPLICATION,
    SHOW,
    TWO,
    UNLIKELY,
    Draw,
    drawn,
    of,
    symbols,
)

import lstm_jax as lj


class Noise(NamedTuple):
    """Independent real numbers.

    Attributes:
      draw: the batch they are read off.
      observe: the batch -> (anything, batch), without what is no draw.
      law: their distribution.
    """

    draw: Draw
    observe: Callable[[Any], np.ndarray]
    law: Any


def first_numbers(batch):
    """The numbers at step 0 of the sequences in which it is not neutral."""
    both_seen = (batch.inputs[..., 1] == 1).sum(0) == 2
    return batch.inputs[0, both_seen, 0][None]


def roles_of(batch, step):
    return np.eye(10)[symbols(batch)[step]]


def ambiguous(batch):
    return batch.inputs[4, batch.targets != 2].T - 0.5 * np.isin(np.arange(10), [7, 8])[
        :, None]  # fmt: skip


ONE_INFORMATIVE = of(lj.tasks.two_sequence("3b", 1), 4_000, 33)
NOISES = {
    "adding": Noise(ADDING, lambda b: b.inputs[:9, :, 0], stats.uniform(0, 1)),
    "adding_1997": Noise(
        ADDING_1997, lambda b: b.inputs[1:40, :, 0], stats.uniform(-1, 2)),
    "adding_1997, first": Noise(ADDING_1997, first_numbers, stats.uniform(-1, 2)),
    "multiplication": Noise(
        MULTIPLICATION, lambda b: b.inputs[1:20, :, 0], stats.uniform(0, 1)),
    "multiplication, first": Noise(MULTIPLICATION, first_numbers, stats.uniform(0, 1)),
    **{
        f"two_sequence_{name}": Noise(
            draw, lambda b: b.inputs[3:30, :, 0], stats.norm(0, 0.2**0.5))
        for name, draw in TWO.items()
    },
    "two_sequence_3b, information": Noise(
        TWO["3b"], lambda b: b.inputs[:3, :, 0] - np.where(b.targets == 1, 1, -1),
        stats.norm(0, 0.2**0.5)),
    "two_sequence_3b, one informative": Noise(
        ONE_INFORMATIVE, lambda b: b.inputs[:1, :, 0] - np.where(b.targets == 1, 1, -1),
        stats.norm(0, 0.2**0.5)),
    "two_sequence_3b, then noise": Noise(
        ONE_INFORMATIVE, lambda b: b.inputs[1:30, :, 0], stats.norm(0, 0.2**0.5)),
    "two_sequence_3c, targets": Noise(
        TWO["3c"], lambda b: (b.targets[:, 0] - b.targets[:, 1])[None],
        stats.norm(0, 0.1**0.5)),
    "latch": Noise(LATCH, lambda b: b.inputs[3:8, :, 0], stats.norm(0, 0.2)),
    "nature_show, scene": Noise(
        SHOW, lambda b: (b.inputs[0] - roles_of(b, 0)).T, stats.norm(0, 0.1)),
    "nature_show, distractor": Noise(
        SHOW, lambda b: (b.inputs[2] - roles_of(b, 2)).T, stats.norm(0, 0.1)),
    "nature_show, dog and wolf": Noise(SHOW, ambiguous, stats.norm(0, 0.1 / 2**0.5)),
    "nature_show, goldfish": Noise(
        SHOW, lambda b: (b.inputs[4, b.targets == 2] - np.eye(10)[9]).T,
        stats.norm(0, 0.1)),
}  # fmt: skip


FEW = ["adding_1997", "two_sequence_3b", "latch", "nature_show, scene"]


@pytest.mark.parametrize("name", slow_but(FEW, NOISES))
def test_real_numbers_follow_their_law_and_not_one_another(name):
    draw, observe, law = NOISES[name]
    values = np.asarray(observe(drawn(draw)), np.float64)
    assert values.size >= 1_000
    low, high = law.support()
    assert low <= values.min() and values.max() <= high
    assert stats.kstest(values.ravel(), law.cdf).pvalue > UNLIKELY
    z = (values - law.mean()) / law.std()
    pairs = [(z[:, 1:], z[:, :-1]), *([(z[1:], z[:-1])] if len(z) > 1 else [])]
    for one, other in pairs:
        product = one * other
        standard_error = product.std() / product.size**0.5
        assert abs(product.mean()) < stats.norm.isf(UNLIKELY) * standard_error


@pytest.mark.parametrize(("draw", "neutral"), [(ADDING_1997, 0), (MULTIPLICATION, 1)])
def test_the_number_of_a_marked_first_pair_is_neutral_and_no_other(draw, neutral):
    batch = drawn(draw)
    hidden = (batch.inputs[..., 1] == 1).sum(0) == 1
    assert_array_equal(batch.inputs[0, :, 0] == neutral, hidden)
