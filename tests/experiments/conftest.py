"""The records of small runs, made once for all tests that read them."""

from functools import cache

import pytest
from small_decay import SMALL

from experiments import gradient_decay
from experiments.common import rows


@pytest.fixture(scope="session")
def decay_record():
    return gradient_decay.run(gradient_decay.Config(num_steps=4, recorder=2, **SMALL))


@pytest.fixture(scope="session")
def smoke():
    """Returns the record of a row at smoke size, by the name of its experiment."""

    @cache
    def record_of(name):
        module = rows.modules()[name]
        record = module.run(rows.config_of(module, "smoke"))
        return rows.marked(record, module.ROW, "smoke", "this")

    return record_of
