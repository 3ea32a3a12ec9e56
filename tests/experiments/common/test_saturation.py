"""How much of a network a sequence saturates, and that it is said."""

import math
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import slow_but

import lstm_jax as lj
from experiments import explain, gradient_decay
from experiments.common.saturation import in_words, saturation, standardised
from lstm_jax.training.checkpoints import named_arrays

# Columns in hundreds, as passengers are; standardised, the largest is 1.7.
RAW = np.linspace(100, 600, 24)[:, None]


def rnn(weight):
    weights = jnp.full((1, 1), weight)
    return lj.RNNParams(w_ih=weights, w_hh=jnp.zeros((1, 1)), b=jnp.zeros(1))


@pytest.mark.parametrize(
    ("cell", "edge"),
    # 1 - tanh² and 4 σ (1 - σ) are 1 % at artanh(sqrt(0.99)), and twice that.
    [(lj.RNN, math.atanh(0.99**0.5)), (lj.rnn("logistic"), 2 * math.atanh(0.99**0.5))],
)
def test_an_activation_is_saturated_from_a_hundredth_of_its_slope_on(cell, edge):
    xs = edge * jnp.array([0.99, -0.99, 1.01, -1.01, 0.0])[:, None]
    assert_allclose(saturation(cell, rnn(1.0), xs).given, 2 / 5, rtol=1e-6)


def test_all_gates_of_a_step_count():
    """Of σ(10), σ(0), σ(0), tanh(0) and tanh(c) one is saturated, whatever is read."""
    params = jax.tree.map(jnp.zeros_like, lj.LSTM.init(jax.random.key(0), 1, 2))
    params = params._replace(b=params.b.at[2:4].set(10.0))
    for found in saturation(lj.LSTM, params, jnp.ones((4, 3, 1))):
        assert_allclose(found, 1 / 5, rtol=1e-6)


def test_without_a_bounded_activation_there_is_no_share():
    found = saturation(lj.rnn("relu"), rnn(1.0), jnp.ones((3, 1)))
    assert np.isnan(found).all()
    assert in_words(math.nan, math.nan, np.ones(3)) == []


def test_standardised_columns_are_compared():
    found = saturation(lj.RNN, rnn(1.0), jnp.asarray(RAW, jnp.float32))
    assert (found.given, found.standardised) == (1, 0)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_standardised_has_mean_0_and_variance_1(scale):
    xs = np.stack([scale * RAW[:, 0], np.full(24, 7.0), np.zeros(24)], axis=-1)
    found = np.asarray(standardised(jnp.asarray(xs, jnp.float32)))
    wanted = (RAW[:, 0] - RAW.mean()) / RAW.std()
    assert_allclose(found[:, 0], wanted, atol=1e-5)
    assert (found[:, 1:] == 0).all()


RAW_AND_NOT = [*product(["explain", "gradient_decay"], ["raw", "standardised"])]
FEW = {("explain", "standardised"), ("gradient_decay", "raw")}


@pytest.mark.slow
@pytest.mark.parametrize(("of", "scale"), slow_but(FEW, RAW_AND_NOT))
def test_a_verdict_on_raw_columns_says_what_helps(tmp_path, scale, of):
    xs = RAW if scale == "raw" else (RAW - RAW.mean()) / RAW.std()
    np.save(tmp_path / "mine.npy", xs)
    sequence = str(tmp_path / "mine.npy")
    if of == "explain":
        params = lj.GRU.init(jax.random.key(0), 1, 3)
        arrays: Any = named_arrays(params)
        np.savez(tmp_path / "w.npz", **arrays)
        config = explain.Config(
            weights=str(tmp_path / "w.npz"), sequence=sequence, scale="none"
        )
        record = explain.run(config)
    else:
        config = gradient_decay.Config(
            sequence=sequence,
            scale="none",
            cells=("rnn",),
            hidden_size=8,
            num_seeds=1,
        )
        record = gradient_decay.run(config)
        assert record.arrays["saturation"].values.shape == (1, 1, 1, 2)
    (line,) = (line for line in record.verdict if line.startswith("  inputs:"))
    if scale == "raw":
        assert line.startswith("  inputs:   up to 600; they saturate ")
        assert "--scale=standardize, (x - mean) / standard deviation, sat" in line
    else:
        assert line == "  inputs:   up to 1.66; they saturate 0% of the gates and units"
