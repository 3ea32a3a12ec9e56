"""The records of small runs, made once for all tests that read them."""

import os
from functools import cache

import pytest
from filelock import FileLock
from small_decay import SMALL

from experiments import gradient_decay
from experiments.common import records, rows


@pytest.fixture(scope="session")
def decay_record():
    return gradient_decay.run(gradient_decay.Config(num_steps=4, recorder=2, **SMALL))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """Returns the record of a row at smoke size, by the name of its experiment.

    Whichever of the processes that test asks first makes it, for all of them.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    @cache
    def record_of(name):
        stored, module = folder / "smoke" / name, rows.modules()[name]
        stored.parent.mkdir(exist_ok=True)
        with FileLock(f"{stored}.lock"):
            if not records.is_in(stored):
                record = module.run(rows.config_of(module, "smoke"))
                record = rows.marked(record, module.ROW, "smoke", "this")
                records.save(record, module.plot(record), stored)
        return records.load(stored)

    return record_of
