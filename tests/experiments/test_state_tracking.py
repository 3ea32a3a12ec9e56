"""Groups, small: a factor of both signs keeps parity, one in (0, 1) does not."""

import numpy as np
import pytest

from experiments import state_tracking
from experiments.common.records import take
from experiments.criteria.state_tracking import GROUPS, POSSIBLE


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("state_tracking")


def test_parity_needs_a_sign(record):
    beyond = take(record, "beyond")[:, 0, 0]
    assert record.axes["network"] == ["min_gru", "signed_min_gru"]
    assert beyond[0] < 0.7 and beyond[1] > 0.95
    assert [check.holds for check in state_tracking.checks(record)] == [True, True]


def test_a_forbidden_group_that_is_kept_fails_the_criterion(record):
    beyond = record.arrays["beyond"]
    kept = beyond._replace(values=np.ones_like(beyond.values))
    spoilt = record._replace(arrays={**record.arrays, "beyond": kept})
    forbidden, possible = state_tracking.checks(spoilt)
    assert not forbidden.holds and possible.holds
    assert forbidden.ours == "1 of 1; min_gru on Z2"


def test_its_figure_counts_groups(record):
    title = state_tracking.plot(record).get_suptitle().replace("\n", " ")
    assert title == (
        "Linear cells learn 1 of the 1 groups that theory allows, and 0 of the 1 that "
        "it forbids"
    )


def test_every_group_is_a_task_and_every_claim_is_of_a_group():
    sizes = [state_tracking.task_of(group).output_size for group in GROUPS]
    assert sizes == [2, 3, 8, 6, 6, 120]
    assert {g for groups in POSSIBLE.values() for g in groups} <= set(GROUPS)
