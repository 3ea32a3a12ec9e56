"""The records of small runs, made once for all tests that read them."""

import os
from functools import partial

import pytest
from filelock import FileLock
from matplotlib.figure import Figure
from small_decay import SMALL

from experiments import gradient_decay
from experiments.common import records, rows


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Returns a record by its name, which `make()` makes, and `plot` draws.

    Whichever of the processes that test asks first makes it, for all of them. Its
    figure is laid out, but is not stored: to draw it in two formats takes seconds.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    loaded = {}

    def record_of(name, make, plot):
        stored = folder / "records" / name
        stored.parent.mkdir(exist_ok=True)
        with FileLock(f"{stored}.lock"):
            if not records.is_in(stored):
                record = make()
                plot(record).draw_without_rendering()
                records.save(record, Figure(), stored)
        if name not in loaded:
            loaded[name] = records.load(stored)
        return loaded[name]

    return record_of


@pytest.fixture(scope="session")
def decay_record(made_once):
    config = gradient_decay.Config(num_steps=4, recorder=2, **SMALL)
    make = partial(gradient_decay.run, config)
    return made_once("small_decay", make, gradient_decay.plot)


@pytest.fixture(scope="session")
def smoke(made_once):
    """Returns the record of a row at smoke size, by the name of its experiment."""

    def made(module):
        record = module.run(rows.config_of(module, "smoke"))
        return rows.marked(record, module.ROW, "smoke", "this")

    def record_of(name):
        module = rows.modules()[name]
        return made_once(name, partial(made, module), module.plot)

    return record_of
