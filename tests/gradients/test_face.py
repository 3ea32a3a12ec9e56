"""The names of lstm_jax.gradients."""

import lstm_jax as lj
from lstm_jax import gradients


def test_the_laboratory_has_the_names_that_the_library_has():
    names = {
        name
        for name, value in vars(lj).items()
        if getattr(value, "__module__", "").startswith("lstm_jax.gradients.")
    }
    assert {"decay_rate", "carry_gradients", "lyapunov_exponents"} <= names
    assert {"by_lag", "recorder", "influence"} <= {*dir(gradients)}
    assert all(getattr(gradients, name) is getattr(lj, name) for name in names)
    assert lj.gradients is gradients
