"""experiments.train: what a run leaves, how it goes on, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import killing
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from small_runs import (
    ROOT,
    SMALL,
    assert_same_run,
    changed,
    finish,
    lines_of,
    start,
)

from experiments import train
from experiments.common import environment
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.train import Config, chunks, metrics
from experiments.train.chunks import Diverged
from lstm_jax.readouts import LinearParams
from lstm_jax.training import checkpoints
from lstm_jax.training.loop import ModelParams, begin_training


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed, in this process."""
    out = tmp_path_factory.mktemp("whole")
    train.run(SMALL, out)
    return out


@pytest.fixture
def stored(whole, tmp_path):
    """A copy that may be spoilt."""
    return Path(shutil.copytree(whole, tmp_path / "stored"))


def test_a_run_leaves_metrics_checkpoints_and_every_parameter(whole):
    lines = lines_of(whole)
    assert [line["step"] for line in lines] == list(range(7, 300, 7))
    assert all(line.keys() == {"step", "loss", "accuracy"} for line in lines)
    assert checkpoints.steps(whole / "checkpoints") == [260, 280, 300]
    with np.load(whole / "final.npz") as params:
        shapes = {name: params[name].shape for name in params.files}
    assert shapes["cell/w_ih"] == (2, 4) and shapes["cell/w_hh"] == (4, 4)
    assert shapes["readout/w"] == (4, 1) and len(shapes) == 5


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The run of three checkpoints, undisturbed."""
    out = tmp_path_factory.mktemp("three")
    train.run(killing.small(keep=3), out)
    return out


def test_nan_stops_with_the_step_the_norm_and_the_last_good_checkpoint(tmp_path):
    good = tmp_path / "checkpoints" / "1"
    # The first update goes 1e30 away; the second finds what has become of the loss.
    told = f"diverged at step 2: loss inf, gradient norm nan; .* is {good}$"
    with pytest.raises(Diverged, match=told):
        train.run(changed(learning_rate=1e30, checkpoint_interval=1), tmp_path)
    assert checkpoints.latest(tmp_path / "checkpoints") == 1
    assert not (tmp_path / "final.npz").exists()


@pytest.mark.parametrize(
    ("config", "resume", "told"),
    [
        (SMALL, False, "holds a run that was saved at step 300; go on with --resume"),
        (changed(learning_rate=0.1), True, "learning_rate was 0.003 and is 0.1"),
        (changed(num_steps=299), True, "num_steps: got 299; it must be at least 300"),
    ],
    ids=["not resumed", "other configuration", "fewer steps"],
)
def test_a_folder_that_holds_another_run_is_refused(config, resume, told, whole):
    before = (whole / "metrics.jsonl").read_bytes()
    with pytest.raises(ConfigError, match=told):
        train.run(config, whole, resume=resume)
    assert (whole / "metrics.jsonl").read_bytes() == before


def test_with_nothing_to_resume_it_begins_and_says_so(tmp_path, capsys):
    record = train.run(changed(num_steps=7), tmp_path, resume=True)
    assert "it starts at step 0" in record.verdict[0]
    assert record.verdict[0] in capsys.readouterr().err
    assert len(lines_of(tmp_path)) == 1


def test_a_folder_that_is_not_there_is_made(tmp_path):
    record = train.run(changed(num_steps=7), str(tmp_path / "new" / "below"))
    assert len(lines_of(tmp_path / "new" / "below")) == 1
    assert record.made["threads"] == environment.threads()


NUMPY = """
import dataclasses, sys
import numpy as np
from experiments import train
config = train.Config(cell=np.str_("rnn"), hidden_size=np.int64(4), length=np.int8(6),
    learning_rate=np.float64(0.5), num_steps=np.int32(20), test_size=5)
assert config == train.Config(cell="rnn", hidden_size=4, length=6, learning_rate=0.5,
    num_steps=20, test_size=5)
kinds = {type(value) for value in dataclasses.astuple(config)}
assert kinds <= {bool, int, float, str, type(None)}, kinds
train.run(config, sys.argv[1])
train.run(config, sys.argv[1], resume=True)
"""


@pytest.mark.slow
def test_a_config_may_hold_the_numbers_of_numpy(tmp_path):
    # In a process of its own: the tests check types at every call.
    words = [sys.executable, "-c", NUMPY, tmp_path]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(lines_of(tmp_path)) == 2


def test_what_is_no_checkpoint_stops_no_run(three, tmp_path):
    for name in ("10", "50", "²", ".unfinished-x"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    (tmp_path / "checkpoints" / "30").write_text("a file")
    record = train.run(killing.small(3), tmp_path, resume=True)
    assert "it starts at step 0" in record.verdict[0]
    assert_same_run(tmp_path, three)
    assert checkpoints.steps(tmp_path / "checkpoints") == [10, 20, 30]
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"10", "20", "30", "50", "²"}


def test_a_run_that_goes_on_with_other_threads_says_so(stored, monkeypatch, capsys):
    before = environment.threads()
    monkeypatch.setenv("NPROC", str(before + 3))
    record = train.run(changed(num_steps=320), stored, resume=True)
    told = (
        "It continues under other conditions than up to step 300 (threads was "
        f"{before} and is {before + 3}): from here on its last bits may differ. "
        f"NPROC={before} in the environment makes it {before} threads again."
    )
    assert record.verdict[0] == told and told in capsys.readouterr().err
    assert record.made["threads"] == before + 3
    assert not train.run(changed(num_steps=320), stored, resume=True).verdict


@pytest.mark.slow
@pytest.mark.skipif(environment.threads() < 2, reason="there is one core")
def test_two_threads_on_one_core_have_the_bits_of_two_cores(tmp_path):
    config = Config(num_steps=10, test_size=5)  # large enough to be cut among threads
    one = {next(iter(os.sched_getaffinity(0)))}
    for name, cores in {"one": one, "two": os.sched_getaffinity(0)}.items():
        os.environ["NPROC"] = "2"
        process = start(tmp_path / name, config)
        os.sched_setaffinity(process.pid, cores)
        assert finish(process)[0] == 0
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda: jax.threefry_partitionable(False),
            "jax_threefry_partitionable was True and is False$",
        ),
        (
            lambda: jax.default_prng_impl("rbg"),
            "jax_default_prng_impl was 'threefry2x32' and is 'rbg'",
        ),
    ],
    ids=["another way to draw", "another generator"],
)
def test_a_run_that_would_draw_other_numbers_is_refused(change, told, stored):
    before = (stored / "metrics.jsonl").read_bytes()
    with change(), pytest.raises(ConfigError, match=f"^out: .*of other random.*{told}"):
        train.run(changed(num_steps=400), stored, resume=True)
    assert (stored / "metrics.jsonl").read_bytes() == before


def test_what_a_run_says_at_its_end_is_on_the_disk(tmp_path, monkeypatch):
    synced = set()

    def fsync(file, call=os.fsync):
        now = os.fstat(file)
        synced.add((now.st_ino, now.st_size))
        call(file)

    monkeypatch.setattr(os, "fsync", fsync)
    train.run(killing.small(3), tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    ends = {path: (path.stat().st_ino, path.stat().st_size) for path in files}
    assert len(ends) > 20
    assert [path for path, end in ends.items() if end not in synced] == []


def test_more_steps_go_on_from_where_fewer_ended(whole, tmp_path):
    train.run(changed(num_steps=100), tmp_path)
    train.run(SMALL, tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def test_seeds_side_by_side_are_the_runs_of_each_seed(whole, capsys):
    config = changed(num_seeds=2, num_steps=63, success_loss=10.0, eval_interval=21)
    record = train.run(config)
    assert take(record, "loss").shape == take(record, "test_loss").shape == (9, 2)
    single = [line["loss"] for line in lines_of(whole)[:9]]
    assert_allclose(
        take(record, "loss", seed=record.axes["seed"][0]), single, rtol=1e-4
    )
    assert not np.allclose(
        take(record, "loss", seed=record.axes["seed"][1]), single, rtol=0.1
    )
    # Tests at 21, 42 and 63, on fixed data; the last one is that of the end.
    tested = np.isfinite(take(record, "test_loss"))
    assert_array_equal(np.array(record.axes["update"])[tested[:, 0]], [21, 42, 63])
    assert_array_equal(take(record, "test_loss")[-1], take(record, "final_test_loss"))
    assert "2 of 2 seeds" in record.verdict[-1] and "0.34 to 1.00" in record.verdict[-1]
    assert jax.tree.leaves(train.plot(record).axes)


def test_lines_hold_null_where_json_has_no_number(tmp_path):
    lines = {"step": np.arange(2), "loss": np.array([[0.5, np.nan], [np.inf, 1 / 3]])}
    metrics.rewrite(tmp_path / "a", lines)
    metrics.append(tmp_path / "a", lines)
    text = (tmp_path / "a").read_text().splitlines()
    assert text[:2] == text[2:]
    assert json.loads(text[0]) == {"step": 0, "loss": [0.5, None]}
    assert json.loads(text[1]) == {"step": 1, "loss": [None, 1 / 3]}
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"start_length": 3}, "start_length: got 3 with curriculum_steps=None"),
        ({"eval_interval": 3}, "eval_interval: got 3; it must be a multiple"),
        ({"forget_bias": 1.0}, "forget_bias: got 1.0; it must not be given"),
        ({"clip": 0.0}, "clip: got 0.0; it must be a finite number above 0 .*'none'"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(values, told):
    with pytest.raises(ConfigError, match=told):
        changed(**values)


def test_what_a_task_refuses_is_one_line():
    with pytest.raises(ConfigError, match="length"):
        train.run(changed(length=1))


def test_runs_that_end_early_are_told(key):
    state = small_state(key, diverged_at=[-1, 4], solved_at=[9, -1])
    config = changed(num_seeds=2, seed=5, stop_after=20)
    assert chunks.ends(config, state) == [
        "Seed 5: 20 sequences in a row were right at step 9, after 27 sequences.",
        "Seed 6 diverged at step 4.",
    ]


def small_state(key, **marks):
    """A state of several runs; only the marks are read."""
    params = ModelParams(cell=(), readout=LinearParams(jnp.zeros((1, 1)), jnp.zeros(1)))
    state = begin_training(key, params, optax.sgd(1.0))
    return state._replace(**{name: jnp.asarray(mark) for name, mark in marks.items()})
