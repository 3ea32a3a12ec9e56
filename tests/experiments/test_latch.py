"""The latch, small: what is measured, beside theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from experiments import latch
from experiments.common.cli import ConfigError
from experiments.common.records import take
from lstm_jax import theory

solves = jax.jit(latch.solves)


@pytest.fixture
def latch_record(smoke):
    return smoke("latch")


def test_measured_margins_and_rates_are_those_of_theory(latch_record):
    weights = np.array(latch_record.axes["weight"])
    # 400 steps: a push (π/400)² above the margin takes longer to unlatch than that.
    found = take(latch_record, "margin") - theory.latch_threshold(weights)
    assert np.all((found >= 0) & (found < 3e-4))
    assert_allclose(take(latch_record, "rate"), theory.tanh_rate(weights), atol=1e-6)


def test_the_critical_gradient_is_the_iterated_product(latch_record):
    time = np.arange(1001)
    assert_allclose(
        np.exp(take(latch_record, "critical_log_product")),
        theory.critical_tanh_product(time),
        rtol=1e-11,
    )


def test_searches_end_at_the_first_net_that_solves_both_sets(latch_record):
    trials = take(latch_record, "trials", weight_range=100.0)
    assert trials.shape == (10,)
    assert np.all((trials >= 1) & (trials <= 5000))
    key = jax.random.fold_in(jax.random.key(latch_record.config["seed"]), 0)
    key_train, key_test, key_search = jax.random.split(key, 3)
    data = [latch.two_sequences(k, 20, 10, 0.2) for k in (key_train, key_test)]
    number = int(trials[0])
    first = (number - 1) // latch.TRIALS_PER_ROUND * latch.TRIALS_PER_ROUND
    keys = jax.random.split(
        jax.random.fold_in(key_search, first), latch.TRIALS_PER_ROUND
    )
    for k in range(max(first, number - 3), number):
        model = latch.guess(keys[k - first], 5, 100.0)
        solved = all(bool(solves(model, sequences)) for sequences in data)
        assert solved == (k == number - 1)


def test_a_search_without_success_ends_at_its_last_trial():
    sequences = latch.two_sequences(jax.random.key(0), 4, 5, 0.2)
    tried = []

    def try_round(keys, train, test):
        tried.append(len(keys))
        return np.arange(len(keys)) == 60

    search = lambda most: latch.search(
        try_round, jax.random.key(0), sequences, sequences, most
    )
    assert search(61) == 61
    assert search(60) == float("inf")
    assert sum(tried) == 200


def test_two_sequences_begin_with_their_class():
    sequences = latch.two_sequences(jax.random.key(0), 400, 20, 0.2)
    assert sequences.inputs.shape == (20, 400, 1)
    np.testing.assert_array_equal(sequences.inputs[0, :, 0], sequences.targets)
    assert jnp.sum(sequences.targets) == 0
    # 7600 numbers: four standard errors.
    assert abs(jnp.std(sequences.inputs[1:]) - 0.2) < 4 * 0.2 / np.sqrt(2 * 7600)


@pytest.mark.slow
def test_guesses_fill_the_range():
    keys = jax.random.split(jax.random.key(0), 100)
    models = jax.vmap(lambda key: latch.guess(key, 5, 3.0))(keys)
    assert isinstance(models.cell, lj.RNNParams)
    drawn = jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(models)])
    assert drawn.size == 100 * (5 + 25 + 5 + 5 + 1)
    assert jnp.max(jnp.abs(drawn)) <= 3
    assert_allclose(jnp.std(drawn), 3 / np.sqrt(3), rtol=0.05)


def test_a_hand_made_latch_solves_the_task():
    zeros = jax.tree.map(jnp.zeros_like, latch.guess(jax.random.key(0), 1, 1.0))
    cell = zeros.cell._replace(w_ih=jnp.full((1, 1), 2.0), w_hh=jnp.full((1, 1), 4.0))
    readout = zeros.readout._replace(w=jnp.ones((1, 1)))
    model = latch.Guess(cell=cell, readout=readout)
    sequences = latch.two_sequences(jax.random.key(1), 100, 30, 0.2)
    assert solves(model, sequences)
    turned = sequences._replace(targets=-sequences.targets)
    assert not solves(model, turned)
    # A bias in the readout larger than the latch answers the same for both classes.
    biased = model._replace(readout=readout._replace(b=jnp.full((1,), 2.0)))
    assert not solves(biased, sequences)


def test_the_latch_draws_and_names_its_findings(latch_record):
    figure = latch.plot(latch_record)
    assert len(figure.axes) == 3
    quantities = [row["quantity"] for row in latch_record.rows]
    assert quantities[:2] == ["margin at w = 1.25", "rate at w = 1.25"]
    assert any("10 of 10 searches" in line for line in latch_record.verdict)


def test_a_latch_needs_a_weight_above_one():
    with pytest.raises(ConfigError, match=r"weights: got \(1.0,\)"):
        latch.Config(weights=(1.0,))


def test_ranges_that_agree_in_six_digits_are_two_searches():
    config = latch.Config(weight_ranges=(1.0000001, 1.0000002))
    assert list(config.ranges().values()) == ["1.0000001", "1.0000002"]
