"""Temporal order: where the symbols lie."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tasks.batches import MANY, jitted_sampler

import lstm_jax as lj


def assert_close_share(count, trials, probability):
    """Within five standard errors: a right program fails once in a million."""
    error = np.sqrt(probability * (1 - probability) / trials)
    assert abs(count / trials - probability) < 5 * error


def test_symbols_of_temporal_order_lie_where_the_paper_puts_them():
    sample = jax.jit(lj.TASKS["temporal_order_3"].sample, static_argnums=(1, 2))
    shown = np.argmax(sample(jax.random.key(0), 2_000, 110).inputs, -1)
    where = np.array([np.flatnonzero(sequence >= 6) for sequence in shown.T])
    assert_array_equal(where.min(0), [10, 33, 66])
    assert_array_equal(where.max(0), [20, 43, 76])


@pytest.mark.parametrize(
    ("length", "first", "second"),
    [(10, [1, 1], [5, 5]), (50, [5, 9], [25, 29]), (59, [5, 9], [29, 33])],
)
def test_symbols_lie_where_the_code_of_pascanu_puts_them(length, first, second):
    sample = jitted_sampler("temporal_order_pascanu")
    batch = sample(jax.random.key(0), MANY, 60, length)
    assert np.all(batch.lengths == length)
    shown = np.argmax(batch.inputs[:length], -1)
    where = np.array([np.flatnonzero(sequence < 2) for sequence in shown.T])
    assert_array_equal(where.min(0), [first[0], second[0]])
    assert_array_equal(where.max(0), [first[1], second[1]])
    for symbol in range(2, 6):
        share = (length - 2) / length / 4
        assert_close_share(np.sum(shown == symbol), shown.size, share)
