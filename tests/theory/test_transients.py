"""Growth before decay: Kreiss constants and transient growth."""

import numpy as np
import pytest

import lstm_jax as lj


@pytest.mark.parametrize("size", [2, 3, 8])
def test_kreiss_bound_of_orthogonal_matrices_is_one(size):
    for seed in range(5):
        drawn = np.random.default_rng(seed).normal(size=(size, size))
        assert 0.5 < lj.theory.kreiss_bound(np.linalg.qr(drawn)[0]) <= 1.001


def test_growth_without_end_is_infinite():
    assert lj.theory.transient_growth(np.array([[3.0]]), max_power=2000).norm == np.inf
    growing = np.array([[3.0, 1.0], [0.0, 2.0]])
    assert lj.theory.transient_growth(growing, max_power=700).norm == np.inf
    with pytest.raises(ValueError, match="matrix: found nan"):
        lj.theory.transient_growth(np.array([[np.nan]]), max_power=2)
