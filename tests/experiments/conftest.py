"""The record of a small run, made once for all tests that read it."""

import pytest
from small_decay import SMALL

from experiments import gradient_decay


@pytest.fixture(scope="session")
def decay_record():
    return gradient_decay.run(gradient_decay.Config(num_steps=4, recorder=2, **SMALL))
