"""Cells that draw, inside of other cells; and what dropout hides from products."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from comparing import drawn_like
from problems import slow_but

import lstm_jax as lj
from lstm_jax.cells.stochastic import without_noise

TIME, BATCH, INPUT, HIDDEN = 6, 3, 4, 5
RATE = 0.4
sigmoid = jax.nn.sigmoid


def close(one, other, tolerance=1e-12):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def drawn(cell, key, width=INPUT):
    """Params with nothing left at zero, biases included."""
    init = partial(cell.init, key, width, HIDDEN, dtype=jnp.float64)
    return drawn_like(jax.eval_shape(init), seed=1)


def sequence(key, width=INPUT):
    return jax.random.normal(key, (TIME, BATCH, width), jnp.float64)


def mask_of(key, shape, rate=RATE):
    kept = jax.random.bernoulli(key, 1 - rate, shape)
    assert 0 < jnp.sum(kept) < kept.size
    return kept.astype(float) / (1 - rate)


# What dropout hides of h, written out: m stands where the paper's equations have it.


def masked_lstm(p, carry, x, m):
    i, f, g, o = jnp.split(x @ p.w_ih + (m * carry.h) @ p.w_hh + p.b, 4, axis=-1)
    c = sigmoid(f) * carry.c + sigmoid(i) * jnp.tanh(g)
    h = sigmoid(o) * jnp.tanh(c)
    return lj.LSTMCarry(h=h, c=c), h


def masked_gru(p, carry, x, m):
    x_r, x_z, x_n = jnp.split(x @ p.w_ih + p.b, 3, axis=-1)
    h_r, h_z, h_n = jnp.split((m * carry.h) @ p.w_hh, 3, axis=-1)
    n = jnp.tanh(x_n + sigmoid(x_r + h_r) * (h_n + p.b_hn))
    z = sigmoid(x_z + h_z)
    h = z * carry.h + (1 - z) * n
    return carry._replace(h=h), h


def masked_gru_reset_before(p, carry, x, m):
    x_r, x_z, x_n = jnp.split(x @ p.w_ih + p.b, 3, axis=-1)
    w_r, w_z, w_n = jnp.split(p.w_hh, 3, axis=-1)
    seen = m * carry.h
    r, z = sigmoid(x_r + seen @ w_r), sigmoid(x_z + seen @ w_z)
    n = jnp.tanh(x_n + (r * seen) @ w_n)
    h = z * carry.h + (1 - z) * n
    return carry._replace(h=h), h


def masked_mgu(p, carry, x, m):
    x_f, x_n = jnp.split(x @ p.w_ih + p.b, 2, axis=-1)
    h_f, h_n = jnp.split((m * carry.h) @ p.w_hh, 2, axis=-1)
    f = sigmoid(x_f + h_f)
    h = f * carry.h + (1 - f) * jnp.tanh(x_n + f * (h_n + p.b_hn))
    return carry._replace(h=h), h


WRITTEN_OUT = {
    lj.LSTM: masked_lstm,
    lj.GRU: masked_gru,
    lj.cells.GRU_RESET_BEFORE: masked_gru_reset_before,
    lj.cells.MGU: masked_mgu,
}


@pytest.mark.parametrize(
    "cell", slow_but([lj.LSTM], WRITTEN_OUT), ids=lambda cell: cell.name
)
def test_hidden_dropout_is_the_cell_written_out_with_a_mask(key, x64, cell):
    noisy = lj.cells.variational_dropout(cell, hidden_rate=RATE)
    params, xs = drawn(cell, key), sequence(key)
    m = mask_of(jax.random.split(key)[1], (BATCH, HIDDEN))
    weights = jax.random.normal(key, (TIME, BATCH, HIDDEN))

    def found(params, xs):
        keyed = lj.with_keys(key, xs, per="sequence")
        return jnp.sum(weights * lj.unroll(noisy, params, keyed)[1])

    def wanted(params, xs):
        carry, total = cell.init_carry(params, (BATCH,)), 0.0
        for t in range(TIME):
            carry, y = WRITTEN_OUT[cell](params, carry, xs[t], m)
            total += jnp.sum(weights[t] * y)
        return total

    of_both = [jax.value_and_grad(one, (0, 1)) for one in (found, wanted)]
    close(*jax.jit(lambda *given: [one(*given) for one in of_both])(params, xs))


ONE_MATRIX = (
    *(lj.RNN, lj.cells.PEEPHOLE_LSTM, lj.cells.LAYER_NORM_LSTM, lj.cells.CIFG_LSTM),
    lj.cells.lstm2000(1, truncated=True),
)


@pytest.mark.parametrize(
    "cell", slow_but([lj.cells.PEEPHOLE_LSTM], ONE_MATRIX), ids=lambda cell: cell.name
)
def test_a_mask_of_h_is_a_factor_on_the_rows_of_its_matrix(key, x64, cell):
    params, x = drawn(cell, key), sequence(key)[0, 0]
    carry = jax.tree.map(lambda leaf: leaf + 0.3, cell.init_carry(params))
    noisy = lj.cells.variational_dropout(cell, hidden_rate=RATE)
    m = mask_of(jax.random.split(key)[1], (HIDDEN,))
    fewer = params._replace(w_hh=m[:, None] * params.w_hh)
    found = jax.jit(noisy.step)(params, carry, lj.Keyed(x, key))
    close(found, jax.jit(cell.step)(fewer, carry, x))


@pytest.mark.slow
def test_dropout_of_h_alone_reads_its_key_as_ever(key):
    """Bit for bit what an LSTM computes that was handed a carry with less of h."""
    cell = lj.cells.variational_dropout(lj.LSTM, hidden_rate=RATE, input_rate=0.2)
    params = lj.LSTM.init(key, INPUT, HIDDEN)
    carry = lj.LSTMCarry(*jax.random.normal(key, (2, BATCH, HIDDEN)))
    x = jax.random.normal(key, (BATCH, INPUT))
    key_x, key_h = jax.random.split(key)
    h, seen = (
        jnp.where(
            jax.random.bernoulli(one, 1 - rate, values.shape), values / (1 - rate), 0
        )
        for one, values, rate in ((key_h, carry.h, RATE), (key_x, x, 0.2))
    )
    found = cell.step(params, carry, lj.Keyed(x, key))
    close(found, lj.LSTM.step(params, carry._replace(h=h), seen), 0)


def joined(params, carry, x):
    """A step of a user's own, in which x and what a bound passes of h are one array."""
    h: Any = lj.clip_backward(carry, 10.0)
    h = 0.5 * carry + jnp.tanh(jnp.concatenate([x, h], -1) @ params["w"])
    return h, h @ params["out"]


def test_products_read_less_of_memory_that_was_joined_and_sums_read_it_whole(key, x64):
    cell = lj.from_function(joined, lambda p, batch: jnp.zeros((*batch, HIDDEN)))
    w, out = jax.random.normal(key, (INPUT + HIDDEN, HIDDEN)), jnp.eye(HIDDEN)
    x, carry = sequence(key)[0], jax.random.normal(key, (BATCH, HIDDEN))
    noisy = lj.cells.variational_dropout(cell, hidden_rate=RATE)
    found = noisy.step({"w": w, "out": out}, carry, lj.Keyed(x, key))
    m = mask_of(jax.random.split(key)[1], (BATCH, HIDDEN))
    h = 0.5 * carry + jnp.tanh(x @ w[:INPUT] + (m * carry) @ w[INPUT:])
    close(found, (h, h))


def test_every_leaf_that_products_read_has_a_mask_of_its_own(x64):
    key = jax.random.key(1)
    cell = lj.stack(lj.RNN, lj.cells.INDRNN, lj.RNN)
    params, x = drawn(cell, key), sequence(key)[0, 0]
    carry = jax.tree.map(lambda leaf: leaf + 0.3, cell.init_carry(params))
    noisy = lj.cells.variational_dropout(cell, hidden_rate=RATE)
    keys = jax.random.split(jax.random.split(key)[1])
    first, last = (mask_of(one, (HIDDEN,)) for one in keys)
    assert jnp.any(first != last)
    fewer = (
        params[0]._replace(w_hh=first[:, None] * params[0].w_hh),
        params[1],
        params[2]._replace(w_hh=last[:, None] * params[2].w_hh),
    )
    close(noisy.step(params, carry, lj.Keyed(x, key)), cell.step(fewer, carry, x))


def in_a_loop(params, carry, x):
    return jax.checkpoint(lj.RNN.step)(params, carry, x)


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (lj.cells.INDRNN, "0 for 'indrnn': no matrix product reads its memory"),
        (
            lj.from_function(in_a_loop, lj.RNN.init_carry, lj.RNN.init),
            "0 for 'in_a_loop': a loop or a jax.checkpoint reads",
        ),
    ],
)
def test_hidden_dropout_that_would_hide_nothing_is_refused(key, cell, told):
    params = cell.init(key, INPUT, HIDDEN)
    noisy = lj.cells.variational_dropout(cell, hidden_rate=RATE)
    keyed = lj.with_keys(key, jnp.ones((TIME, INPUT)))
    with pytest.raises(ValueError, match=rf"hidden_rate: got 0\.4; it must be {told}"):
        lj.unroll(noisy, params, keyed)


# -- cells that draw, inside of others -----------------------------------------------


DROPPED = lj.cells.variational_dropout(lj.LSTM, input_rate=RATE)
ZONED = lj.zoneout(lj.GRU, RATE)


def test_dropout_between_layers_is_the_layers_with_a_mask_between_them(key, x64):
    cell: Any = lj.stack(lj.LSTM, DROPPED)
    assert (cell.name, cell.per) == ("lstm > variational_dropout(lstm)", "sequence")
    params, xs = drawn(cell, key), sequence(key)
    m = mask_of(jax.random.split(key)[0], (BATCH, HIDDEN))

    def found(params, xs):
        carry, ys = lj.unroll(cell, params, lj.with_keys(key, xs, cell.per))
        return jnp.sum(jnp.sin(ys)), carry

    def wanted(params, xs):
        first, ys = lj.unroll(lj.LSTM, params[0], xs)
        second, ys = lj.unroll(lj.LSTM, params[1], ys * m)
        return jnp.sum(jnp.sin(ys)), (first, second)

    of_both = [jax.value_and_grad(one, (0, 1), has_aux=True) for one in (found, wanted)]
    close(*jax.jit(lambda *given: [one(*given) for one in of_both])(params, xs))


def test_layers_that_draw_draw_apart(key, x64):
    cell: Any = lj.stack(DROPPED, lj.RNN, DROPPED, ZONED)
    assert cell.per == "both"
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    carry = jax.tree.map(lambda leaf: leaf + 0.3, cell.init_carry(params, (BATCH,)))
    x = sequence(key)[0]
    keys = lj.cells.Keys(*jax.random.split(key))
    found = cell.step(params, carry, lj.Keyed(x, keys))
    step, kept = (jax.random.split(one, 3) for one in keys)
    parts = [kept[0], None, kept[1], step[2]]
    wanted = []
    for layer, part, *of_layer in zip(
        cell.evaluated.layers, parts, params, carry, strict=True
    ):
        noisy: Any = {lj.LSTM: DROPPED, lj.GRU: ZONED}.get(layer, layer)
        x = x if part is None else lj.Keyed(x, part)
        left, x = noisy.step(*of_layer, x)
        wanted.append(left)
    close(found, (tuple(wanted), x), 0)


def test_parts_of_either_kind_are_renewed_and_kept(key):
    keyed = lj.with_keys(key, jnp.ones((TIME, INPUT)), per="both")
    step, kept = (jax.random.key_data(one) for one in keyed.key)
    assert len(np.unique(step, axis=0)) == TIME
    assert len(np.unique(kept, axis=0)) == 1
    cell = lj.zoneout(lj.cells.variational_dropout(lj.RNN, input_rate=0.5), 0.0)
    params = cell.init(key, INPUT, HIDDEN)
    same = jnp.broadcast_to(jnp.arange(1.0, 1 + INPUT), (TIME, BATCH, INPUT))
    silent = params._replace(w_hh=0 * params.w_hh)

    def shown(per):
        return lj.unroll(cell, silent, lj.with_keys(key, same, per))[1]

    assert jnp.all(shown("both") == shown("both")[0])  # one mask, whatever zoneout does
    assert not jnp.all(shown("step") == shown("step")[0])


WRAPPED = {
    "residual": lj.residual,
    "learned_carry": lj.learned_carry,
    "mixed": partial(lj.mixed, compute_dtype=jnp.float64),
    "stack": lambda cell: lj.stack(lj.residual(cell)),
}


@pytest.mark.parametrize("inside", [DROPPED, ZONED], ids=lambda cell: cell.per)
@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapper_of_a_cell_that_draws_hands_on_its_key(key, x64, name, inside):
    """Drawing inside of what draws nothing is drawing outside of it."""
    wrapper, plain = WRAPPED[name], without_noise(inside)
    cell = wrapper(inside)
    assert isinstance(cell, lj.cells.KeyedCell)
    assert (cell.per, cell.evaluated) == (inside.per, wrapper(plain))
    params, keyed = drawn(cell, key, HIDDEN), lj.with_keys(key, sequence(key, HIDDEN))
    of_cell, shown = {
        "residual": (params, keyed.x),
        "learned_carry": (getattr(params, "cell", None), 0),
        "mixed": (params, 0),
        "stack": (params[0], keyed.x),
    }[name]
    start = jax.tree.leaves(cell.init_carry(params, (BATCH,)))
    begin = jax.tree.structure(plain.init_carry(of_cell)).unflatten(start)
    carry, ys = lj.unroll(inside, of_cell, keyed, begin)
    found = lj.unroll(cell, params, keyed)
    close((jax.tree.leaves(found[0]), found[1]), (jax.tree.leaves(carry), ys + shown))


@pytest.mark.slow
def test_dropout_between_layers_trains_and_is_not_in_evaluation(key):
    cell, task = lj.stack(lj.LSTM, DROPPED), lj.TASKS["adding"]
    options: Any = {"num_steps": 40, "batch_size": 8, "length": 5, "hidden_size": 8}
    state, history = lj.train(key, cell, task, optax.adam(3e-2), **options)
    assert history.loss[-5:].mean() < history.loss[:5].mean()
    found, wanted = (
        lj.evaluate(key, one, task, state.params, batch_size=8, length=5)
        for one in (cell, lj.stack(lj.LSTM, lj.LSTM))
    )
    assert found == wanted


def test_keys_of_another_kind_are_refused(key):
    params = ZONED.init(key, INPUT, HIDDEN)
    keyed = lj.with_keys(key, jnp.ones((TIME, INPUT)), per="both")
    told = r"xs\.key: got Keys; 'zoneout\(gru\)' reads one key per step"
    with pytest.raises(TypeError, match=told):
        lj.unroll(ZONED, params, keyed)
    cell = lj.stack(lj.LSTM, DROPPED)
    with pytest.raises(
        TypeError, match=r"xs: 'lstm > var.*\(lstm\)' draws .* lj.train"
    ):
        lj.unroll(cell, cell.init(key, INPUT, HIDDEN), keyed.x)
