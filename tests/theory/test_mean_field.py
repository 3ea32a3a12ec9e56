"""Mean-field Lyapunov exponents, beside printed numbers and large networks."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from theory.printed import printed

from lstm_jax import theory


@pytest.mark.parametrize("excess", [1e-5, 1e-7, 1e-9, 1e-12])
def test_mean_field_just_above_the_onset(excess):
    """q = g - 1 to first order."""
    assert_allclose(theory.mean_field_variance(1 + excess), excess, rtol=1e-3)


def test_mean_field_exponents_to_the_printed_digits():
    # λ_1 = ½ ln(g² E[sech⁴(sqrt(q) z)]), q = g² E[tanh²(sqrt(q) z)].
    gain = [1.1, 1.2, 1.5, 2.0, 3.0, 5.0]
    printed(
        theory.mean_field_exponent(gain), ".00507 .01648 .06522 .15472 .31025 .53243"
    )
    printed(theory.mean_field_variance(gain)[2:], ".79335 2.12147 6.30539 20.6994")
    gain, variance = [1, 1.5, 1.5, 2, 2], [0.1, 0.1, 0.5, 0.5, 1]
    found = theory.mean_field_exponent(gain, np.sqrt(variance))
    printed(found, "-.18637 .02620 -.06904 .09199 .04598")


def test_without_chaos_the_mean_field_is_the_circular_law():
    gain = np.array([0.5, 1.0])
    assert np.all(theory.mean_field_variance(gain) == 0)
    assert_allclose(theory.mean_field_exponent(gain), np.log(gain), atol=1e-15)
    for measure in (
        theory.mean_field_dimension,
        theory.mean_field_entropy,
        theory.mean_field_positive_share,
    ):
        assert np.all(measure(gain) == 0)


def test_the_mean_field_is_that_of_a_large_network():
    size, gain, noise = 1000, 2.0, 0.5
    rng = np.random.default_rng(0)
    w = gain / math.sqrt(size) * rng.standard_normal((size, size))
    x = rng.standard_normal((size, 4))
    squares, slopes = [], []
    for t in range(120):
        x = w @ np.tanh(x) + noise * rng.standard_normal((size, 4))
        if t >= 20:
            squares.append(np.mean(x**2))
            slopes.append(np.mean((1 - np.tanh(x) ** 2) ** 2))
    assert_allclose(
        np.mean(squares), theory.mean_field_variance(gain, noise), rtol=0.02
    )
    exponent = 0.5 * np.log(gain**2 * np.mean(slopes))
    assert abs(exponent - theory.mean_field_exponent(gain, noise)) < 0.01


def test_mean_field_dimensions_and_entropies_to_the_printed_digits():
    # The printed dimensions came from a coarser grid than the entropies.
    gain = [1.5, 2.0, 3.0, 5.0]
    dimension = theory.mean_field_dimension([*gain, 8.0])
    assert_allclose(dimension, [0.166, 0.259, 0.289, 0.246, 0.191], atol=2e-3)
    assert dimension[2] > dimension[1] > dimension[0]
    assert dimension[2] > dimension[3] > dimension[4]
    printed(theory.mean_field_entropy(gain), ".0028 .0107 .0252 .0391")
    printed(theory.mean_field_positive_share(gain), ".085 .133 .153 .135")


@pytest.mark.parametrize("gain", [1.5, 3.0])
def test_dimension_and_entropy_are_sums_over_the_spectrum(gain):
    num = 2000
    spectrum = theory.mean_field_spectrum(gain, num)
    assert np.all(np.diff(spectrum) < 0)
    assert_allclose(spectrum[0], theory.mean_field_exponent(gain), atol=1e-3)
    positive = spectrum[spectrum > 0]
    assert_allclose(positive.sum() / num, theory.mean_field_entropy(gain), rtol=1e-4)
    share = theory.mean_field_positive_share(gain)
    assert abs(len(positive) / num - share) <= 1 / num
    sums = np.cumsum(spectrum)
    before = np.flatnonzero(sums >= 0)[-1]
    dimension = before + 1 + sums[before] / -spectrum[before + 1]
    assert_allclose(dimension / num, theory.mean_field_dimension(gain), rtol=1e-4)


def test_the_spectrum_is_that_of_fresh_matrices_between_fixed_slopes():
    # Free by construction: W is drawn anew at every step; N = 60 stands for infinity.
    size, time, gain = 60, 120, 2.0
    q = theory.mean_field_variance(gain)
    rng = np.random.default_rng(2)
    basis, sums = np.eye(size), np.zeros(size)
    for _ in range(time):
        slopes = 1 / np.cosh(np.sqrt(q) * rng.standard_normal((size, 1))) ** 2
        w = gain / math.sqrt(size) * rng.standard_normal((size, size))
        basis, r = np.linalg.qr(w @ (slopes * basis))
        sums += np.log(np.abs(np.diagonal(r)))
    # The lower edge has a tail at finite size.
    found, wanted = sums / time, theory.mean_field_spectrum(gain, size)
    assert_allclose(found[:45], wanted[:45], atol=0.12)
