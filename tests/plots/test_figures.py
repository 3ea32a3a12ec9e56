"""Figures in one call show what they were given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from lstm_jax import plots


def test_the_curve_of_a_decay_is_the_median_share_by_lag():
    rates = np.array([0.1, 0.5, 0.9])
    norms = 3.0 - rates * np.arange(6.0)[::-1, None]
    (axes,) = plots.decay(jnp.asarray(norms)).axes
    curve = np.asarray(axes.lines[0].get_ydata())
    assert_allclose(curve, -0.5 * np.arange(6) / np.log(10), atol=1e-6)
    assert axes.get_xlim() == (0, 5)


def test_sequences_that_end_earlier_are_aligned_at_their_ends():
    norms = np.zeros((6, 2))
    norms[:, 0] = -np.arange(6.0)[::-1]
    norms[:3, 1] = -np.arange(3.0)[::-1]  # three steps, and padding
    norms[3:, 1] = -np.inf
    (axes,) = plots.decay(jnp.asarray(norms), lengths=np.array([6, 3])).axes
    curve = np.asarray(axes.lines[0].get_ydata())
    assert_allclose(curve, -np.arange(6) / np.log(10), atol=1e-6)


def test_a_trace_has_a_row_for_every_gate_and_memory():
    params = lj.GRU.init(jax.random.key(0), 2, 3)
    xs = jax.random.normal(jax.random.key(1), (5, 4, 2))
    values = lj.trace(lj.GRU, params, xs)
    rows = {
        axes.get_ylabel(): axes.images[0]
        for axes in plots.trace(values, example=2).axes
        if axes.get_ylabel()
    }
    assert rows.keys() == values.keys() == {"r", "z", "n", "h"}
    for name, picture in rows.items():
        assert_allclose(np.asarray(picture.get_array()), values[name][:, 2].T)
        assert (picture.get_clim() == (0, 1)) == (name in "rz")


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: plots.trace({}), ValueError, "values: got nothing; it must be what"),
        (
            lambda: plots.trace({"f": np.ones((5, 2, 3))}, example=2),
            ValueError,
            r"example: got 2; it must be in \[0, 1\]",
        ),
        (lambda: plots.decay(3), TypeError, "log_norms: got 3; it must be an array"),
    ],
)
def test_bad_arguments_end_in_one_line(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
