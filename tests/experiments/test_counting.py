"""Counting, small: how far is read off right strings, and the counter is exact."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from experiments import counting
from experiments.common.records import take
from experiments.counting import METHODS
from experiments.criteria.counting import checks

N = 10


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("counting")


def spoilt(record, reach, **axes):
    """The record as if five networks of ten shown had reached this."""
    quantity = record.arrays["reach"]
    names = {**record.axes, "seed": list(range(5)), **axes}
    values = np.array(reach).reshape(len(names["method"]), 1, -1, 5)
    arrays = record.arrays | {"reach": quantity._replace(values=values)}
    config = record.config | {"largest_n": N}
    return record._replace(arrays=arrays, axes=names, config=config)


def test_a_peephole_lstm_counts_beyond_what_it_was_shown(record):
    assert take(record, "reach").shape == (1, 1, 1, 2)  # method, ..., seed
    assert (take(record, "reach") > record.config["largest_n"]).all()
    assert take(record, "counter_reach") == record.config["counter_n"]


def test_the_first_wrong_string_ends_the_count():
    right = [[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1]]
    assert counting.reach(right).tolist() == [2, 0, 4]


def test_a_counter_that_forgets_is_wrong():
    model = counting.counter()
    forgets = model.cell._replace(
        b=model.cell.b.at[3].set(1.0)
    )  # f = .73 for the count
    assert not counting.counter_right(30, model._replace(cell=forgets)).all()


def test_criteria_of_a_record(record):
    cells = ["peephole_lstm", "gru"]
    two = spoilt(record, [[30, 31, 40, 65, 100], [5, 6, 7, 8, 9]], cell=cells)
    assert [check.holds for check in checks(two)] == [True, True, True]
    one_short = spoilt(record, [[29, 31, 40, 65, 100], [50, 50, 50, 8, 9]], cell=cells)
    assert [check.holds for check in checks(one_short)] == [False, False, True]
    others = spoilt(record, [[30] * 5], cell=["lstm"])
    assert len(checks(others)) == 1
    csl = spoilt(record, [[15, 15, 20, 30, 3]], language=["anbncn"])
    assert checks(csl)[0].holds


def test_the_first_training_is_judged(record):
    two = spoilt(record, [[30] * 5, [5] * 5], method=["momentum", "Adam"])
    assert checks(two)[0].holds
    assert "counts to 30" in " ".join(counting.plot(two).get_suptitle().split())
    turned = spoilt(record, [[5] * 5, [30] * 5], method=["Adam", "momentum"])
    assert not checks(turned)[0].holds


def test_all_weights_start_small_the_readouts_too():
    recipe = counting.recipe_of(counting.Config(), "Adam", "anbn", "peephole_lstm")
    begin = jax.vmap(partial(counting.begun, recipe))
    cell, readout = begin(jax.random.split(jax.random.key(0), 100)).params
    for weights in (cell.w_ih, cell.w_hh, cell.p, readout.w):
        assert_allclose(np.std(weights), 0.1, rtol=0.1)
    assert not readout.b.any()


def test_what_a_training_takes_from_its_language():
    config = counting.Config()
    steps = {
        (method, language): counting.training_of(config, method, language).num_steps
        for method in METHODS
        for language in counting.LANGUAGES
    }
    assert [*steps.values()] == [100_000, 100_000, 4000, 8000]
    biases = [counting.training_of(config, of, "anbn").forget_bias for of in METHODS]
    assert biases == [0, 1]  # momentum, Adam
    weight, moved = jnp.ones(()), []
    for language in counting.LANGUAGES:
        optimizer = counting.training_of(config, "momentum", language).optimizer
        _, state = optimizer.update(0.5 * weight, optimizer.init(weight))
        step, _ = optimizer.update(0.5 * weight, state)  # r (g + .99 g), not clipped
        moved.append(step)
    assert_allclose(moved, [-1e-3 * 0.5 * 1.99, -2e-3 * 0.5 * 1.99], rtol=1e-6)


def test_its_figure_says_how_far(record):
    assert "peephole_lstm counts to" in counting.plot(record).get_suptitle()
