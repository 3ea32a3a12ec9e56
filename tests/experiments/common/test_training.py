"""Networks side by side: how they begin, and what is heard while they train."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest
from numpy.testing import assert_array_equal

import lstm_jax as lj
from experiments.common import training
from experiments.common.variants import variants_of
from lstm_jax.training import runs

RECIPE = runs.Recipe(
    lj.RNN,
    lj.TASKS["delayed_xor"],
    partial(training.optimizer, 0.1),
    hidden_size=2,
    batch_size=2,
    length=12,
)


@pytest.fixture(scope="module")
def begun():
    keys = jax.random.split(jax.random.key(0), 2)
    return runs.program(RECIPE).begin(keys, runs.Settings())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_steps", "every", "heard"),
    [(7, 3, [0, 3, 6, 7]), (53, None, [0, 50, 53]), (53, 52, [0, 50, 52, 53])],
)
def test_updates_are_heard_of_often_and_where_it_is_due(num_steps, every, heard, begun):
    told, units = [], []
    trained = training.train_side_by_side(
        begun,
        RECIPE,
        num_steps=num_steps,
        what="",
        advance=lambda what, count: units.append(count),
        every=every,
        between=lambda update, states: told.append((update, *states.step.tolist())),
    )
    assert told == [(update,) * 3 for update in heard]
    assert sum(units) == num_steps
    assert_array_equal(trained.step, [num_steps] * 2)


def test_variants_of_a_seed_differ_in_the_forget_bias_alone():
    keys = jax.random.split(jax.random.key(0), 2)
    variants = variants_of("lstm", (0.0, 2.0), lag=5)
    models = training.initial_models(variants, keys, lj.LSTM, (3, 4, 1), gain=2.0)
    weights, bias = models.cell.w_hh, models.cell.b[:, 4:8]
    assert_array_equal(weights[:2], weights[2:])
    assert not jnp.array_equal(weights[0], weights[1])
    assert_array_equal(
        bias, jnp.repeat(jnp.array([0.0, 0.0, 2.0, 2.0]), 4).reshape(4, 4)
    )
    assert models.cell.w_ih.shape == (4, 3, 16) and models.readout.w.shape == (4, 4, 1)
