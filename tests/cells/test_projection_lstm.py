"""LSTM with a projection: sizes."""

import lstm_jax as lj


def test_projection_size_is_half_unless_given(key):
    shape = lambda **options: (
        lj.cells.PROJECTION_LSTM.init(key, 2, 5, **options).w_hr.shape
    )
    assert shape() == (5, 3)
    assert shape(projection_size=7) == (5, 7)
