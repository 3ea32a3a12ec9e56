"""Two layers and their record, made once for all tests that read them."""

import jax
import pytest
from weight_files import HIDDEN, INPUT, SMALL, save_npz

import lstm_jax as lj
from experiments import explain


@pytest.fixture(scope="session")
def two_layers():
    key_0, key_1 = jax.random.split(jax.random.key(0))
    return (lj.LSTM.init(key_0, INPUT, HIDDEN), lj.LSTM.init(key_1, HIDDEN, HIDDEN))


@pytest.fixture(scope="session")
def of_two_layers(two_layers, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "final.npz"
    path = save_npz(path, {"cell": two_layers, "readout": {"w": 1.0}})
    return explain.run(explain.Config(weights=path, **SMALL))
