"""Solutions set by hand: 100 % at any length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tasks.batches import is_last

import lstm_jax as lj
from lstm_jax.readouts import LinearParams, last_step, linear
from lstm_jax.tasks.copy_memory import copy_memory


def solved(name, cell, params, readout, batch):
    _, ys = lj.unroll(cell, params, batch.inputs)
    if is_last(name):
        ys = last_step(ys, batch.lengths)
    return linear(readout, ys)


def test_one_counter_solves_anbn(key):
    # n from 1 to 1000.
    task = lj.TASKS["anbn"]
    # Units: the count of a minus b, and two that hold no memory, "is S" and "is b".
    shut, opened, size = -100.0, 100.0, 3
    drive = np.array([[0, 3, 0], [0.1, 0, 0], [-0.1, 0, 3]])
    w_ih = np.concatenate([drive * 0, drive * 0, drive, drive * 0], axis=1)
    gates = [[opened] * 3, [opened, shut, shut], [0.0] * 3, [opened] * 3]
    of = jnp.float32
    params = lj.LSTMParams(of(w_ih), of(np.zeros((size, 12))), of(np.ravel(gates)))
    # A b is worth nothing after S, an a nothing after b, and T all when none is left.
    readout = LinearParams(
        w=jnp.array([[0.0, 0.0, -1_000.0], [0.0, -90.0, 0.0], [-90.0, 0.0, 150.0]]),
        b=jnp.array([30.0, 30.0, -34.0]),
    )

    @jax.jit
    def scores(key):
        assert task.correct is not None
        batch = task.sample(key, 20, 2_001)
        outputs = solved("anbn", lj.LSTM, params, readout, batch)
        return task.correct(outputs, batch), task.accuracy(outputs, batch)

    correct, accuracy = scores(key)
    assert np.all(correct) and accuracy == 1


@pytest.mark.slow
def test_two_tanh_units_solve_parity(key):
    batch = lj.TASKS["parity"].sample(key, 50, 300)
    # s = state + bit in {0, 1, 2}; the units say s > 1/2 and s > 3/2; the state is
    # the first without the second.
    steep = 40.0
    params = lj.RNNParams(
        w_ih=jnp.array([[0.0, 0.0], [steep, steep]]),
        w_hh=jnp.array([[steep / 2, steep / 2], [-steep / 2, -steep / 2]]),
        b=jnp.array([-steep / 2, -1.5 * steep]),
    )
    readout = LinearParams(
        w=jnp.array([[-1.0, 1.0], [1.0, -1.0]]), b=jnp.array([1.0, -1.0])
    )
    outputs = solved("parity", lj.RNN, params, readout, batch)
    assert lj.TASKS["parity"].accuracy(outputs, batch) == 1


@pytest.mark.slow
def test_a_cyclic_shift_solves_copy():
    num_symbols, num_items, length = 3, 2, 15
    task = copy_memory(num_symbols, num_items)
    batch = task.sample(jax.random.key(0), 50, length)
    delay = length - num_items
    # One slot more than the delay: a symbol is in the last slot only when it is asked.
    slots = delay + 1
    shift = np.kron(np.roll(np.eye(slots), 1, axis=1), np.eye(num_symbols))
    assert_array_equal(shift @ shift.T, np.eye(slots * num_symbols))
    write = np.zeros((num_symbols + 2, slots * num_symbols))
    write[:num_symbols, :num_symbols] = np.eye(num_symbols)
    read = np.zeros((slots * num_symbols, num_symbols + 1))
    read[-num_symbols:, :num_symbols] = np.eye(num_symbols)
    params = lj.RNNParams(
        w_ih=jnp.asarray(write, jnp.float32),
        w_hh=jnp.asarray(shift, jnp.float32),
        b=jnp.zeros(slots * num_symbols),
    )
    blank = jnp.array([0.0] * num_symbols + [0.5])
    readout = LinearParams(w=jnp.asarray(read, jnp.float32), b=blank)
    outputs = solved("copy_memory", lj.rnn("linear"), params, readout, batch)
    assert task.accuracy(outputs, batch) == 1
    assert task.correct is not None and np.all(task.correct(outputs, batch))
