"""Every row at smoke size: its criteria hold, and fail where the result is missing."""

import numpy as np
import pytest

from experiments.common import rows
from experiments.common.records import take

ROWS = rows.modules()


def changed(record, name, change):
    """The record, with one of its arrays changed."""
    quantity = record.arrays[name]
    values = change(quantity.values)
    return record._replace(
        arrays=record.arrays | {name: quantity._replace(values=values)}
    )


@pytest.mark.parametrize("name", ROWS)
def test_the_criteria_of_a_row_hold_at_smoke_size(smoke, name):
    row, record = ROWS[name].ROW, smoke(name)
    checks = row.checks(record)
    assert [check for check in checks if not check.holds] == []
    assert rows.verdict(row, checks) in (rows.REPRODUCED, rows.NOTHING_PUBLISHED)
    assert len({check.what for check in checks}) == len(checks)


@pytest.mark.parametrize("name", ROWS)
def test_every_size_is_a_setting_of_the_experiment(name):
    assert set(ROWS[name].ROW.sizes) == set(rows.SIZES)
    for size in rows.SIZES:
        rows.config_of(ROWS[name], size)


@pytest.mark.parametrize("name", ROWS)
def test_a_stored_record_knows_its_size_and_settings(smoke, name):
    module, stored = ROWS[name], smoke(name)
    assert rows.size_of(stored) == "smoke"
    assert rows.is_of(stored, rows.config_of(module, "smoke"))
    assert not rows.is_of(stored, rows.config_of(module, "paper"))


@pytest.mark.parametrize(
    ("name", "array", "change", "number"),
    [
        ("cliff", "walk_error", lambda error: error[::-1], 0),
        ("cliff", "saddle_node_b", lambda b: b + 1e-7, 1),
        ("cliff", "wall_gradient", lambda gradient: 1.01 * gradient, 2),
        ("cliff", "walk", lambda walk: walk[::-1], 4),
        ("latch", "trials", lambda trials: trials + float("inf"), 0),
        ("latch", "rate", lambda rate: rate[::-1], 1),
        ("latch", "margin", lambda margin: margin + 0.002, 2),
        ("latch", "critical_log_product", lambda log: 1.1 * log, 4),
        ("jacobian_laws", "bound_violated", lambda found: ~found, 0),
        ("jacobian_laws", "bounded_rate", lambda rate: -rate, 1),
        ("jacobian_laws", "closed_form_error", lambda error: error + 1e-9, 2),
        ("jacobian_laws", "long_log_norm", lambda norm: norm * (1 + 3e-6), 3),
        ("lyapunov", "gradient_rate", lambda rate: -rate, 0),
        ("lyapunov", "driven_rate", lambda rate: rate[::-1], -1),
        ("spectrum_law", "dimension", lambda share: 0.4 * share, 0),
        ("spectrum_law", "dimension", lambda share: share[:, ::-1], 2),
        ("spectrum_law", "dimension", lambda share: share[::-1], 3),
        ("spectrum_law", "large_largest", lambda nats: nats + 0.6, 4),
        ("spectrum_law", "sum_rule", lambda apart: apart + 1e-7, 5),
        ("spectrum_law", "exponent", lambda exponent: exponent + 0.3, 6),
        ("predictability", "exponent", lambda exponent: -exponent, 0),
        ("predictability", "iterations", lambda count: count + 31, 1),
        ("predictability", "iterations", lambda count: count[:, ::-1], 2),
        ("predictability", "iterations", lambda count: count[..., ::-1], 3),
        ("predictability", "forecast", lambda forecast: -forecast, 5),
        ("learning_to_forget", "accuracy", lambda right: 0.9 * right, 0),
        ("learning_to_forget", "accuracy", lambda right: right + 0.3, 1),
        ("learning_to_forget", "string_nats", lambda nats: 0.6 * nats, 2),
        ("learning_to_forget", "norm", lambda norm: norm[::-1], 3),
        ("temporal_order", "modern_accuracy", lambda right: 0.99 * right, 0),
        ("temporal_order", "accuracy", lambda right: right + 0.2, 1),
        ("long_time_lag", "solved_at", lambda at: at + float("inf"), 0),
        ("long_time_lag", "rnn_solved_at", lambda at: np.minimum(at, 1e4), 1),
        ("long_time_lag", "far_solved_at", lambda at: at + float("inf"), 2),
        ("long_time_lag", "num_weights", lambda weights: weights + 1, -1),
        ("orthogonality", "copy_test_loss", lambda loss: loss[::-1], 0),
        ("orthogonality", "copy_test_loss", lambda loss: loss[::-1], 1),
        ("orthogonality", "dimension", lambda share: share[::-1], 2),
        ("orthogonality", "fresh_z", lambda z: z + 5, 3),
        ("orthogonality", "sum_rule", lambda apart: apart + 1e-7, 4),
        ("orthogonality", "flossed_exponent", lambda exponent: exponent[:, ::-1], 5),
        ("orthogonality", "log_condition", lambda log: log[:, ::-1], 6),
        ("adding", "solved_at", lambda at: at + float("inf"), 0),
        ("adding", "num_weights", lambda weights: weights + 1, 1),
        ("adding", "test_loss", lambda loss: loss + 0.01, 2),
        ("adding", "long_test_loss", lambda loss: 0.8 * loss, 3),
        ("families", "log_share", lambda logs: -logs, 0),
        ("curse_of_memory", "variance", lambda variance: 1.1 * variance, 0),
        ("curse_of_memory", "sensitivity", lambda of: of[::-1], 2),
        ("curse_of_memory", "network_sensitivity", lambda of: of[::-1], 5),
        ("curse_of_memory", "network_sensitivity", lambda of: of[::-1], -1),
        ("selective_copying", "exact", lambda exact: exact[[1, 0, 2]], 0),
        ("selective_copying", "exact", lambda exact: exact[[0, 2, 1]], 1),
        ("selective_copying", "far_slot_accuracy", lambda of: of[..., ::-1], 2),
        ("selective_copying", "log_factor", lambda factor: factor[:, ::-1], 3),
        ("lru_ring", "growth", lambda growth: 1.05 * growth, 0),
        ("lru_ring", "growth", lambda growth: growth[:, ::-1], 1),
        ("lru_ring", "loss", lambda loss: loss[::-1], 2),
    ],
)
def test_a_criterion_fails_of_a_record_that_lacks_it(
    smoke, name, array, change, number
):
    row = ROWS[name].ROW
    checks = row.checks(changed(smoke(name), array, change))
    assert not checks[number].holds
    assert rows.verdict(row, checks) in (rows.PARTLY, rows.NOT)
    assert rows.verdict(row, [checks[number]._replace(published="1")]) == rows.NOT


def test_signs_alone_are_asked_of_small_nets(smoke):
    record = smoke("lyapunov")
    large = record._replace(config=record.config | {"hidden_size": 256})
    off = changed(large, "gradient_rate", lambda rate: rate + 0.1)
    assert take(record, "gradient_rate", gain=3.0).mean() > 0
    assert not ROWS["lyapunov"].ROW.checks(off)[0].holds
