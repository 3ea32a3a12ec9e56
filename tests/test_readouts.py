"""What is read off a run: the last step of every sequence."""

import jax
import jax.numpy as jnp
import numpy as np
from masked_batch import BATCH, LENGTHS, TIME, assert_equal, make_setting, run

import lstm_jax as lj
from lstm_jax import readouts

last_step = jax.jit(readouts.last_step)


def test_last_step_reads_what_each_sequence_showed_last():
    ys = np.arange(1.0, 1 + TIME * BATCH * 2).reshape(TIME, BATCH, 2)
    got = last_step(ys, LENGTHS)
    assert_equal(got, np.stack([ys[4, 0], ys[2, 1], np.zeros(2)]))


def test_last_step_without_and_with_two_batch_axes():
    ys = np.arange(1.0, 1 + TIME * 6 * 2).reshape(TIME, 2, 3, 2)
    lengths = np.array([[1, 2, 3], [0, 4, 5]])
    got = np.asarray(last_step(ys, lengths))
    for k in np.ndindex(2, 3):
        one = last_step(ys[:, *k], lengths[k])
        wanted = ys[lengths[k] - 1, *k] if lengths[k] else np.zeros(2)
        assert_equal((got[k], one), (wanted, wanted))


def test_last_step_is_the_final_memory_of_an_rnn():
    params, _, xs = make_setting(lj.RNN)
    final, ys = run(lj.RNN, params, xs, None, {"lengths": LENGTHS})
    assert_equal(last_step(ys, LENGTHS), final.h)


def test_a_readout_without_biases_is_a_product(x64):
    key, features = jax.random.key(0), jnp.arange(6.0).reshape(2, 3)
    bare = readouts.init_linear(key, 3, 4, biased=False, dtype=jnp.float64)
    full = readouts.init_linear(key, 3, 4, dtype=jnp.float64)
    assert bare.b is None and full.b is not None
    assert_equal(readouts.linear(bare, features), features @ full.w)
    ones = full._replace(b=jnp.ones(4))
    assert_equal(readouts.linear(ones, features), features @ full.w + 1)
