"""The networks of the page: trained, read from a run, and refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import train
from experiments.common.cli import ConfigError
from experiments.common.variants import TAUGHT
from experiments.page import Config, page, run
from experiments.train import saved_run
from experiments.train.config import identity
from lstm_jax.training import checkpoints
from lstm_jax.training.loop import begin_training

LENGTH = 3
SMALL = {"hidden_size": 3, "num_seeds": 2, "num_steps": 1, "batch_size": 2}


def save_run(folder, **fields):
    """Writes what experiments.train would, with drawn weights; returns the folder."""
    given = {"task": "nature_show", "hidden_size": 4, "length": LENGTH}
    config = train.Config(**given | fields)
    random = np.random.default_rng(0)
    seeds = (config.num_seeds,) * (config.num_seeds > 1)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(random.normal(size=seeds + leaf.shape), jnp.float32),
        saved_run.zeros_like(config),
    )
    checkpoints.save(
        folder / "checkpoints",
        2,
        begin_training(jax.random.key(0), params, optax.identity()),
        config=identity(config),
        history={"step": np.arange(2)},
    )
    return str(folder)


@pytest.mark.slow
def test_a_run_takes_the_place_of_its_cell_beside_trained_networks(tmp_path):
    path = save_run(tmp_path / "mine")
    found = run(Config(checkpoint=path, lag=LENGTH - 2, **SMALL))
    assert tuple(found.cells) == TAUGHT
    lstm, rnn = found.cells["lstm"], found.cells["rnn"]
    saved = saved_run.read_run(path, None)
    assert jax.tree.all(jax.tree.map(np.array_equal, lstm.trained, saved.params))
    assert lstm.about == f"mine, lag {LENGTH - 2}, updates: 2"
    began = saved_run.untrained(saved)
    assert jax.tree.all(jax.tree.map(np.array_equal, lstm.initial, began))
    assert rnn.about == "lag 1, updates: 1; the best of 2"
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), rnn.initial, rnn.trained)
    assert 0 < max(jax.tree.leaves(moved)) < 0.1
    assert all(0 <= network.accuracy <= 1 for network in found.cells.values())
    assert "mine, lag 1" in page(found)


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"task": "adding"}, "got a run on adding; it must be one on nature_show"),
        ({"cell": "gru"}, "of the cell gru; it must be one of rnn, lstm, four_gate"),
        ({"hidden_size": 33}, "got a run of 33 units; it must be one of at most 32"),
        ({"num_seeds": 2}, "of_seed: got None; it must be one of 0, 1"),
    ],
)
def test_a_run_that_the_page_cannot_show_is_refused(tmp_path, fields, needs):
    with pytest.raises(ConfigError, match=needs) as caught:
        run(Config(checkpoint=save_run(tmp_path, **fields)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("", "holds no checkpoint; it must be the --out of experiments.train"),
        ("nothing", "No such file.*; it must be the --out of experiments.train"),
    ],
)
def test_a_folder_without_a_checkpoint_is_refused(tmp_path, name, needs):
    with pytest.raises(ConfigError, match=f"^checkpoint: .*{needs}"):
        run(Config(checkpoint=str(tmp_path / name)))


def test_a_seed_needs_a_checkpoint():
    with pytest.raises(ConfigError, match="of_seed: got 1; it must not be given"):
        Config(of_seed=1)
