"""The experiment on laws of Jacobians, small: what it finds."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from experiments import jacobian_laws
from experiments.common.cli import ConfigError
from experiments.common.records import take
from lstm_jax import theory


@pytest.fixture
def laws(smoke):
    return smoke("jacobian_laws")


def test_measured_rates_stand_beside_their_laws(laws):
    nets = {net["label"]: net for net in laws.axes["variant"]}
    shares = {name: take(laws, "log_share", variant=net) for name, net in nets.items()}
    for name, net in nets.items():
        assert shares[name].shape == (2, 31)  # seed, lag
        assert_array_equal(shares[name][:, 0], 0)
        assert any(net["law"] in row["expected"] for row in laws.rows)
    orthogonal = take(laws, "rate", variant=nets["orthogonal"])
    assert_allclose(orthogonal, math.log(0.9), rtol=1e-10)
    lags = np.arange(31)
    expected = np.broadcast_to(lags * math.log(0.9), (2, 31))
    assert_allclose(shares["orthogonal"], expected, atol=1e-12)
    # Of 8 units the rates of Gaussian W still swing with the angle of an eigenvalue.
    for name in ("linear", "tanh", "logistic"):
        measured = take(laws, "rate", variant=nets[name])
        predicted = take(laws, "predicted_rate", variant=nets[name])
        assert_allclose(measured, predicted, atol=0.15)
    # tanh forgets its state at g < 1, and is then the linear net of the same weights.
    assert_allclose(shares["tanh"], shares["linear"], atol=1e-6)


def test_closed_forms_and_the_bound_are_kept(laws):
    rows = {(row["what"], row["quantity"]): row["measured"] for row in laws.rows}
    for name in ("orthogonal", "linear"):
        assert float(rows[name, "error of ||(Wᵀ)^k u||"]) < 1e-10
    bound = ("the bound (γ σ_max)^k", "violated, up to lag 50")
    assert rows[bound] == "0 of 200 nets"
    assert laws.axes["activation"] == list(theory.STEEPEST_SLOPES)
    rate, bound = take(laws, "bounded_rate"), take(laws, "bound")
    shown = np.isfinite(rate)
    assert shown.any(1).all() and (rate[shown] < bound[shown]).all()


def test_float32_keeps_its_slope_where_plain_norms_end(laws):
    log_norm = take(laws, "long_log_norm")
    lags = np.arange(1, 1001)
    assert_allclose(log_norm, lags * math.log(0.5), rtol=1e-5)
    for name, last in {
        "long_log_plain": (100, 150),
        "long_log_root_of_squares": (50, 80),
    }.items():
        alive = np.isfinite(take(laws, name))
        assert last[0] < alive.sum() < last[1]
        assert not alive[alive.sum() :].any()


def test_laws_have_a_figure_of_four_panels(laws):
    titles = [axes.get_title(loc="left") for axes in jacobian_laws.plot(laws).axes]
    assert len(titles) == 4
    assert "Four laws, g = 0.9, no input" in titles


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jacobian_laws.Config(lag=5), "lag: got 5; it must be"),
        (lambda: jacobian_laws.Config(gain=0.0), "gain: got 0.0; it must be"),
    ],
)
def test_what_cannot_be_asked_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
