"""The experiment on Lyapunov exponents, small: what it finds."""

import numpy as np
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


def test_spectra_keep_the_sum_rule_and_have_their_theory_beside_them(spectra):
    sums = [row for row in spectra.rows if row["quantity"] == "Σ λ - mean ln|det J|"]
    assert len(sums) == 2
    assert all(float(row["measured"]) < 1e-8 for row in sums)
    assert take(spectra, "exponent").shape == (2, 2, 12)
    assert (take(spectra, "dimension") >= 0).all()
    expected = [row["expected"] for row in spectra.rows]
    assert any(
        f"{float(theory.mean_field_exponent(3)):+.4f}" in law for law in expected
    )
    assert any(
        f"{float(theory.mean_field_dimension(4)):.3f}" in law for law in expected
    )


def test_fresh_matrices_are_within_their_errors(spectra):
    z = take(spectra, "fresh_z")
    assert z.shape == (6,)
    assert np.abs(z).max() < 5
    assert np.ptp(z) > 0


def test_spectra_have_a_figure_of_four_panels(spectra):
    titles = [axes.get_title(loc="left") for axes in lyapunov.plot(spectra).axes]
    assert "The decay curve has a number (N = 64)" in titles
    assert "Dimension of the attractor per unit" in titles


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lyapunov.Config(gains=(0.5, -1.0)), "gains: got"),
        (lambda: lyapunov.Config(matrix_size=300), "matrix_size: got 300"),
    ],
)
def test_what_cannot_be_asked_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
