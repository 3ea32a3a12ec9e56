"""The flip-flop language, small: an LSTM keeps the bit, and errors are counted."""

import jax
import numpy as np
import pytest

import lstm_jax as lj
from experiments import flip_flop
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.flip_flop import Config
from lstm_jax.training import loop


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("flip_flop")


def test_an_lstm_makes_no_error(record):
    assert take(record, "errors").shape == (1, 3, 2)  # cell, language, seed
    assert [check.holds for check in flip_flop.checks(record)] == [True, True]
    assert record.rows[0]["FFL(0.98)"] == "0 (0)"


def test_every_bit_is_read_and_counted(record):
    config = Config(**flip_flop.ROW.sizes["smoke"])
    pairs = config.length // 2
    reads = take(record, "bits_read")
    for ignored, found in zip(record.axes["ignored"], reads, strict=True):
        chance = (1 - ignored) / 2
        wanted = config.num_test * (1 + (pairs - 2) * chance)
        spread = np.sqrt(config.num_test * pairs * chance * (1 - chance))
        assert abs(found - wanted) < 5 * spread


@pytest.mark.slow
def test_all_bits_are_wrong_where_the_answers_are_turned():
    batch = lj.tasks.flip_flop(0.5).sample(jax.random.key(0), 8, 12)
    models = jax.vmap(
        lambda key: loop.init_model(key, lj.LSTM, 5, 2, hidden_size=3, init_options={})
    )(jax.random.split(jax.random.key(1), 2))
    test = flip_flop.tester("lstm")
    right = np.asarray(test(models, batch))
    turned = np.asarray(test(models, batch._replace(targets=1 - batch.targets)))
    np.testing.assert_array_equal(right + turned, int(batch.weights.sum()))


def test_one_error_fails_the_criterion(record):
    errors = record.arrays["errors"]
    spoilt = errors._replace(values=errors.values + 1)
    worse = record._replace(arrays={**record.arrays, "errors": spoilt})
    assert not any(check.holds for check in flip_flop.checks(worse))
    others = record._replace(axes={**record.axes, "cell": ["gru"]})
    assert flip_flop.checks(others) == []


def test_its_figure_counts_networks(record):
    figure = flip_flop.plot(record)
    assert figure.get_suptitle() == "Networks that read every bit right: 2 of 2 (lstm)"


def test_a_string_has_a_write_and_a_read():
    with pytest.raises(ConfigError, match="length: got 3"):
        Config(length=3)
