"""Variational dropout: one mask a sequence, and what it hides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.short_runs import BATCH, HIDDEN, INPUT, close, sequence

import lstm_jax as lj


def test_variational_dropout_has_one_mask_for_the_sequence(key, x64):
    rate = 0.25
    cell = lj.cells.variational_dropout(lj.LSTM, input_rate=rate)
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)
    _, ys = lj.unroll(cell, params, lj.with_keys(key, xs, per="sequence"))
    key_x, _ = jax.random.split(key)
    kept = jax.random.bernoulli(key_x, 1 - rate, (BATCH, INPUT))
    mask = kept.astype(xs.dtype) / (1 - rate)
    assert 0 < jnp.sum(mask == 0) < mask.size
    close(ys, lj.unroll(lj.LSTM, params, xs * mask)[1])
    _, renewed = lj.unroll(cell, params, lj.with_keys(key, xs))
    assert not jnp.allclose(renewed, ys)


def test_variational_dropout_hides_h_from_the_gates_and_leaves_c(key):
    cell = lj.cells.variational_dropout(lj.LSTM, hidden_rate=0.5)
    params = lj.LSTM.init(key, INPUT, HIDDEN)
    closed = params._replace(w_ih=params.w_ih * 0, w_hh=params.w_hh * 0)
    carry = lj.LSTMCarry(h=jnp.ones((BATCH, HIDDEN)), c=jnp.ones((BATCH, HIDDEN)))
    x = jnp.zeros((BATCH, INPUT))
    close(
        cell.step(closed, carry, lj.Keyed(x, key)),
        lj.LSTM.step(closed, carry, x),
        0,
    )
    dropped, _ = cell.step(params, carry, lj.Keyed(x, key))
    assert not jnp.allclose(dropped.c, lj.LSTM.step(params, carry, x)[0].c)


def test_variational_dropout_draws_the_masks_of_x_and_h_apart(key):
    def show_what_is_seen(params, carry, x):
        return carry, jnp.stack([carry.h @ jnp.eye(100), x])

    seeing = lj.Cell(
        name="seeing",
        init=lj.LSTM.init,
        init_carry=lj.LSTM.init_carry,
        step=show_what_is_seen,
    )
    cell = lj.cells.variational_dropout(seeing, input_rate=0.5, hidden_rate=0.5)
    ones = jnp.ones((BATCH, 100))
    _, (h, x) = cell.step((), lj.LSTMCarry(h=ones, c=ones), lj.Keyed(ones, key))
    assert set(np.unique(h)) == set(np.unique(x)) == {0.0, 2.0}
    assert abs(jnp.mean(h == x) - 0.5) < 0.12


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lj.zoneout(lj.RNN, 1.0), r"rate: got 1\.0; it must be in \[0, 1\)"),
        (lambda: lj.zoneout(lj.LSTM, h=0.1, c=-0.5), "c: got -0.5"),
        (
            lambda: lj.cells.variational_dropout(lj.RNN, input_rate=2),
            "input_rate: got 2",
        ),
        (
            lambda: lj.cells.variational_dropout(lj.RNN, hidden_rate=1),
            "hidden_rate: got 1",
        ),
        (lambda: lj.with_keys(jax.random.key(0), jnp.ones((2, 3)), "epoch"), "per: "),
        (lambda: lj.mixed(lj.LSTM, jnp.int32), "compute_dtype: got"),
        (lambda: lj.clip_backward(jnp.ones(3), 0), "max_norm: got 0"),
    ],
)
def test_options_that_are_not_allowed(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_a_stochastic_cell_asks_for_its_keys(key):
    cell = lj.zoneout(lj.RNN, 0.5)
    params = cell.init(key, INPUT, HIDDEN)
    xs = sequence(key, dtype=jnp.float32)
    with pytest.raises(TypeError, match=r"xs: 'zoneout\(rnn\)' .* with_keys"):
        lj.unroll(cell, params, xs)
    with pytest.raises(ValueError, match=r"xs.key: .* shape \(7,\)"):
        lj.unroll(cell, params, lj.Keyed(xs, jax.random.split(key, 3)))
