"""Cells from plain functions: what is taken and what is refused."""

from typing import Any

import pytest

import lstm_jax as lj


class Leak:
    """A step that can be compared and has no hash."""

    def __init__(self, rate):
        self.rate = rate

    def __eq__(self, other):
        return self.rate == other.rate

    def __call__(self, params, carry, x):
        return self.rate * carry, carry


@pytest.mark.parametrize("name", ["step", "init_carry", "init"])
def test_a_function_without_a_hash_is_refused(name):
    functions: dict[str, Any] = {
        "step": lj.RNN.step,
        "init_carry": lj.RNN.init_carry,
        name: Leak(0.5),
    }
    with pytest.raises(ValueError, match=f"^{name}: got a Leak, which has no hash;"):
        lj.from_function(**functions)
