"""Around cuDNN: weights, lengths and directions, as JAX's own reference reads them.

What needs a GPU is in `tests/gpu`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close
from jax.experimental import rnn

import lstm_jax as lj
from lstm_jax import cudnn
from lstm_jax.masking import prepare

TIME, BATCH, INPUT, HIDDEN = 6, 3, 2, 4
LENGTHS = jnp.array([TIME, 4, 0])
CASES = {
    "whole": {},
    "lengths": {"lengths": LENGTHS},
    "reverse": {"reverse": True, "lengths": LENGTHS},
}


def by_reference(xs, h, c, weights, lengths, *sizes: Any):
    """The layer in JAX's reference, which takes the vector of weights apart."""
    inputs, units, layers, _, two_ways = sizes
    parts = rnn.unpack_lstm_weights(weights, inputs, units, layers, two_ways)
    return rnn.lstm_ref(xs, h, c, *parts, lengths, *sizes)


def problem(dtype=jnp.float64):
    key_params, key_xs, key_h, key_c = jax.random.split(jax.random.key(0), 4)
    params = lj.LSTM.init(key_params, INPUT, HIDDEN, dtype=dtype)
    params = params._replace(b=jnp.linspace(-1, 1, 4 * HIDDEN, dtype=dtype))
    xs = jax.random.normal(key_xs, (TIME, BATCH, INPUT), dtype)
    draw = partial(jax.random.normal, shape=(BATCH, HIDDEN), dtype=dtype)
    empty = lj.LSTM.init_carry(params, (BATCH,))
    return params, xs, empty._replace(h=draw(key_h), c=draw(key_c))


def by_layer(masks, params, xs, carry):
    steps = prepare(lj.LSTM, params, xs, carry, **masks)
    return cudnn.run_layer(steps, by_reference)


def with_gradients(run):
    def loss(*arguments):
        leaving, ys = run(*arguments)
        leaves = [*jax.tree.leaves(leaving), ys]
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves), (leaving, ys)

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES)
def test_what_is_built_around_the_layer_is_unroll(name):
    masks = CASES[name]
    arguments = problem()
    by_scan = partial(lj.unroll, lj.LSTM, **masks)
    wanted = with_gradients(by_scan)(*arguments)
    assert_close(with_gradients(partial(by_layer, masks))(*arguments), wanted)


@pytest.mark.usefixtures("x64")
def test_what_lies_beyond_lengths_is_never_read():
    params, xs, carry = problem()
    masks = CASES["reverse"]
    dirty = xs.at[4:, 1].set(jnp.nan).at[:, 2].set(jnp.nan)
    run = with_gradients(partial(by_layer, masks))
    (_, shown), gradients = run(params, dirty, carry)
    (_, wanted), of_clean = run(params, xs, carry)
    assert_close((shown, gradients), (wanted, of_clean))
    assert not np.any(gradients[1][:, 2])


@pytest.mark.usefixtures("x64")
def test_where_nothing_counts_nothing_is_read():
    params, xs, carry = problem()
    unread = jax.tree.map(lambda leaf: leaf * jnp.nan, (xs, carry))
    run = with_gradients(partial(by_layer, {"lengths": jnp.zeros(BATCH, jnp.int32)}))
    (_, (_, ys)), (of_params, of_xs, _) = run(params, *unread)
    for zeros in (ys, *of_params, of_xs):
        assert_close(zeros, jnp.zeros_like(zeros))


def test_batch_axes_are_kept():
    params, xs, _ = problem(jnp.float32)
    xs = jnp.stack([xs, -xs], axis=1)
    lengths = jnp.stack([LENGTHS, LENGTHS[::-1]])
    steps = prepare(lj.LSTM, params, xs, lengths=lengths)
    wanted = lj.unroll(lj.LSTM, params, xs, lengths=lengths)
    assert_close(cudnn.run_layer(steps, by_reference), wanted)
    empty = prepare(lj.LSTM, params, xs[:, :0])
    assert cudnn.run_layer(empty)[1].shape == (TIME, 0, BATCH, HIDDEN)


ELSEWHERE = "implementation='auto' runs it by the engine"
PARAMS, XS, _ = problem(jnp.float32)
GRU = lj.GRU.init(jax.random.key(0), INPUT, HIDDEN)
REFUSED = {
    "another cell": (
        (lj.GRU, GRU, XS),
        {},
        "implementation: got 'cudnn'; it has the steps of lj.LSTM, and not those of "
        f"'gru': {ELSEWHERE}",
    ),
    "another sigmoid": (
        (lj.cells.lstm("hard_sigmoid"), PARAMS, XS),
        {},
        "implementation: got 'cudnn'; it has the steps of lj.LSTM, and not those of "
        f"'lstm_hard_sigmoid': {ELSEWHERE}",
    ),
    "a mask": (
        (lj.LSTM, PARAMS, XS),
        {"mask": np.ones((TIME, BATCH), bool)},
        f"mask: implementation='cudnn' has none, only lengths: {ELSEWHERE}",
    ),
    "resets": (
        (lj.LSTM, PARAMS, XS),
        {"resets": np.ones((TIME, BATCH), bool)},
        f"resets: implementation='cudnn' has none, only lengths: {ELSEWHERE}",
    ),
    "checkpoints": (
        (lj.LSTM, PARAMS, XS),
        {"checkpoint_every": 2},
        f"checkpoint_every: implementation='cudnn' has none, only lengths: {ELSEWHERE}",
    ),
    "bfloat16": (
        (lj.LSTM, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), PARAMS), XS),
        {},
        f"params: got bfloat16; implementation='cudnn' takes float32: {ELSEWHERE}",
    ),
    "a CPU": (
        (lj.LSTM, PARAMS, XS),
        {},
        "implementation: got 'cudnn'; it needs an NVIDIA GPU, and JAX's default device "
        f"is a cpu: {ELSEWHERE}",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_what_would_run_instead(name):
    arguments, options, line = REFUSED[name]
    with pytest.raises((TypeError, ValueError)) as refusal:
        lj.unroll(*arguments, **options, implementation="cudnn")
    assert str(refusal.value) == line
