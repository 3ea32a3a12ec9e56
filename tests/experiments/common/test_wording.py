"""Numbers in words: rounded, and told apart."""

import math

import numpy as np
import pytest

from experiments.common import wording

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("log10", "text"),
    [
        (0.0, "1"),
        (-1.0, "0.1"),
        (math.log10(0.0999), "0.1"),  # 10.0e-02 once
        (math.log10(0.996), "1"),  # 10.0e-01 once
        (math.log10(9.96), "10"),
        (math.log10(0.00996), "0.01"),
        (math.log10(0.17), "0.17"),
        (math.log10(0.0047), "0.0047"),
        (math.log10(99.7), "1.0e+02"),
        (math.log10(9.96e-5), "1.0e-04"),
        (-3000.3, "5.0e-3001"),
        (3000.3, "2.0e+3000"),
        (-INF, "nothing"),
        (INF, "overflow"),
        (NAN, "overflow"),
    ],
)
def test_a_power_is_rounded_before_its_exponent_is_chosen(log10, text):
    assert wording.power(log10 * math.log(10)) == text


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        *[(0, "0.0"), (2.76, "2.8"), (99.94, "99.9"), (99.96, "100"), (1234.4, "1234")],
        *[(2e9, "2.0e+09"), (INF, "all"), (NAN, "-"), (np.float32(3), "3.0")],
    ],
)
def test_steps_have_as_many_digits_as_people_read(steps, text):
    assert wording.steps(steps) == text


@pytest.mark.parametrize(
    ("nats", "rate", "half_life"),
    [
        (-math.log(2) / 10, "-0.069", "10.0"),
        (0.04, "+0.040", "never"),
        (-0.0, "+0.000", "never"),
        (-1e-9, "+0.000", "6.9e+08"),
        (-INF, "-inf", "lost at once"),
        (NAN, "overflow", "-"),
    ],
)
def test_a_rate_and_its_half_life(nats, rate, half_life):
    assert (wording.rate(nats), wording.half_life(nats)) == (rate, half_life)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((1.0, "matched"), ["1", "matched"]),
        ((1.0, 4.929596), ["1", "4.93"]),
        ((4.001, 4.002), ["4.001", "4.002"]),
        ((4.93, 4.929596), ["4.93", "4.9296"]),
        ((0.1, 0.1 + 2**-56), ["0.1", "0.10000000000000002"]),
        ((1e-300, 0.0), ["1e-300", "0"]),
        ((16, 1048577), ["16", "1048577"]),
        ((4, 4.000001), ["4", "4.000001"]),
    ],
)
def test_values_are_told_apart_with_the_fewest_digits(values, texts):
    assert wording.told_apart(values, digits=3) == texts
