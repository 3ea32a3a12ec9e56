"""Dropout: hidden from the next layer and the readout, not from the memory."""

import jax
import jax.numpy as jnp
import pytest
from cells.short_runs import BATCH, HIDDEN, INPUT, close, sequence

import lstm_jax as lj
from lstm_jax.cells.stochastic import joint_span, span_of, without_noise

RATE = 0.25


def test_dropout_hides_outputs_anew_at_every_step_and_keeps_the_memory(x64, key):
    cell = lj.cells.dropout(lj.LSTM, RATE)
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)
    keyed = lj.with_keys(key, xs)
    carry, ys = lj.unroll(cell, params, keyed)
    wanted, shown = lj.unroll(lj.LSTM, params, xs)
    kept = jnp.stack(
        [jax.random.bernoulli(k, 1 - RATE, (BATCH, HIDDEN)) for k in keyed.key]
    )
    close((carry, ys), (wanted, jnp.where(kept, shown / (1 - RATE), 0)), 0)
    assert 0 < kept.mean() < 1


def test_a_stack_with_dropout_is_what_its_steps_say(x64, key):
    parts = lj.cells.dropout(lj.LSTM, RATE), lj.zoneout(lj.GRU, 0.5)
    dropped = lj.cells.dropout(lj.cells.variational_dropout(lj.RNN, input_rate=0.5), 0)
    net = lj.stack(*parts, lj.RNN, dropped)
    params = net.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)
    keyed = lj.with_keys(key, xs, joint_span([span_of(net)]))
    close(lj.unroll(net, params, keyed), lj.unroll_reference(net, params, keyed), 1e-12)
    assert without_noise(net) == lj.stack(lj.LSTM, lj.GRU, lj.RNN, lj.RNN)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(ValueError, match=rf"rate: got {rate}; it must be in \[0, 1\)"):
        lj.cells.dropout(lj.LSTM, rate)
