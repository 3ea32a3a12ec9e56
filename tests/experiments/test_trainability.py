"""experiments.trainability: one program for all lags, and what the areas say."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lstm_jax as lj
from experiments import trainability
from experiments.common import gradient_shares
from experiments.trainability import Config
from lstm_jax import readouts
from lstm_jax.training import loop, runs

LAGS = (2, 4)
SMALL: dict[str, Any] = {
    "lags": LAGS,
    "forget_biases": (0.0, 3.0),
    "gains": (0.5, 1.2),
    "hidden_size": 3,
    "num_seeds": 2,
    "num_steps": 2,
    "batch_size": 2,
}


@pytest.fixture(scope="module")
def traced():
    """Lengths of the programs that train, and measurements that were traced."""
    return {"lengths": [], "signals": 0}


@pytest.fixture(scope="module")
def record(traced):
    program, signal = runs.program, lj.gradients.first_step_signal

    def counted_program(recipe, **kwargs):
        traced["lengths"].append(recipe.length)
        return program(recipe, **kwargs)

    def counted_signal(*args):
        traced["signals"] += 1
        return signal(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "program", counted_program)
        patch.setattr(lj.gradients, "first_step_signal", counted_signal)
        patch.setattr(trainability, "TEST_EXAMPLES", 8)
        patch.setattr(gradient_shares, "SIGNAL_EXAMPLES", 4)
        return trainability.run(Config(tasks=("adding",), cells=("rnn",), **SMALL))


def test_all_lags_are_measured_by_one_program_and_trained_at_their_length(
    record, traced
):
    assert traced == {"signals": 1, "lengths": [4, 6]}
    for name in trainability.Swept._fields:
        assert record.arrays[name].values.shape == (1, 2, 2, 2)


def test_a_row_per_group_and_a_map_per_cell(record):
    assert [row["networks"] for row in record.rows] == ["within rnn"]
    assert record.axes["networks"] == ["within rnn"]
    labels = [variant["label"] for variant in record.axes["variant"]]
    assert labels == ["rnn gain=0.5", "rnn gain=1.2"]
    assert [line.split(":")[0] for line in record.verdict] == ["", "adding, rnn"]
    titles = [axes.get_title(loc="left") for axes in trainability.plot(record).axes]
    assert "adding: seeds that solve" in titles[0]


def test_networks_are_seeds_within_settings():
    config = Config(**SMALL)
    begin = jax.jit(partial(trainability.begun, config, "adding", "lstm"))
    params = begin(np.int32(2)).params
    forget = params.cell.b[:, 3:6]
    assert_array_equal(forget, np.repeat([0, 0, 3, 3], 3).reshape(4, 3))
    first_seed, second_seed = params.cell.w_hh[:2]
    assert_array_equal(params.cell.w_hh[2:], [first_seed, second_seed])
    assert not np.array_equal(first_seed, second_seed)


@pytest.mark.slow
def test_padding_to_the_longest_lag_changes_nothing(monkeypatch):
    """Measured again on sequences that are cut where they end."""
    task = "adding"
    monkeypatch.setattr(gradient_shares, "SIGNAL_EXAMPLES", 4)
    monkeypatch.setattr(trainability, "WATCHED_EXAMPLES", 3)
    config = Config(fraction=0.5, **SMALL)
    begin = jax.jit(partial(trainability.begun, config, task, "rnn"))
    models = begin(np.int32(2)).params
    measure = jax.jit(partial(trainability.measured, config, task, "rnn"))
    shares, signals, horizons = measure(models, np.int32(4))
    watched = trainability.WATCHED[task].sample_test(jax.random.key(0), 3, 6, 4)
    heard = lj.TASKS[task].sample(jax.random.key(2), 4, 6, 4)
    assert not watched.inputs[4:].any()
    log_norms_of = jax.jit(partial(log_norms, watched, lambda answers: answers.sum()))
    signal_of = jax.jit(partial(_signal, heard))
    for k in (0, 3):  # of either gain
        model = jax.tree.map(lambda leaf, k=k: leaf[k], models)
        logs = log_norms_of(model)
        share = np.median(logs[1] - logs[-1])
        np.testing.assert_allclose(shares[k], share, rtol=1e-4)
        horizon = np.median(lj.horizon(logs, 0.5))
        np.testing.assert_allclose(horizons[k], horizon, rtol=1e-4)
        np.testing.assert_allclose(signals[k], signal_of(model), rtol=1e-4)


def log_norms(batch, score, model):
    """ln of the norm of what a Python loop says of zeros added to each carry."""

    def answer(added):
        h = jnp.zeros((3, 3))
        for t in range(4):
            carry = lj.RNNCarry(h=h + added[t])
            h = lj.RNN.step(model.cell, carry, batch.inputs[t])[1]
        return score(h @ model.readout.w + model.readout.b)

    adjoints = jax.grad(answer)(jnp.zeros((4, 3, 3)))
    return jnp.log(jnp.linalg.norm(adjoints, axis=-1))


def _signal(batch, model):
    def loss(ys, target):
        return jnp.sum((readouts.linear(model.readout, ys[-1]) - target) ** 2)

    found = lj.gradients.first_step_signal(
        lj.RNN, model.cell, batch.inputs[:4], loss, batch.targets, 2
    )
    return found.signal / found.noise


def test_of_a_show_the_margins_are_measured():
    assert trainability.WATCHED["nature_show"] is lj.tasks.nature_show(
        goldfish_rate=0.0
    )
    keys = jax.random.split(jax.random.key(0), 3)
    model = loop.init_model(keys[0], lj.RNN, 2, 3, hidden_size=3)
    inputs, targets = jax.random.normal(keys[1], (6, 3, 2)), jnp.array([0, 1, 1])
    shows = lj.Batch(inputs, targets, jnp.ones(3), jnp.full(3, 4))
    measure = jax.jit(partial(trainability.log_norms, lj.RNN, "nature_show"))
    found = measure(model, shows)

    def margins(answers):  # dog, wolf, goldfish
        return jnp.sum((answers[:, 1] - answers[:, 0]) * jnp.array([-1.0, 1.0, 1.0]))

    np.testing.assert_allclose(
        found[:4], jax.jit(partial(log_norms, shows, margins))(model), rtol=1e-4
    )
    assert (found[4:] == -np.inf).all()


@pytest.mark.slow
def test_tested_is_what_evaluate_says_at_the_longest_lag(monkeypatch):
    monkeypatch.setattr(trainability, "TEST_EXAMPLES", 64)
    config, task = Config(**SMALL), lj.TASKS["adding"]
    begin = jax.jit(partial(trainability.begun, config, "adding", "rnn"))
    models = begin(np.int32(4)).params
    test = jax.jit(partial(trainability.tested, config, "adding", "rnn"))
    found = test(models, np.int32(6))

    @jax.jit
    def wanted(model):
        return lj.evaluate(
            jax.random.key(1), lj.RNN, task, model, batch_size=64, length=6
        ).accuracy

    for k in range(4):
        assert found[k] == wanted(jax.tree.map(lambda leaf, k=k: leaf[k], models))


def test_a_fraction_of_one_or_more_is_refused():
    with pytest.raises(trainability.cli.ConfigError, match=r"got 1\.5; it must be be"):
        Config(fraction=1.5)
