"""Exponents of products of Gaussian matrices."""

import math

import numpy as np
from numpy.testing import assert_allclose
from theory.printed import printed

from lstm_jax import theory


def test_gaussian_exponents_to_the_printed_digits():
    # λ_i = ½ (ln(2 / N) + ψ((N - i + 1) / 2)).
    printed(theory.gaussian_product_exponents(2), "-0.288608 -0.981755")
    printed(theory.gaussian_product_exponents(3), "-.184488 -.491340 -1.184488")
    large = theory.gaussian_product_exponents(64)
    printed(large[[0, 1, -1]], "-.007853 -.015853 -2.714623")
    printed(large.sum(), "-33.107973")
    shifted = theory.gaussian_product_exponents(64, gain=3.0)
    assert_allclose(shifted - large, np.log(3), rtol=1e-12)


def test_gaussian_exponents_and_errors_are_those_of_a_simulation():
    size, time, repeats, gain = 3, 400, 60, 1.7
    rng = np.random.default_rng(1)
    q = np.broadcast_to(np.eye(size), (repeats, size, size))
    sums = np.zeros((repeats, size))
    for _ in range(time):
        w = gain / math.sqrt(size) * rng.standard_normal((repeats, size, size))
        q, r = np.linalg.qr(w @ q)
        sums += np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
    stderr = theory.gaussian_product_stderr(size, time)
    z = (sums / time - theory.gaussian_product_exponents(size, gain)) / stderr
    # 60 normal numbers each: the mean lies within 0.5 and the spread within 0.3 of 1.
    assert np.all(np.abs(z.mean(0)) < 0.5)
    assert np.all(np.abs(z.std(0) - 1) < 0.3)
