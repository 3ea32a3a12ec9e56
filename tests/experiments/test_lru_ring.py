"""An LRU's ring, small: what γ is for, in the state and in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from experiments import lru_ring
from experiments.common.records import take
from experiments.criteria.lru_ring import RINGS, WINDOWS, checks
from experiments.lru_ring import LRU, NETWORKS, Config


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("lru_ring")


def test_states_grow_as_their_ring_says_and_not_with_gamma(record):
    without, having = take(record, "growth")[0].mean(-1)
    assert_allclose(without, lj.theory.lru_ring_variance(0, 0.9), rtol=0.03)
    assert_allclose(having, 1, rtol=0.03)


def test_gamma_is_that_of_the_library_or_one_and_is_not_learnt(x64):
    def start(with_gamma):
        return LRU.init(
            jax.random.key(0), 1, 3, r_min=0.9, with_gamma=with_gamma, dtype=jnp.float64
        )

    def loss(params):
        return lj.unroll(LRU, params, jnp.ones((5, 1)))[1].sum()

    normal, plain = start(1.0), start(0.0)
    radii = np.exp(-np.exp(normal.nu_log))
    assert_allclose(np.exp(normal.gamma_log), lj.theory.lru_normaliser(radii))
    assert_allclose(np.exp(plain.gamma_log), 1)
    expected = lj.unroll(lj.cells.LRU, normal, jnp.ones((5, 1)))[1].sum()
    assert_allclose(loss(normal), expected, rtol=1e-12)
    gradient = jax.grad(loss)(normal)
    assert (gradient.gamma_log == 0).all() and (gradient.nu_log != 0).all()


def test_the_steps_before_the_slowest_number_has_forgotten():
    config = Config(memories=5)
    assert [lru_ring.steps_of(config, ring) for ring in RINGS] == [50, 500, 5000]


def test_each_network_is_trained_at_each_rate(record):
    assert take(record, "loss").shape == (2, 1, 1, WINDOWS)  # network, rate, seed
    # Their tables have no disk with γ.
    assert set(NETWORKS) - set(lru_ring.PUBLISHED) == {"disk_gamma"}


def test_the_largest_rate_decides(record):
    loss = record.arrays["loss"]
    two_rates = np.concatenate([loss.values, loss.values[::-1]], axis=1)
    axes = {**record.axes, "rate": [1e-3, 1e-1]}
    arrays = {**record.arrays, "loss": loss._replace(values=two_rates)}
    told = checks(record._replace(axes=axes, arrays=arrays))[-1]
    assert not told.holds
    assert told.ours.startswith("0 of 1") and told.ours.endswith("at 0.1; 1 at 0.001")
    axes["rate"] = [1e-1, 1e-3]
    assert checks(record._replace(axes=axes, arrays=arrays))[-1].holds


def test_its_figure_says_how_much_a_memory_grows(record):
    title = lru_ring.plot(record).get_suptitle().replace("\n", " ")
    without, having = take(record, "growth")[-1].mean(-1)
    told = f"at {having:.2f} times its input's, not {without:.3g}"
    assert title == f"γ keeps E|h|² {told}; it helps 1 of 1 seeds at rates 0.1"
