"""LSTM with a projection: sizes."""

from functools import partial

import jax

import lstm_jax as lj


def test_projection_size_is_half_unless_given(key):
    def shape(**options):
        init = partial(lj.cells.PROJECTION_LSTM.init, **options)
        sizes = {"input_size": 2, "hidden_size": 5}
        return jax.eval_shape(partial(init, **sizes), key).w_hr.shape

    assert shape() == (5, 3)
    assert shape(projection_size=7) == (5, 7)
