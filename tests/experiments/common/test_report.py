"""Rows and verdicts of gradients that are lost, stay, or overflow."""

import math

import numpy as np
import pytest

from experiments.common import report
from experiments.common.gradient_shares import Measured
from experiments.common.variants import Variant

INF, NAN = math.inf, math.nan


def measured(*columns):
    return Measured(np.array(columns, np.float32).T[None], None, None)


def told(*columns, lag=5):
    """The row and the verdict of one seed and these sequences."""
    variant, found = Variant("lstm", 1.0, 0, "1"), measured(*columns)
    row = report.row(variant, "initial", found)
    signal = np.zeros((1, 2))
    return row, report.verdict_line(variant, {"initial": found}, signal, lag)


@pytest.mark.slow
def test_a_row_of_a_gradient_that_is_lost():
    row, line = told([-INF] * 6)
    assert list(row.values())[2:8] == ["-inf", "lost at once", *["0.0"] * 4]
    assert "share at lag 5: nothing, lost at once; no signal" in line
    assert "bfloat16 from lag 0, float32 from lag 0" in line


def test_a_row_of_a_gradient_that_overflows():
    row, line = told([0.0] * 6, [0, 0, NAN, 0, 0, 0], lag=3)
    assert list(row.values())[2:8] == ["overflow", *["-"] * 5]
    assert "overflow from lag 3 on, in 1 of 2 curves: no share is known" in line
    assert "beyond" not in line


@pytest.mark.slow
def test_a_row_of_a_gradient_that_stays():
    row, line = told([0.0] * 6)
    assert list(row.values())[2:5] == ["+0.000 [+0.000, +0.000]", "never", "> 5"]
    assert "share at lag 5: 1; no signal; bottoms out: bfloat16 beyond lag 5" in line
