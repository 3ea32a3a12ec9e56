"""--num_layers, --bidirectional and --dropout: a run of the library's own cells."""

from typing import Any

import jax
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose
from small_runs import assert_same_run, changed

import lstm_jax as lj
from experiments import sweep, train
from experiments.common.cli import ConfigError
from experiments.train import saved_run
from experiments.train.config import identity
from lstm_jax.training.checkpoints import named_arrays

FLAGS: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "dropout": 0.3}
CONFIG = changed(**FLAGS, num_steps=21, num_seeds=2, length=4)
LAYER = lj.cells.dropout(lj.cells.bidirectional(lj.RNN), 0.3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of layers, directions and dropout in one go."""
    out = tmp_path_factory.mktemp("whole")
    train.run(CONFIG, out)
    return out


@pytest.mark.slow
def test_a_run_is_that_of_the_cells_of_the_library(whole):
    net = lj.stack(LAYER, LAYER)
    state, _ = lj.train(
        jax.random.key(1),
        net,
        lj.tasks.ADDING,
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3)),
        hidden_size=4,
        num_steps=21,
        batch_size=3,
        length=4,
    )
    run = saved_run.read_run(str(whole), 1)
    found, wanted = named_arrays(run.params), named_arrays(state.params)
    assert found.keys() == wanted.keys()
    for name, leaf in wanted.items():
        assert_allclose(found[name], leaf, rtol=0, atol=1e-5)
    assert jax.tree.structure(run.params) == jax.tree.structure(state.params)
    assert run.layers == run.params.cell and len(run.layers) == 2
    before = saved_run.untrained(run)
    assert not np.array_equal(before.cell[1].backward.b, run.params.cell[1].backward.b)


@pytest.mark.slow
def test_a_resumed_run_has_the_same_bits(whole, tmp_path):
    part = changed(**FLAGS, num_steps=20, num_seeds=2, length=4)
    train.run(part, tmp_path)
    train.run(CONFIG, tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def test_fields_at_their_default_are_no_part_of_a_run():
    assert not identity(changed()).keys() & FLAGS.keys()
    assert identity(CONFIG).items() >= FLAGS.items()


@pytest.mark.slow
def test_a_sweep_of_layers_goes_through_the_same_cells():
    config = sweep.Config(
        task="parity",
        cell="rnn",
        hidden_size=3,
        length=4,
        num_steps=2,
        num_seeds=1,
        test_size=2,
        sweep="num_layers=1,2;bidirectional=true",
    )
    assert len(sweep.run(config).rows) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"num_layers": 0}, "num_layers: got 0; it must be an integer, at least 1"),
        ({"bidirectional": 2}, "bidirectional: got 2; it must be true or false"),
        ({"dropout": 1.0}, r"dropout: got 1.0; it must be a number in \[0, 1\)"),
        ({"dropout": 0.5, "mesh": "data:2"}, "dropout: got 0.5 with the mesh 'data:2'"),
    ],
)
def test_bad_flags_end_in_one_line(flags, message):
    with pytest.raises(ConfigError, match=message):
        train.run(changed(**flags))
