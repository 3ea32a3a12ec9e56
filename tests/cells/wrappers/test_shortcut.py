"""Cells whose input is shown beside their output."""

import jax.numpy as jnp
import numpy as np
from cells.short_runs import HIDDEN, INPUT, close, sequence

import lstm_jax as lj


def test_a_shortcut_shows_the_input_as_it_is(key, x64):
    cell = lj.cells.shortcut(lj.LSTM)
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key, INPUT)
    carry, ys = lj.unroll(cell, params, xs)
    plain_carry, plain_ys = lj.unroll(lj.LSTM, params, xs)
    close((carry, ys[..., :HIDDEN]), (plain_carry, plain_ys))
    np.testing.assert_array_equal(ys[..., HIDDEN:], xs)
