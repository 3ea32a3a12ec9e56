"""Zoneout: which units keep their memory."""

import jax
import jax.numpy as jnp
import pytest
from cells.short_runs import BATCH, HIDDEN, INPUT, close, sequence

import lstm_jax as lj


@pytest.mark.slow
def test_zoneout_keeps_the_memory_of_the_units_it_picks(key):
    rates = {"h": 0.2, "c": 0.6}
    cell = lj.zoneout(lj.LSTM, rates["c"], h=rates["h"])
    hidden = 400
    params = lj.LSTM.init(key, INPUT, hidden)
    carry = jax.tree.map(lambda leaf: leaf + 0.5, lj.LSTM.init_carry(params, (BATCH,)))
    x = jax.random.normal(key, (BATCH, INPUT))
    new, _ = lj.LSTM.step(params, carry, x)
    zoned, y = cell.step(params, carry, lj.Keyed(x, key))
    for name in ("h", "c"):
        after, before, full = (getattr(z, name) for z in (zoned, carry, new))
        kept = after == before
        assert jnp.array_equal(after, jnp.where(kept, before, full))
        assert abs(jnp.mean(kept) - rates[name]) < 0.06
    h_kept, c_kept = zoned.h == carry.h, zoned.c == carry.c
    assert abs(jnp.mean(h_kept & c_kept) - rates["h"] * rates["c"]) < 0.04
    assert abs(jnp.mean(c_kept[0] & c_kept[1]) - rates["c"] ** 2) < 0.08
    assert jnp.array_equal(y, zoned.h)
    never = lj.zoneout(lj.LSTM, 0.0).step(params, carry, lj.Keyed(x, key))
    close(never, lj.LSTM.step(params, carry, x), 0)


def test_zoneout_refuses_a_field_that_the_carry_does_not_have(key):
    cell = lj.zoneout(lj.RNN, c=0.5)
    params = cell.init(key, INPUT, HIDDEN)
    keyed = lj.Keyed(jnp.ones((BATCH, INPUT)), key)
    with pytest.raises(ValueError, match="rates: got c; the carry has the fields h"):
        cell.step(params, cell.init_carry(params, (BATCH,)), keyed)


def test_zoneout_draws_anew_at_every_step_and_is_the_same_for_the_same_key(key):
    cell = lj.zoneout(lj.RNN, 0.5)
    params = cell.init(key, INPUT, 64)
    xs = sequence(key, dtype=jnp.float32)
    keyed = lj.with_keys(key, xs)
    ys, again = (lj.unroll(cell, params, keyed)[1] for _ in range(2))
    assert jnp.array_equal(ys, again)
    kept = ys[1:] == ys[:-1]
    assert not jnp.array_equal(kept[0], kept[1])
    other = lj.unroll(cell, params, lj.with_keys(jax.random.key(1), xs))[1]
    assert not jnp.array_equal(ys, other)
