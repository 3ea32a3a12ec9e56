"""train_many: runs side by side are the single ones; the rate of their success."""

import inspect
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest
from training.signs import SIGNS

import lstm_jax as lj
from lstm_jax.training.runs import train_many
from lstm_jax.training.success import success_rate

MANY: dict[str, Any] = {"hidden_size": 2, "num_steps": 3, "batch_size": 3, "length": 4}


@pytest.mark.slow
def test_many_runs_are_the_single_ones_and_one_that_diverges_is_alone(key):
    keys = jax.random.split(key, 4)
    rates, gains = jnp.array([0.1, 1e30, 0.1, 0.3]), jnp.array([0.5, 1.0, 1.0, 2.0])

    @jax.jit
    def many(keys, rates, gains):
        return train_many(
            keys,
            lj.RNN,
            SIGNS,
            optax.adam,
            hyperparams={"learning_rate": rates, "b1": 0.8},
            init_options={"gain": gains, "dtype": jnp.float32},
            **MANY,
        )

    @jax.jit
    def single(key, rate, gain):
        optimizer = optax.adam(rate, b1=0.8)
        options = {"gain": gain, "dtype": jnp.float32}
        return lj.train(key, lj.RNN, SIGNS, optimizer, init_options=options, **MANY)

    states, histories = many(keys, rates, gains)
    assert_array_equal(states.diverged_at, [-1, 2, -1, -1])
    assert_array_equal(states.step, [3, 1, 3, 3])
    assert histories.loss.shape == (4, 3)
    for n in range(4):
        state, history = single(keys[n], rates[n], gains[n])
        found = jax.tree.map(lambda leaf, n=n: leaf[n], (states.params, histories))
        close = partial(assert_allclose, rtol=1e-4, atol=1e-6)
        jax.tree.map(close, found, (state.params, history))


DIVIDES = "it must be a whole number that divides 3, the runs of a device"


# As outside the tests, where no type checker stands before the function.
unchecked_train_many = inspect.unwrap(train_many)


@pytest.mark.parametrize(
    ("axes", "at_once", "told"),
    [
        (None, 0, f"runs_at_once: got 0; {DIVIDES}"),
        (None, 2, f"runs_at_once: got 2; {DIVIDES}"),
        (None, 1.0, f"runs_at_once: got 1.0; {DIVIDES}"),
        (None, "1", f"runs_at_once: got '1'; {DIVIDES}"),
        ((2, 1), None, "keys: got 3; it must be a multiple of 2, the devices along"),
        ((1, 2), 1, r"mesh: got \{'seed': 1, 'data': 2\}; it must have all devices"),
    ],
)
def test_runs_that_can_not_be_cut_into_equal_parts_are_refused(
    axes, at_once, told, key
):
    mesh = None
    if axes is not None:  # of one device twice: it is refused before it is used
        devices = np.array(jax.devices()[:1] * 2).reshape(axes)
        mesh = jax.sharding.Mesh(devices, ("seed", "data"))
    with pytest.raises(ValueError, match=told):
        unchecked_train_many(
            jax.random.split(key, 3),
            lj.RNN,
            SIGNS,
            optax.adam,
            hyperparams={"learning_rate": 0.1},
            mesh=mesh,
            runs_at_once=at_once,
            **MANY,
        )


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        (jnp.ones(2), "its first axis is 2; it must be 3"),
        ([1e-3, 1e-2, 0.1], r"got the list \[0.001, 0.01, 0.1\]; it must be an array"),
    ],
)
def test_a_setting_without_one_entry_per_run_is_refused(rates, told, key):
    with pytest.raises(ValueError, match=r"hyperparams\['learning_rate'\]: " + told):
        train_many(
            jax.random.split(key, 3),
            lj.RNN,
            SIGNS,
            optax.adam,
            hyperparams={"learning_rate": rates},
            **MANY,
        )


def test_one_key_for_all_runs_is_refused(key):
    told = r"keys: shape is \(\); it must be \(run,\), one key per run, as jax\.random"
    with pytest.raises(ValueError, match=told):
        unchecked_train_many(
            key, lj.RNN, SIGNS, optax.adam, hyperparams={"learning_rate": 0.1}, **MANY
        )


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_the_interval_of_a_success_rate_is_wilsons(confidence):
    counts = [(0, 1), (1, 1), (0, 5), (4, 5), (5, 5), (37, 100), (999, 1000)]
    successes, runs = np.array(counts).T
    found = success_rate(successes, runs, confidence)
    for n, (k, of) in enumerate(counts):
        interval = binomtest(k, of).proportion_ci(confidence, method="wilson")
        assert_allclose([found.low[n], found.high[n]], interval, atol=1e-12)
        assert found.rate[n] == k / of


@pytest.mark.parametrize("values", [(2, 1), (-1, 3), (0, 0), (1, 2, 1.0)])
def test_counts_that_can_not_be_are_refused(values):
    with pytest.raises(ValueError, match=r"^(successes|num_runs|confidence): got"):
        success_rate(*values)
