"""The experiment on Lyapunov exponents, small: what it finds."""

import pytest
from numpy.testing import assert_allclose

from experiments import lyapunov
from experiments.common.cli import ConfigError
from experiments.common.records import take
from lstm_jax import theory


@pytest.fixture
def spectra(smoke):
    return smoke("lyapunov")


def test_slopes_are_the_largest_exponents(spectra):
    slope, largest = take(spectra, "gradient_rate"), take(spectra, "largest_exponent")
    assert largest.shape == slope.shape == (3, 2)  # gain, seed
    assert_allclose(slope[0], largest[0], atol=0.02)
    radius = take(spectra, "ln_spectral_radius", gain=0.5)
    assert_allclose(slope[0], radius, atol=0.03)
    assert_allclose(slope[2], largest[2], atol=0.1)


def test_theory_stands_beside_what_was_measured(spectra):
    expected = [row["expected"] for row in spectra.rows]
    assert any(
        f"{float(theory.mean_field_exponent(3)):+.4f}" in law for law in expected
    )


def test_its_figure_has_one_panel(spectra):
    (axes,) = lyapunov.plot(spectra).axes
    assert axes.get_title(loc="left") == "The decay curve has a number (N = 64)"


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ConfigError, match="gains: got"):
        lyapunov.Config(gains=(0.5, -1.0))
