"""Floors of tasks whose answers are numbers: variances, from moments alone."""

from collections import defaultdict
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from tasks.languages import geometric

import lstm_jax as lj
from lstm_jax.tasks import adding_1997

LN2 = np.log(2)
THIRD, HALF = Fraction(1, 3), Fraction(1, 2)


class Number(NamedTuple):
    """Mean and mean square of a number."""

    mean: Fraction
    square: Fraction


def neutral_cases(length):
    """(is X1 neutral, is X2 neutral) -> chance, from all pairs of marks."""
    half = -(-10 * length // 11) // 2
    law: defaultdict[tuple[bool, bool], Fraction] = defaultdict(Fraction)
    for first in range(min(10, half)):
        for second in set(range(half)) - {first}:
            law[first == 0, second == 0] += Fraction(1, min(10, half) * (half - 1))
    return law


def expected(length, value, uniform, neutral):
    """The mean over all cases of value(X1, X2), given their means and squares."""
    return sum(
        chance * value(*(neutral if is_neutral else uniform for is_neutral in case))
        for case, chance in neutral_cases(length).items()
    )


def variance_left(length, factor_of, uniform, neutral):
    """The mean of the variance of X2, times a factor of X1, once X1 is known."""
    whole = Fraction(0)
    for is_neutral in (False, True):
        cases = {c: p for c, p in neutral_cases(length).items() if c[0] == is_neutral}
        chance = sum(cases.values())
        mean, square = (
            sum(p / chance * getattr(neutral if c[1] else uniform, of)
                for c, p in cases.items()) for of in ("mean", "square"))  # fmt: skip
        factor = factor_of(neutral if is_neutral else uniform)
        whole += chance * factor * (square - mean**2)
    return whole


@pytest.mark.parametrize("length", [6, 12, 22, 110])
def test_the_levels_of_1997_are_those_of_all_pairs_of_marks(length):
    uniform, zero = Number(Fraction(0), THIRD), Number(Fraction(0), Fraction(0))
    square = expected(length, lambda x, y: x.square + y.square, uniform, zero)
    assert_allclose(adding_1997.sum_floor(length), float(square / 16), rtol=1e-13)
    left = variance_left(length, lambda x: 1, uniform, zero)
    (plateau,) = adding_1997.sum_plateaus(length).values()
    assert_allclose(plateau, float(left / 16), rtol=1e-13)

    uniform, one = Number(HALF, THIRD), Number(Fraction(1), Fraction(1))
    mean = expected(length, lambda x, y: x.mean * y.mean, uniform, one)
    square = expected(length, lambda x, y: x.square * y.square, uniform, one)
    floor = float(square - mean**2)
    assert_allclose(adding_1997.product_floor(length), floor, rtol=1e-13)
    left = variance_left(length, lambda x: x.square, uniform, one)
    (plateau,) = adding_1997.product_plateaus(length).values()
    assert_allclose(plateau, float(left), rtol=1e-13)


def test_the_numbers_of_the_docstrings_are_the_tasks():
    for name, length, floor, plateaus in [
        ("adding", 50, 1 / 6, [1 / 12]), ("adding_1997", 110, 0.0392, [0.0205]),
        ("multiplication", 110, 0.0592, [0.0343]), ("latch", 50, 0.64, []),
        ("two_sequence_3a", 110, 1 / 4, []), ("two_sequence_3c", 110, 0.19, [0.1]),
        ("nature_show", 20, 0.8 * LN2, []), ("delayed_xor", 20, LN2, [LN2]),
        ("temporal_order", 110, 2 * LN2, [LN2]),
        ("temporal_order_3", 110, 3 * LN2, [2 * LN2, LN2]),
        ("temporal_order_pascanu", 50, 2 * LN2, [LN2]),
        ("long_time_lag_2a", 100, LN2 / 100, []), ("long_time_lag_2c", 103, LN2, []),
        ("copy_memory", 120, 10 * np.log(8) / 120, []),
        ("copy_memory_variable", 120, 10 * np.log(8) / 70.5, []),
        ("anbn", 21, None, [np.log(10) / 12]),
        ("long_time_lag_2b", 100, None,
         [(99 * np.log(99) + LN2) / 100, 99 * np.log(99) / 100]),
    ]:  # fmt: skip
        task = lj.TASKS[name]
        if floor is not None:
            assert_allclose(task.floor(length), floor, atol=5e-5, err_msg=name)
        assert_allclose(list(task.plateaus(length).values()), plateaus, atol=5e-5)
    assert_allclose(lj.tasks.nature_show("vectors", 0.5).floor(9), LN2 / 2)


@pytest.mark.parametrize("num_informative", [1, 3])
def test_the_best_of_3b_is_the_error_of_the_conditional_mean(num_informative):
    """The sum s of the numbers is N(n, 0.2 n) in class 1, N(-n, 0.2 n) in class 0."""
    spread = (0.2 * num_informative) ** 0.5

    def error(s):
        density = np.exp(-(((s - num_informative) / spread) ** 2) / 2)
        wrong = 1 / (1 + np.exp(2 * s / 0.2))  # P(class 0 | s)
        return density / spread / (2 * np.pi) ** 0.5 * wrong**2

    ends = num_informative - 12 * spread, num_informative + 12 * spread
    wanted, _ = quad(error, *ends, points=[0.0], epsabs=1e-15, limit=200)
    task = lj.tasks.two_sequence("3b", num_informative)
    assert_allclose(task.plateaus(33)["everything"], wanted, rtol=1e-7)
    assert task.floor(33) == lj.tasks.two_sequence("3a").floor(33) == 1 / 4


def test_one_in_216_would_have_been_longer_than_2c_allows():
    cut = 1 - sum(0.1 * 0.9**k for k in geometric(50))
    assert round(1 / cut) == 216
