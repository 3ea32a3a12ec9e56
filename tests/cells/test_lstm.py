"""The LSTM: its gates, and what must be exactly true of it and its nearest kin."""

import by_hand
import jax.numpy as jnp
from cells.sequences import as_jax, make_problem
from comparing import assert_close

import lstm_jax as lj


def test_lstm_gates_give_their_equations(x64):
    params, carry, xs, *_ = as_jax(make_problem(lj.LSTM, jnp.float64))
    got = lj.lstm_gates(params, carry.h, xs[0])
    i, f, g, o = by_hand.lstm_gates(params, carry.h, xs[0])
    assert_close((got.i, got.f, got.g, got.o), (i, f, g, o))
