"""Decay of gradients that are lost, stay, or overflow."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from experiments.common import decay

INF, NAN = math.inf, math.nan


def curves(*columns):
    return np.array(columns, np.float32).T


HALVING = np.log(0.5) * np.arange(5, -1, -1)


@pytest.mark.parametrize(
    ("curve", "rate", "horizon", "heard"),
    [
        (HALVING, np.log(0.5), 2, INF),
        ([-INF] * 6, -INF, 0, 0),
        ([-INF] * 5 + [0.3], -INF, 1, 1),
        ([NAN] * 6, NAN, NAN, NAN),
        ([0, 0, 0, INF, 0, 0], NAN, NAN, NAN),
        ([0] * 6, 0, INF, INF),
    ],
)
def test_a_lost_gradient_is_lost_at_once_and_an_overflow_is_no_number(
    curve, rate, horizon, heard
):
    found = decay.decay_of(curves(curve, curve), 0.25, ("float32",))
    assert_allclose(found.rate, [rate] * 2, rtol=1e-5)
    assert_allclose(found.horizon, [horizon] * 2, rtol=1e-5)
    assert_allclose(found.heard["float32"], [heard] * 2)


def test_of_a_lost_gradient_no_share_is_left_and_none_of_the_others_is_touched():
    log_norms = curves(HALVING + 2, [-INF] * 6, [NAN] * 6)
    shares = decay.shares(log_norms)
    assert_allclose(shares[0], HALVING[::-1], atol=1e-6)
    assert (shares[1] == -INF).all() and np.isnan(shares[2]).all()
    of_another = decay.shares(log_norms[:, :1] - 1, of=log_norms[:, :1])
    assert_allclose(of_another[0], HALVING[::-1] - 1, atol=1e-6)


def test_an_overflow_is_told_with_its_lag_and_how_many_it_met():
    fine = np.zeros(6)
    assert decay.overflow(curves(fine, [-INF] * 6)) is None
    late = curves(fine, [0, 0, INF, 0, 0, 0], [0, NAN, 0, 0, 0, 0])
    assert decay.overflow(late[None]) == "from lag 3 on, in 2 of 3 curves"
