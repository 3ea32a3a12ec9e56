"""--init and --fork: weights of others, and a run that goes on in another folder."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from problems import slow_but
from small_runs import assert_same_run, changed, lines_of

import lstm_jax as lj
from experiments import train
from experiments.common.cli import ConfigError
from experiments.train import saved_run
from lstm_jax.training.checkpoints import named_arrays

STOPPED = changed(num_steps=20)
NOTHING = changed(num_steps=0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 20 updates."""
    out = tmp_path_factory.mktemp("finished")
    train.run(STOPPED, out)
    return out


def arrays(path):
    with np.load(path) as file:
        return dict(file)


class Net(torch.nn.Module):
    """As users write it."""

    def __init__(self, outputs):
        super().__init__()
        self.rnn = torch.nn.RNN(2, 4, num_layers=2, bidirectional=True)
        self.head = torch.nn.Linear(8, outputs)


def of_torch(net):
    return {
        "cell": lj.from_torch(net.rnn.state_dict()),
        "readout": {"w": net.head.weight.detach().T, "b": net.head.bias.detach()},
    }


@pytest.mark.slow
@pytest.mark.parametrize("outputs", slow_but([3], [1, 3]))
def test_a_run_begins_with_the_weights_of_torch(tmp_path, outputs):
    net, file = Net(outputs), tmp_path / "net.pt"
    torch.save(net.state_dict(), file)
    config = dataclasses.replace(
        NOTHING, num_layers=2, bidirectional=True, init=str(file)
    )
    record = train.run(config, tmp_path / "out")
    found, wanted = arrays(tmp_path / "out" / "final.npz"), named_arrays(of_torch(net))
    new = [name for name in wanted if not np.array_equal(wanted[name], found[name])]
    assert new == ([] if outputs == 1 else ["readout/b", "readout/w"])
    assert any("readout is new" in line for line in record.verdict) == (outputs == 3)


@pytest.mark.slow
def test_a_run_of_all_seeds_begins_with_another_run_and_remembers_it(
    tmp_path, finished
):
    config = changed(init=str(finished), num_steps=20, num_seeds=2)
    train.run(config, tmp_path / "out")
    run = saved_run.read_run(str(tmp_path / "out"), 1)
    before = named_arrays(saved_run.untrained(run))
    for name, wanted in arrays(finished / "final.npz").items():
        assert_array_equal(before[name], wanted)
    assert not np.array_equal(run.params.readout.w, before["readout/w"])


def test_a_file_that_changed_is_refused_when_its_run_goes_on(tmp_path, finished):
    file, out = tmp_path / "weights.npz", tmp_path / "out"
    shutil.copy(finished / "final.npz", file)
    train.run(dataclasses.replace(STOPPED, init=str(file)), out)
    again = changed(num_steps=21, init=str(file))
    moved = {name: array + 1 for name, array in arrays(file).items()}
    np.savez(file, **moved)
    with pytest.raises(ConfigError, match="of another configuration: init was"):
        train.run(again, out, resume=True)
    with pytest.raises(ConfigError, match="has changed, its sha256 is"):
        saved_run.untrained(saved_run.read_run(str(out), None))
    shutil.copy(finished / "final.npz", file)
    train.run(again, out, resume=True)


def test_a_fork_with_the_same_flags_is_the_run_itself(tmp_path, finished):
    longer = changed(num_steps=30)
    whole = tmp_path / "whole"
    shutil.copytree(finished, whole)
    train.run(longer, whole, resume=True)
    out = tmp_path / "fork"
    record = train.run(dataclasses.replace(longer, fork=str(finished)), out)
    found, wanted = arrays(out / "final.npz"), arrays(whole / "final.npz")
    for name in wanted:
        assert found[name].tobytes() == wanted[name].tobytes()
    assert lines_of(out) == lines_of(whole)[2:]
    assert "It goes on from step 20" in " ".join(record.verdict)
    train.run(changed(num_steps=30), out, resume=True)
    assert lines_of(out) == lines_of(whole)[2:]


def test_a_fork_may_train_otherwise_and_goes_on_by_itself(tmp_path, finished):
    config = changed(num_steps=41, learning_rate=0.1, valid=0.5, eval_interval=7)
    config = dataclasses.replace(config, fork=str(finished), batch_size=2)
    train.run(config, tmp_path / "whole")
    train.run(dataclasses.replace(config, num_steps=30), tmp_path / "part")
    train.run(config, tmp_path / "part", resume=True)
    assert_same_run(tmp_path / "part", tmp_path / "whole")
    moved = arrays(tmp_path / "whole" / "final.npz")
    before = arrays(finished / "final.npz")
    distance = max(np.abs(moved[name] - before[name]).max() for name in before)
    assert 0.1 < distance < 10
    assert_allclose(lines_of(tmp_path / "whole")[0]["step"], 21)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"init": "nowhere.pt"}, "init: can't read 'nowhere.pt' .No such file or dir"),
        ({"init": "RUN", "fork": "RUN"}, "init: got .* with fork; only one of them"),
        ({"init": "RUN", "hidden_size": 5}, r"no rnn of 5 units .*: cell/b is \(4,\)"),
        ({"init": "NET", "cell": "lstm"}, "cell: got 'lstm'; it must be 'rnn', for th"),
        ({"init": "NET"}, "num_layers: got 1; it must be 2, for the weights in"),
        ({"fork": "nowhere"}, "fork: 'nowhere' holds no checkpoint"),
        ({"fork": "RUN", "num_steps": 19}, "num_steps: got 19; it must be at least 20"),
        ({"fork": "RUN", "optimizer": "sgd"}, "fork: .* has another state than these"),
        ({"fork": "RUN", "num_seeds": 2}, "fork: .* has another state than these fla"),
    ],
)
def test_what_does_not_fit_ends_in_one_line(tmp_path, finished, flags, message):
    torch.save(Net(1).state_dict(), tmp_path / "net.pt")
    places = {"RUN": str(finished), "NET": str(tmp_path / "net.pt")}
    flags = {name: places.get(value, value) for name, value in flags.items()}
    with pytest.raises(ConfigError, match=message):
        train.run(changed(**flags))
