"""--valid and --patience: the best weights by data that is neither trained on nor the
test, and the end of a seed by its own validations alone."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from small_runs import assert_same_run, changed, lines_of

from experiments import train
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.train import saved_run
from experiments.train.config import identity
from experiments.train.refusals import validation_interval
from lstm_jax.training.checkpoints import named_arrays

# At this rate the loss goes up and down, and seeds end at different updates.
CONFIG = changed(
    valid=0.1, patience=2, eval_interval=7, learning_rate=0.3, num_seeds=3, num_steps=70
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return out, train.run(CONFIG, out)


def validations(out):
    """The validation losses of every seed, (validation, seed)."""
    return np.array([line["valid_loss"] for line in lines_of(out)], float)


@pytest.mark.slow
def test_a_seed_ends_by_its_own_validations_and_keeps_the_best_weights(whole):
    out, record = whole
    losses, found = validations(out), take(record, "best_update")
    updates = [row["updates"] for row in record.rows]
    ended = []
    for seed, of_seed in enumerate(losses.T):
        best, waited, at = 0, 0, 0
        for at in range(1, len(of_seed)):
            better = of_seed[at] < of_seed[best]
            best, waited = (at, 0) if better else (best, waited + 1)
            if waited == CONFIG.patience:
                break
        ended.append(at)
        assert found[seed] == updates[seed] == 7 * (best + 1)
        assert_allclose(take(record, "best_valid_loss")[seed], of_seed[best])
    assert len(set(ended)) > 1
    assert min(ended) < len(losses) - 1
    assert "validations without a better loss" in " ".join(record.verdict)


@pytest.mark.slow
def test_a_seed_does_not_depend_on_the_others(whole, tmp_path):
    out, _ = whole
    train.run(dataclasses.replace(CONFIG, seed=1, num_seeds=1), tmp_path)
    with np.load(out / "best.npz") as of_all, np.load(tmp_path / "best.npz") as of_one:
        for name in of_one.files:
            assert_allclose(of_one[name], of_all[name][1], rtol=0, atol=1e-4)


def test_a_resumed_run_has_the_same_bits_and_the_same_best(whole, tmp_path):
    out, record = whole
    for steps in (16, 21, CONFIG.num_steps):
        part = dataclasses.replace(CONFIG, num_steps=steps)
        again = train.run(part, tmp_path, resume=steps > 16)
    assert_same_run(tmp_path, out)
    assert (tmp_path / "best.npz").read_bytes() == (out / "best.npz").read_bytes()
    # As if it had been killed between the newest checkpoint and the best one.
    shutil.rmtree(tmp_path / "best")
    train.run(CONFIG, tmp_path, resume=True)
    paths = [str(folder / "best") for folder in (tmp_path, out)]
    one, other = (saved_run.read_run(path, 2) for path in paths)
    jax.tree.map(assert_array_equal, one.params, other.params)
    assert one.step == other.step
    for name in ("best_test_loss", "final_test_loss", "best_valid_loss"):
        assert_array_equal(take(again, name), take(record, name))


def test_the_best_weights_are_a_checkpoint_too(whole):
    out, record = whole
    run = saved_run.read_run(str(out / "best"), 2)
    assert run.step == take(record, "best_update")[2]
    with np.load(out / "best.npz") as best:
        for name, leaf in named_arrays(run.params).items():
            assert_array_equal(leaf, best[name][2])


@pytest.mark.slow
def test_training_and_the_final_test_are_those_of_a_run_without(whole, tmp_path):
    plain = changed(learning_rate=0.3, num_steps=21, eval_interval=7)
    train.run(plain, tmp_path / "plain")
    watched = dataclasses.replace(plain, valid=0.5)
    train.run(watched, tmp_path / "watched")
    with np.load(tmp_path / "plain" / "final.npz") as wanted:
        with np.load(tmp_path / "watched" / "final.npz") as found:
            for name in wanted.files:
                assert_array_equal(found[name], wanted[name])
    lines = lines_of(tmp_path / "watched")
    valid = [(line.pop("valid_loss"), line.pop("valid_accuracy")) for line in lines]
    assert lines == lines_of(tmp_path / "plain")
    tests = [line["test_loss"] for line in lines]
    assert all(one != other for (one, _), other in zip(valid, tests, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("mesh", ["data:1", "seed:1", "unit:1"])
def test_over_a_mesh_two_directions_are_validated_alike(tmp_path, mesh):
    config = changed(valid=0.1, patience=2, eval_interval=7, num_layers=2, num_steps=21)
    config = dataclasses.replace(config, bidirectional=True, num_seeds=2)
    for name, over in (
        ("plain", config),
        (mesh, dataclasses.replace(config, mesh=mesh)),
    ):
        train.run(over, tmp_path / name)
    found, wanted = validations(tmp_path / mesh), validations(tmp_path / "plain")
    assert_allclose(found, wanted, rtol=1e-5)
    with np.load(tmp_path / mesh / "best.npz") as best:
        assert best["cell/1/backward/w_hh"].shape == (2, 4, 4)


def test_fields_at_their_default_are_no_part_of_a_run():
    assert not identity(changed()).keys() & {"valid", "patience"}
    assert validation_interval(changed(valid=0.1)) == 98
    assert identity(CONFIG)["patience"] == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"valid": 0.0}, r"valid: got 0.0; it must be a number in \(0, 1\)"),
        ({"valid": 1.0}, r"valid: got 1.0; it must be a number in \(0, 1\)"),
        (
            {"patience": 3},
            "patience: got 3 without valid; it must be given with",
        ),
        ({"valid": 0.1, "num_steps": 97}, "num_steps: got 97; it must be at least 98"),
        (
            {"valid": 0.1, "task": "sequential_digits", "length": 64},
            "valid: got 0.1; it must not be given for the task 'sequential_digits'",
        ),
    ],
)
def test_bad_flags_end_in_one_line(flags, message):
    with pytest.raises(ConfigError, match=message):
        train.run(changed(**flags))
