"""What is compiled soon: options that XLA has and that its flags leave open."""

import jax
import jax.numpy as jnp

from experiments.common import compiling


def test_options_that_this_xla_lacks_are_left_out():
    name = "xla_backend_optimization_level"
    assert compiling.known([name, "xla_option_that_is_not_there"]) == [name]


def test_what_the_flags_say_stays(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    left = compiling.soon()
    assert "xla_backend_optimization_level" not in left
    monkeypatch.delenv("XLA_FLAGS")
    options = compiling.soon()
    assert options == compiling.SOON
    assert jax.jit(lambda x: 2 * x, compiler_options=options)(jnp.ones(2)).sum() == 4
