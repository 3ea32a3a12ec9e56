"""The curse of memory, small: simulations beside closed forms, and the powers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from experiments import curse_of_memory
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.curse_of_memory import Config


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("curse_of_memory")


def test_variances_are_those_of_the_closed_forms(record):
    exact = curse_of_memory.laws(record.axes["decay"], record.axes["correlation"])
    assert_allclose(exact[:, 0, 0], [5.26316, 263.887], rtol=1e-5)
    assert_allclose(exact[:, 0, 1], [13.8756, 778.117], rtol=1e-5)
    assert_allclose(take(record, "variance").mean(-1), exact[0], rtol=0.05)
    assert_allclose(take(record, "sensitivity")[..., 0].mean(-1), exact[1], rtol=0.1)


def test_the_power_is_three_and_another_parameter_makes_it_one_or_none(record):
    squares = take(record, "sensitivity", correlation=0.0)
    found = curse_of_memory.powers(record.axes["decay"], squares)
    assert found.shape == (4, 3)  # seed, parameter
    assert_allclose(found.mean(0), [3, 1, 0], atol=0.15)
    assert all(check.holds for check in curse_of_memory.checks(record))


def test_networks_are_as_sensitive_as_derived(record):
    squares = take(record, "network_sensitivity")
    found = [curse_of_memory.powers(record.axes["decay"], of) for of in squares]
    assert_allclose(np.mean(found, -1), [3, -1], atol=0.2)  # orthogonal, min_gru


def test_a_power_is_that_of_the_longer_half_of_the_memories():
    memory = np.array([2.0, 100, 3, 50])
    values = np.where(memory > 9, memory**2.5, 7)[:, None]
    assert_allclose(curse_of_memory.powers([*(1 - 1 / memory)], values), [2.5])


def test_derivatives_are_those_of_the_explicit_sums(x64):
    decay, xs = jnp.float64(0.7), jax.random.normal(jax.random.key(0), (5, 1))
    h, (by_decay, by_nu, normalised) = curse_of_memory.by_parameter(decay, xs)
    x = np.asarray(xs)[::-1, 0]  # x_T, x_{T-1}, ...
    k = np.arange(5)
    assert_allclose(h[-1], np.sum(0.7**k * x))
    wanted = np.sum(k[1:] * 0.7 ** (k[1:] - 1) * x[1:])
    assert_allclose(by_decay[-1], wanted)
    chain = 0.7 * np.log(0.7)
    assert_allclose(by_nu[-1], chain * wanted)
    factor = np.sqrt(1 - 0.7**2)
    assert_allclose(
        normalised[-1], chain * (factor * wanted - 0.7 / factor * np.asarray(h)[-1])
    )


def test_inputs_have_their_correlation(x64):
    xs = curse_of_memory.inputs(jax.random.key(0), 0.8, 20_000)[:, 0]
    assert_allclose(jnp.mean(xs**2), 1, atol=0.1)
    assert_allclose(jnp.mean(xs[3:] * xs[:-3]), 0.8**3, atol=0.1)


def test_its_figure_states_how_sensitive_it_gets(record):
    figure = curse_of_memory.plot(record)
    assert len(figure.axes) == 3
    assert "minGRU by b" in [text.get_text() for text in figure.axes[2].texts]
    assert "without any exploding" in figure.get_suptitle().replace("\n", " ")


def test_a_unit_that_keeps_everything_is_refused():
    with pytest.raises(ConfigError, match=r"decays: got \(1.0,\)"):
        Config(decays=(1.0,))
