"""The bias of the forget gate, small: exact time constants, and who learns first."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from experiments import gate_bias
from experiments.common.records import take
from experiments.criteria.gate_bias import checks


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("gate_bias")


def test_a_gate_without_weights_keeps_what_is_printed(record):
    # SCIENCE's digits of σ(1)^100, σ(5)^100; 1 + e and 1 + e^5; 1/e from below.
    assert_allclose(take(record, "share")[[1, 4]], [2.484e-14, 0.5109], rtol=3e-4)
    assert_allclose(take(record, "horizon")[[1, 4]], [3.7183, 149.4], rtol=1e-4)
    spans = [0.348678, 0.366032, 0.367511, 0.367695]
    assert_allclose(take(record, "chrono_share")[:4], spans, atol=6e-7)
    means = [0.99377, 0.95107, 0.72354, 0.32699, 0.14861, 0.03754]
    assert_allclose(take(record, "population_share"), means, atol=6e-6)


@pytest.mark.slow
def test_a_share_is_the_derivative_of_the_memory():
    with jax.enable_x64(True):
        found = gate_bias.shares([0.0, 1.0], [1, 3])
    assert_allclose(found, [[0.5, 0.731059], [0.125, 0.390716]], rtol=1e-4)


def with_updates(record, slow, fast):
    quantity = record.arrays["updates"]
    updates = quantity._replace(values=np.array([[slow, fast]]))
    axes = {**record.axes, "seed": list(range(len(slow)))}
    config = record.config | {"length": 110, "num_seeds": len(slow)}
    arrays = record.arrays | {"updates": updates}
    return record._replace(arrays=arrays, axes=axes, config=config)


@pytest.mark.parametrize(
    ("slow", "fast", "holds"),
    [
        ([3, 3, 3, 9, 1], [1, 1, 1, 9, 0], True),
        ([1.2] * 5, [1] * 5, False),
        ([9] * 5, [1] * 5, False),
        ([np.inf] * 5, [1] * 5, False),
        ([3] * 5, [np.inf] * 5, False),
    ],
)
def test_the_ratio_of_medians_lies_between_two_limits(record, slow, fast, holds):
    assert checks(with_updates(record, slow, fast))[0].holds == holds


def test_a_time_constant_that_is_off_in_the_eleventh_digit_fails(record):
    horizon = record.arrays["horizon"]
    off = horizon._replace(values=horizon.values * (1 + 1e-11))
    found = checks(record._replace(arrays=record.arrays | {"horizon": off}))
    assert [check.holds for check in found] == [True, True, False, True, True]


def test_chrono_starts_beside_the_standard_one():
    config = gate_bias.Config(copy_seeds=2, copy_units=3, copy_lag=20)
    options = gate_bias.starts(config)
    assert_allclose(options["forget_bias"][:2], 1)
    assert_allclose(options["input_bias"][2:], -options["forget_bias"][2:])
    assert (options["forget_bias"][2:] <= np.log(29)).all()


def test_its_figure_names_the_cost(record):
    assert "A forget bias of 1 takes" in gate_bias.plot(record).get_suptitle()
