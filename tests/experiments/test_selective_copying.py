"""Selective copying, small: what is kept, who is compared, and what fails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from experiments import selective_copying
from experiments.common.cli import ConfigError
from experiments.common.memoryless import DENSE, EMBEDDING
from experiments.common.records import take
from experiments.criteria.selective_copying import PUBLISHED_SLOTS, checks
from experiments.selective_copying import MIN_GRU, Config

NUM_SYMBOLS = selective_copying.NUM_SYMBOLS


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("selective_copying")


def whole(record, exact, slots=PUBLISHED_SLOTS):
    """The record as if nets of full size had got this right: by network, by slot."""
    exact = np.array(exact, float)[:, None]
    slots = np.array(slots, float)[None, None]
    arrays = record.arrays
    changed = {
        "exact": arrays["exact"]._replace(values=exact),
        "far_slot_accuracy": arrays["far_slot_accuracy"]._replace(values=slots),
    }
    config = record.config | {"num_weights": 60_000}
    return record._replace(arrays=arrays | changed, config=config)


def held(record):
    return [check.holds for check in checks(record)]


def test_each_network_and_slot_is_tested(record):
    assert take(record, "slot_accuracy").shape == (3, 1, 4)  # network, seed, slot
    assert take(record, "far_slot_accuracy").shape == (1, 1, 4)
    assert (take(record, "exact") <= take(record, "slot_accuracy").min(-1)).all()
    weights = take(record, "num_weights")
    assert ((weights > 0.9 * 6000) & (weights <= 6000)).all()


def test_later_slots_are_kept_by_a_shorter_path(record):
    for name in ("log_kept", "typical_log_kept"):
        assert (np.diff(take(record, name), axis=1) > 0).all()
    # A mean of squares is never below their geometric mean.
    assert (take(record, "log_kept") >= take(record, "typical_log_kept")).all()


@pytest.mark.slow
def test_what_is_kept_is_the_product_of_the_factors_after_a_write():
    cell = lj.stack(EMBEDDING, MIN_GRU, DENSE)
    params = cell.init(jax.random.key(0), NUM_SYMBOLS + 2, 3)
    with jax.enable_x64(True):
        shown = jnp.array([8, 2, 8, 5, 1, 8, 9, 9, 9])  # 8: blank, 9: marker
        xs = jax.nn.one_hot(shown, NUM_SYMBOLS + 2, dtype=jnp.float64)[:, None]
        params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float64), params)
        # The embedding tells writes from the rest; the gate reads that alone.
        embed = params[0].w.at[:NUM_SYMBOLS, 0].set(1.0)
        gate = params[1].w_ih.at[0, :3].set(2.0)
        bias = params[1].b.at[:3].set(np.array([-3.0, -2.0, -1.0]))
        layers = (
            params[0]._replace(w=embed),
            params[1]._replace(w_ih=gate, b=bias),
            params[2],
        )
        kept, typical, factors = selective_copying.kept(layers, xs=xs, items=3)
    blank = -np.log1p(np.exp([-3.0, -2.0, -1.0]))
    write = -np.log1p(np.exp([-1.0, 0.0, 1.0]))
    after = np.stack([2 * blank + 2 * write, blank + write, blank])
    assert_allclose(typical, after.mean(1), rtol=1e-12)
    assert_allclose(kept, np.log(np.exp(2 * after).mean(1)) / 2, rtol=1e-12)
    assert_allclose(factors, [blank.mean(), write.mean()], rtol=1e-12)


def test_a_network_has_as_many_units_as_its_weights_allow():
    task = lj.tasks.selective_copy(8, 4)
    for network in selective_copying.NETWORKS.values():
        cell = selective_copying.cell_of(network)
        units = selective_copying.units_of(cell, task, 5000)
        fits, not_more = (
            selective_copying.number_of(cell, task, units + more) for more in (0, 1)
        )
        assert fits <= 5000 < not_more


def test_a_network_counts_its_weights():
    # Embedding 10 H + H, minGRU 2 H² + 2 H, dense H² + H, readout 8 H + 8.
    network = selective_copying.NETWORKS["min_gru"]
    cell, task = selective_copying.cell_of(network), lj.tasks.selective_copy(8, 4)
    assert selective_copying.number_of(cell, task, 7) == 3 * 7**2 + 22 * 7 + 8


def test_the_published_numbers_hold(record):
    assert held(whole(record, [1.0, 0.389, 0.821])) == [True, True, True, True]


def test_criteria_fail_of_a_record_that_lacks_them(record):
    assert held(whole(record, [1.0, 0.71, 0.9]))[:2] == [False, True]
    assert held(whole(record, [1.0, 0.4, 0.69]))[:2] == [True, False]
    assert not held(whole(record, [1, 0, 1], [0.51, *PUBLISHED_SLOTS[1:]]))[2]
    assert not held(whole(record, [1, 0, 1], [*PUBLISHED_SLOTS[:6], 0.84, 1.0]))[2]
    factor = record.arrays["log_factor"]
    turned = factor._replace(values=factor.values[:, ::-1])
    assert not held(record._replace(arrays=record.arrays | {"log_factor": turned}))[3]


def test_its_figure_says_who_copies(record):
    title = selective_copying.plot(record).get_suptitle().replace("\n", " ")
    assert title.startswith("4 symbols of 14 steps copied in order by one layer: GRU")


def test_a_task_has_older_slots_than_the_last_two():
    with pytest.raises(ConfigError, match="far_items: got 2"):
        Config(far_items=2)
