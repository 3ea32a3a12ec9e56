"""Nets with and without forget gates: their counts, and tests once frozen."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from experiments.common import forget_net, online_comparison
from experiments.common.online_streams import Setting
from lstm_jax.tasks import CONTINUAL_EMBEDDED_REBER
from lstm_jax.tasks.embedded_reber import CONTINUAL, is_outer, symbols_of
from lstm_jax.tasks.grammar import legal_next, states_after

SETTING = Setting(num_symbols=300, most_symbols=20, reading="within")
KINDS = ("nfg", "nfg_resets")


def compared(seed):
    told = []
    found = online_comparison.compare(
        KINDS,
        SETTING,
        seed=seed,
        num_nets=2,
        test_shape=(4, 30),
        advance=lambda what, symbols: told.append(symbols),
    )
    return {name: of.values for name, of in found.items()}, told


def test_every_symbol_is_counted_and_every_quantity_has_its_axes():
    found, told = compared(seed=0)
    assert sum(told) == len(KINDS) * SETTING.num_symbols
    assert_array_equal(found["perfect_at"], np.inf)
    assert_array_equal(found["streams"] > 5, True)
    assert_array_equal(found["symbols"], 300)
    assert found["outer"].shape == found["no_fault"].shape == (2, 2)
    assert found["state_norm"].shape == (2, 30)
    late = np.log(found["late_norm"]).mean(1)  # of a mean, not the mean of logarithms
    assert_allclose(late, np.log(found["state_norm"])[:, 15:].mean(1), rtol=0.2)
    again, _ = compared(seed=0)
    other, _ = compared(seed=1)
    assert_array_equal(again["state_norm"], found["state_norm"])
    assert (other["state_norm"] != found["state_norm"]).all()


def test_a_net_that_says_one_symbol_is_scored_so():
    """Without states, and T whatever is shown: right where T repeats."""
    outputs = jnp.zeros((1, 16, 7)).at[:, -1, 1].set(1)
    nets = forget_net.Weights(jnp.zeros((1, 16, 20)), outputs)
    key, shape = jax.random.key(1), (4, 30)
    tested = online_comparison.test(nets, key, shape, False, "most_active")
    batch = jax.jit(CONTINUAL_EMBEDDED_REBER.sample, static_argnums=(1, 2))(key, *shape)
    outer = is_outer(batch)
    wanted = ((batch.targets == 1) & outer).sum() / outer.sum()
    assert_allclose(tested.accuracy, wanted[None], rtol=1e-6)
    assert_array_equal(tested.faultless, 0)  # after B may come P
    assert_array_equal(tested.norm, 0)


def test_with_resets_every_string_begins_as_the_stream_did():
    nets = jax.vmap(forget_net.init)(jax.random.split(jax.random.key(2), 1))
    key, shape = jax.random.key(3), (1, 60)
    batch = jax.jit(CONTINUAL_EMBEDDED_REBER.sample, static_argnums=(1, 2))(key, *shape)
    at = np.flatnonzero(states_after(CONTINUAL, symbols_of(batch))[:, 0] == 1)
    assert len(at) > 3
    goes_on, emptied = (
        online_comparison.test(nets, key, shape, resets, "within").norm[0, at]
        for resets in (False, True)
    )
    assert_allclose(emptied, emptied[0], rtol=1e-5)
    assert (goes_on[1:] > 1.5 * goes_on[0]).all()


def test_with_resets_the_end_of_a_string_is_not_asked():
    key, shape = jax.random.key(3), (2, 60)
    batch = jax.jit(CONTINUAL_EMBEDDED_REBER.sample, static_argnums=(1, 2))(key, *shape)
    symbols = symbols_of(batch)
    ends = states_after(CONTINUAL, symbols) == 0
    right = legal_next(CONTINUAL, symbols) & ~ends[..., None]
    outputs = right.astype(jnp.float32)
    of = lambda resets: online_comparison.faults("within", outputs, symbols, resets)
    assert not of(True).any()
    assert_array_equal(of(False), ends)
