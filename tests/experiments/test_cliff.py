"""The cliff, small: what is measured, beside theory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from experiments import cliff
from experiments.common.cli import ConfigError
from experiments.common.records import take
from lstm_jax import theory


@pytest.fixture
def cliff_record(smoke):
    return smoke("cliff")


def test_the_wall_is_as_steep_as_theory_says(cliff_record):
    gradient = take(cliff_record, "wall_gradient")
    exact = theory.logistic_map_gradient(5.0, theory.cliff_bias(5.0))
    assert_allclose(gradient, [exact.w, exact.b], rtol=1e-10)
    # Pascanu et al. (2013), the wall at w = 5.
    assert_allclose(gradient, [-411.871, -661.683], rtol=1e-3)
    assert_allclose(take(cliff_record, "wall_growth"), 3178.60, rtol=1e-5)


def test_both_walks_start_alike_and_only_one_is_thrown_away(cliff_record):
    plain, clipped = take(cliff_record, "walk")
    assert plain.shape == clipped.shape == (2001, 2)
    first = plain[1] - plain[0]
    assert_allclose(first, [4.12, 6.62], atol=5e-3)
    assert_allclose(np.hypot(*first), 7.79, atol=5e-3)
    step = clipped[1] - clipped[0]
    assert_allclose(step, 0.01 * first / np.hypot(*first), rtol=1e-9)
    assert np.all(np.hypot(*np.diff(clipped, axis=0).T) <= 0.01 * (1 + 1e-12))
    # Where the plain step lands, σ(x_50) = 1 and nothing moves any more.
    assert_allclose(take(cliff_record, "walk_error", walk="plain")[1:], 0.09, atol=1e-4)
    assert_allclose(plain[-1], plain[1], atol=1e-4)


def test_the_folds_are_the_saddle_nodes(cliff_record):
    wanted = theory.saddle_nodes(5.0)
    found = take(cliff_record, "saddle_node_b")
    assert_allclose(found, [wanted.lower, wanted.upper], atol=1e-8)


@pytest.mark.parametrize("name", ["far_error", "near_error"])
def test_the_surface_is_that_of_the_map(cliff_record, name):
    error, axes, _ = cliff_record.arrays[name]
    b, w = (np.array(cliff_record.axes[axis]) for axis in axes)
    assert error.shape == (9, 9)
    wanted = theory.logistic_map_error(w[None, :], b[:, None])
    assert_allclose(error, wanted, atol=1e-8)


def test_the_section_peaks_on_the_wall(cliff_record):
    norms = take(cliff_record, "section_gradient_norm")
    b = np.array(cliff_record.axes["section_b"])
    assert np.all(np.diff(b) > 0)
    exact = theory.logistic_map_gradient(5.0, b)
    assert_allclose(norms, np.hypot(exact.w, exact.b), rtol=1e-6)


def test_the_cliff_draws_and_says_where_the_walks_end(cliff_record):
    figure = cliff.plot(cliff_record)
    assert len(figure.axes) == 6  # four panels, two colour bars
    text = "\n".join(cliff_record.verdict)
    assert "7.79 far" in text
    assert "plain:" in text
    assert "clipped:" in text
    assert len(cliff_record.rows) == 10


def test_the_cliff_needs_a_weight_with_a_wall():
    with pytest.raises(ConfigError, match="w: got 4"):
        cliff.Config(w=4.0)
