"""Adding, small: the net of 1997 to the letter, and plateaus read off a curve."""

import jax
import numpy as np
import pytest

import lstm_jax as lj
from experiments import adding
from experiments.adding import Config
from experiments.common import online, two_blocks
from experiments.common.cli import ConfigError
from experiments.criteria.adding import stays


def test_the_net_of_1997_is_the_papers():
    task = adding.TASKS_OF_1997["logistic"]
    keys = jax.random.split(jax.random.key(0), 3)
    nets = two_blocks.nets(keys, task, adding.INPUT_BIASES)
    assert online.num_weights(nets) == 93
    gates = np.asarray(nets.cell.b[:, :2])
    np.testing.assert_array_equal(gates, np.tile(adding.INPUT_BIASES, (3, 1)))
    drawn = [nets.cell.w_ih, nets.cell.w_hh, nets.readout.w]
    assert all(0.05 < np.abs(w).max() <= 0.1 for w in drawn)
    assert two_blocks.CELL is lj.cells.lstm97(2, truncated=True)


def test_a_step_of_1997_is_on_half_the_squared_error():
    steps = online.sgd(0.5)
    gradient = jax.grad(lambda output: (output - 1.0) ** 2)(3.0)
    update, _ = steps.update(gradient, steps.init(0.0))
    assert update == -0.5 * (3.0 - 1.0)


def test_stays_on_plateaus_are_read_off_the_curve():
    curve = np.repeat([0.17, 0.08, 0.01], [30, 20, 10])
    never = np.full(60, 0.17)
    found = stays(np.stack([curve, never]), 1 / 6, 1 / 12, window=1)
    np.testing.assert_array_equal(found.none_known, [31, np.inf])
    np.testing.assert_array_equal(found.one_known, [20, np.inf])


def test_criteria_are_of_what_was_trained(smoke):
    record = smoke("adding")
    assert [len(record.axes[name]) for name in ("output", "cell")] == [1, 1]
    assert len(adding.checks(record)) == 4
    untrained = record._replace(axes={**record.axes, "cell": ["gru"]})
    assert len(adding.checks(untrained)) == 3


def test_its_figure_counts_what_was_solved(smoke):
    title = adding.plot(smoke("adding")).get_suptitle().replace("\n", " ")
    assert "2 of 2 nets of 1997 with a linear output" in title
    assert "1 of 1 LSTMs by Adam" in title


def test_a_lag_too_short_is_refused():
    with pytest.raises(ConfigError, match="lag: got 5"):
        Config(lag=5)
