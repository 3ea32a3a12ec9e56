"""Every public function has an example in its docstring; `./scripts/docs` runs them."""

import inspect

import pytest

from scripts import docs

# Public functions that have none yet. This list may only get shorter.
WITHOUT: tuple[str, ...] = ()

FUNCTIONS = {
    name: value
    for name, value in docs.public_names().items()
    if inspect.isroutine(inspect.unwrap(value))
}


def test_the_functions_are_found():
    assert {"lstm_jax.unroll", "lstm_jax.rnn", "lstm_jax.theory.tanh_rate"} <= {
        *FUNCTIONS
    }
    assert {*WITHOUT} <= {*FUNCTIONS}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_has_an_example(name):
    text = inspect.getdoc(FUNCTIONS[name]) or ""
    assert ("Example:\n  >>> " in text) != (name in WITHOUT)
