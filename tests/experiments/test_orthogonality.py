"""Orthogonality and spectra, small: what is measured, and what is asked of it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from experiments import orthogonality
from experiments.common import copy_nets, flossed_nets
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.criteria.orthogonality import COPIES, fall, lowest, reached, top
from experiments.figures.orthogonality import finding


@pytest.fixture
def record(smoke):
    return smoke("orthogonality")


def test_what_is_read_off_the_record(record):
    assert take(record, "fresh_z").shape == (6,)
    assert take(record, "exponent").shape == (2, 2, 48)  # gain, seed, rank
    exponents = jnp.asarray(take(record, "exponent"))
    dimension = lj.gradients.kaplan_yorke_dimension(exponents) / 48
    assert_allclose(take(record, "dimension"), dimension, rtol=1e-5)
    assert_allclose(fall(record), dimension[0] - dimension[1], rtol=1e-5)
    assert take(record, "copy_loss").shape == (2, 2, record.config["num_updates"])
    assert float(take(record, "copy_floor")) == lj.tasks.COPY_MEMORY.floor(25)
    assert (take(record, "orthogonality_error") < 1e-4).all()


def test_the_lowest_loss_is_that_of_a_tenth_of_the_updates(record):
    losses, floor = (
        take(record, "copy_loss", network=COPIES),
        take(record, "copy_floor"),
    )
    last = losses[:, -losses.shape[-1] // 10 :].mean(-1) / floor
    assert (lowest(record, COPIES) <= 1.001 * last).all()
    assert (lowest(record, COPIES) >= losses.min(-1) / floor).all()


def test_flossing_is_measured_at_the_start_and_at_stretches(record):
    assert record.axes["flossed"] == [0, 30, 60]
    exponents = take(record, "flossed_exponent")
    assert exponents.shape == (2, 3, 12)
    assert_allclose(top(record), np.abs(exponents[..., :8]).mean(-1))
    assert (reached(record) <= 60).all()
    losses = take(record, "floss_loss")
    assert losses.shape == (2, 60)
    assert (losses[:, -1] < losses[:, 0]).all()
    of_all = take(record, "log_condition_of_all")
    assert (take(record, "log_condition") < of_all).all()


def test_a_net_to_be_flossed_starts_small_and_is_driven_by_bits():
    with jax.enable_x64(True):
        params, start = flossed_nets.begin(jax.random.key(0), 8)
        assert params.w_hh.dtype == jnp.float64
        assert (params.b >= 0).all() and (params.b <= flossed_nets.MOST_BIAS).all()
        assert start.h.shape == (8,) and (jnp.abs(start.h) < 1).all()
        xs = flossed_nets.bits(jax.random.key(1), 400)
        assert {*np.unique(xs)} == {0.0, 1.0} and 0.4 < xs.mean() < 0.6


def test_only_the_matrix_that_turns_is_slow():
    """RMSProp first divides by sqrt(.9 * .001 + .1 g²), with g clipped to 1."""
    params = lj.cells.RNNParams(*(jnp.ones(1) for _ in range(3)))
    gradients = lj.cells.RNNParams(jnp.ones(1), jnp.full(1, 5.0), jnp.full(1, -5.0))
    optimizer = copy_nets.optimizer(1e-3, slower=0.1)
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    moved = optax.apply_updates(params, updates)
    step = 1e-3 / np.sqrt(0.1 + 0.9e-3)
    wanted = [1 - step, 1 - 0.1 * step, 1 + step]
    assert_allclose(np.concatenate(jax.tree.leaves(moved)), wanted, rtol=1e-6)


def test_the_figure_says_who_copies(record):
    figure = orthogonality.plot(record)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:2] == ["Copy task, T = 5", "Gradient flossing, N = 12"]
    assert "Copying over 5 steps, an orthogonal net comes to" in finding(record)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"matrix_size": 300}, "matrix_size: got 300; it must be at most 256"),
        ({"floss_exponents": 81}, "floss_exponents: got 81; it must be at most floss_"),
        ({"floss_length": 56}, "floss_length: got 56; it must be a multiple of 5"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        orthogonality.Config(**given)
