"""Long time lags, small: the nets of 1997 to the letter, and memories added late."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from experiments import long_time_lag
from experiments.common import online
from experiments.common.records import take
from experiments.criteria.long_time_lag import learned_after
from lstm_jax.readouts import LinearParams
from lstm_jax.training import loop
from lstm_jax.training.runs import Recipe

KEYS = jax.random.split(jax.random.key(0), 2)


def test_the_nets_of_1997_have_the_papers_weights():
    for nets, weights in (
        (long_time_lag.nets_of_2a(KEYS, 100), 10_504),
        (long_time_lag.nets_of_2c(KEYS, 50), 364),
        (long_time_lag.nets_of_2c(KEYS, 200), 1264),
    ):
        assert online.num_weights(nets) == weights
        leaves = jax.tree.leaves(nets)
        assert max(float(jnp.abs(leaf).max()) for leaf in leaves if leaf.size) <= 0.2


def test_a_gate_that_begins_shut_has_lower_weights():
    nets = [
        long_time_lag.nets_of_2a(KEYS, 4, gate) for gate in (0.0, long_time_lag.SHUT)
    ]
    lower = nets[1].cell.w_ih - nets[0].cell.w_ih
    np.testing.assert_allclose(lower[..., 0], -3, rtol=1e-6)
    np.testing.assert_array_equal(lower[..., 1], 0)


def test_a_memory_that_is_not_yet_added_neither_acts_nor_learns():
    lag, nets = 4, long_time_lag.nets_of_2a(KEYS, 4)
    recipe = Recipe(
        long_time_lag.MEMORY,
        lj.tasks.long_time_lag_2a(lag, units="logistic"),
        lambda grown: long_time_lag.step_of_2a(1.0, lag, grown),
        hidden_size=1,
        batch_size=1,
        length=lag,
        stop_after=100,
    )
    told = []
    tell = lambda count, solved: told.append(count)
    learned = online.train(nets, recipe, KEYS, most=100, tell=tell, memories=1)
    assert told == [100] and np.isinf(learned.grown_at).all()
    np.testing.assert_array_equal(learned.params.readout.w[:, 0], 0)
    np.testing.assert_array_equal(learned.params.cell.w_ih, nets.cell.w_ih)
    assert (learned.params.readout.w[:, 1:] != nets.readout.w[:, 1:]).any()


def test_a_step_of_2a_is_on_the_error_summed_over_steps():
    no_biases: Any = None
    bare = LinearParams(w=jnp.ones((3, 1)), b=no_biases)
    readout: Any = loop.ModelParams((), bare)
    step = long_time_lag.step_of_2a(0.5, 100, 1.0)
    update: Any = step.update(readout, step.init(readout))[0]
    np.testing.assert_allclose(update.readout.w, -0.5 * 100 / 2)
    late = online.growing(optax.sgd(1.0), 1, 0.0)
    update = late.update(readout, late.init(readout))[0]
    np.testing.assert_array_equal(update.readout.w[:, 0], [0, -1, -1])


def test_memories_are_added_and_then_used(smoke):
    record = smoke("long_time_lag")
    grown, after = take(record, "grown_at", task="2a"), learned_after(record, task="2a")
    assert (grown % online.WATCHED == 0).all() and (grown < after).all()


def test_its_figure_counts_nets(smoke):
    title = long_time_lag.plot(smoke("long_time_lag")).get_suptitle()
    assert title.startswith("Nets that learned: 2a 2/2, 2a by RNNs 0/2")
