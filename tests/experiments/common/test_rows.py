"""Verdicts, intervals and the list of rows."""

import numpy as np
import pytest

from experiments.common import rows
from experiments.common.rows import Check, Row

ROW = Row("12a", "a toy", "nobody (2026)", {}, lambda record: [])


def check(holds, published="1"):
    return Check("what", published, "1", holds)


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([check(True), check(True, "")], "reproduced"),
        ([check(True), check(False)], "partly"),
        ([check(False), check(False)], "not"),
        ([check(True, ""), check(False, "")], "nothing published"),
    ],
)
def test_a_verdict_follows_from_the_criteria(checks, verdict):
    assert rows.verdict(ROW, checks) == verdict


def test_a_row_without_criteria_is_refused():
    with pytest.raises(ValueError, match="checks: got none of 'a toy'; it must be"):
        rows.verdict(ROW, [])


def test_rows_are_found_from_their_modules_in_the_order_of_their_numbers():
    found = rows.modules()
    assert {"cliff", "jacobian_laws", "latch", "lyapunov"} <= set(found)
    assert all(module.NAME == name for name, module in found.items())
    numbers = [module.ROW.number for module in found.values()]
    assert len(set(numbers)) == len(numbers)
    leading = [int("".join(filter(str.isdigit, number))) for number in numbers]
    assert leading == sorted(leading)


def test_a_mean_has_its_student_interval():
    # By hand: mean 2, s = 1, t(0.975, 2) = 4.3027, half = 4.3027 / sqrt(3) = 2.4841.
    assert rows.mean([1, 2, 3], ".2f") == "2.00 [-0.48, 4.48]"
    assert rows.mean([1.5], ".1f") == "1.5"


def test_a_median_has_the_interval_of_the_sign_test():
    # Tables have 6th to 15th of 20, 1st to 6th of 6, and none of 5.
    assert rows.median(np.arange(1, 21)) == "10.5 [6, 15]"
    assert rows.median(np.arange(1, 7)) == "3.5 [1, 6]"
    assert rows.median(np.arange(1, 6)) == "3 [range 1, 5]"


def test_a_count_has_its_wilson_interval():
    assert rows.count(5, 5) == "5 of 5 [0.57, 1.00]"
