"""Residual layers."""

import jax.numpy as jnp
import pytest
from cells.short_runs import HIDDEN, INPUT, close, sequence

import lstm_jax as lj


def test_residual_adds_the_input(key, x64):
    cell = lj.residual(lj.LSTM)
    params = cell.init(key, HIDDEN, HIDDEN, dtype=jnp.float64)
    xs = sequence(key, HIDDEN)
    carry, ys = lj.unroll(cell, params, xs)
    plain_carry, plain_ys = lj.unroll(lj.LSTM, params, xs)
    close((carry, ys), (plain_carry, plain_ys + xs))
    narrow = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    with pytest.raises(ValueError, match="x: the last axis is 4 and 'lstm' shows 5"):
        lj.unroll(cell, narrow, sequence(key))
