"""experiments.train: killed, interrupted, out of room, and the same bits at the end."""

import dataclasses
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import killing
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from experiments import train
from experiments.common import environment
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.train import Config, chunks, metrics
from experiments.train.chunks import Diverged
from lstm_jax.readouts import LinearParams
from lstm_jax.training import checkpoints
from lstm_jax.training.loop import ModelParams, begin_training

ROOT = Path(__file__).parent.parent
# Small steps and many checkpoints: most of the run lies between two of its writes.
SMALL = Config(
    task="adding",
    cell="rnn",
    hidden_size=4,
    length=6,
    batch_size=3,
    num_steps=300,
    log_interval=7,
    checkpoint_interval=20,
    test_size=5,
)


def start(out, config=SMALL, *flags):
    """A real process on its way."""
    values = dataclasses.asdict(config).items()
    given = [f"--{name}={value}" for name, value in values if value is not None]
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.train", *given, f"--out={out}", *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Exit status, stdout and stderr."""
    out, errors = process.communicate(timeout=120)
    return process.returncode, out, errors


def wait_for(process, path):
    while not path.exists():
        assert process.poll() is None, finish(process)
        time.sleep(0.01)


def lines_of(out):
    """What the metrics say, but for how fast it went."""
    text = (out / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    rates = [line.pop("steps_per_second") for line in lines]
    assert all(rate > 0 for rate in rates)
    return lines


def assert_same_run(out, wanted):
    """Parameters bit by bit, and every line."""
    assert lines_of(out) == lines_of(wanted)
    with np.load(out / "final.npz") as found, np.load(wanted / "final.npz") as params:
        assert found.files == params.files
        for name in params.files:
            assert found[name].tobytes() == params[name].tobytes(), name


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


def kill_and_resume(out, whole, seed):
    """Kills at a random moment after the start, or after the first checkpoint."""
    moment = random.Random(seed)
    process = start(out)
    wait_for(process, out / ("checkpoints/20" if seed % 3 else "metrics.jsonl"))
    time.sleep(moment.uniform(0, 0.4))
    process.kill()
    finish(process)
    train.run(SMALL, out, resume=True)
    assert_same_run(out, whole)


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_a_random_moment_it_goes_on_to_the_same_bits(seed, whole, tmp_path):
    kill_and_resume(tmp_path, whole, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 23))
def test_killed_at_twenty_moments(seed, whole, tmp_path):
    kill_and_resume(tmp_path, whole, seed)


def killed_before(operations, keep, folder):
    """How each of these runs ended; it died before that operation on its files."""
    words = [sys.executable, "tests/killing.py", folder, str(keep)]
    done = subprocess.run(
        [*words, *map(str, operations)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    ends = [line.split() for line in done.stdout.splitlines()]
    assert [int(number) for number, _ in ends] == list(operations), done.stderr
    return [int(status) for _, status in ends]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The run of three checkpoints, undisturbed."""
    out = tmp_path_factory.mktemp("three")
    train.run(killing.small(keep=3), out)
    return out


def assert_goes_on(out, keep, three):
    train.run(killing.small(keep), out, resume=True)
    assert_same_run(out, three)
    assert checkpoints.steps(out / "checkpoints") == [10, 20, 30][-keep:]
    left = [path.name for path in out.rglob(".*")]
    assert left == [], "unfinished, or a lock"


@pytest.mark.parametrize("keep", [1, 3])
def test_killed_at_five_operations_on_files_it_goes_on_to_the_same_bits(
    keep, three, tmp_path
):
    operations = random.Random(keep).sample(range(1, 150), 5)
    assert killed_before(operations, keep, tmp_path) == [-signal.SIGKILL] * 5
    for number in operations:
        assert_goes_on(tmp_path / str(number), keep, three)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [1, 3])
def test_killed_at_every_operation_on_files(keep, three, tmp_path):
    ends = []
    while 0 not in ends:
        operations = range(len(ends) + 1, len(ends) + 21)
        ends += killed_before(operations, keep, tmp_path)
        for number in operations:
            assert_goes_on(tmp_path / str(number), keep, three)
    assert ends.index(0) > 100 and set(ends) == {0, -signal.SIGKILL}


def test_ctrl_c_saves_and_says_how_to_go_on(whole, tmp_path):
    process = start(tmp_path)
    wait_for(process, tmp_path / "checkpoints" / "40")
    process.send_signal(signal.SIGINT)
    status, _, errors = finish(process)
    assert status == 128 + signal.SIGINT
    told, command = errors.splitlines()[-2:]
    step = checkpoints.latest(tmp_path / "checkpoints")
    assert told == f"error: stopped at step {step} and saved; go on with"
    words = command.split()
    assert words[:3] == ["python", "-m", "experiments.train"]
    # What was said, done.
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "300" in done.stdout and str(tmp_path) in done.stdout
    assert_same_run(tmp_path, whole)
    written = {path.name for path in tmp_path.iterdir()}
    assert {"record.json", "record.npz", "figure.png"} < written


@pytest.mark.slow  # of the trainer alone: tests/test_checkpoints.py
def test_on_a_full_disk_it_stops_and_the_older_checkpoint_is_whole(whole, tmp_path):
    process = start(tmp_path)
    wait_for(process, tmp_path / "checkpoints" / "40")
    # No file may grow beyond this: the metrics stay below it, a checkpoint does not.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (30_000, 30_000))
    status, _, errors = finish(process)
    assert status == 1
    (told,) = [line for line in errors.splitlines() if line.startswith("error")]
    latest = checkpoints.latest(tmp_path / "checkpoints")
    assert "could not be written" in told and f"that of step {latest} is whole" in told
    train.run(SMALL, tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def test_nan_stops_with_the_step_the_norm_and_the_last_good_checkpoint(tmp_path):
    good = tmp_path / "checkpoints" / "1"
    # The first update goes 1e30 away; the second finds what has become of the loss.
    told = f"diverged at step 2: loss inf, gradient norm nan; .* is {good}$"
    with pytest.raises(Diverged, match=told):
        train.run(changed(learning_rate=1e30, checkpoint_interval=1), tmp_path)
    assert checkpoints.latest(tmp_path / "checkpoints") == 1
    assert not (tmp_path / "final.npz").exists()


def test_behind_a_damaged_checkpoint_it_goes_on_and_says_so(whole, stored, capsys):
    (stored / "checkpoints" / "300" / "_CHECKPOINT_METADATA").write_bytes(b"")
    record = train.run(SMALL, stored, resume=True)
    told = (
        "The checkpoint of step 300 is damaged; the run goes on from that of step 280."
    )
    assert told in record.verdict and told in capsys.readouterr().err
    assert_same_run(stored, whole)
    assert checkpoints.steps(stored / "checkpoints") == [260, 280, 300]


def test_torn_and_missing_lines_come_back(whole, stored):
    lines = (stored / "metrics.jsonl").read_text()
    (stored / "metrics.jsonl").write_text(lines[: len(lines) // 3])
    train.run(SMALL, stored, resume=True)
    assert (stored / "metrics.jsonl").read_text() == lines
    assert_same_run(stored, whole)


def changed(**values):
    return dataclasses.replace(SMALL, **values)


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
assert kinds <= {int, float, str, type(None)}, kinds
train.run(config, sys.argv[1])
train.run(config, sys.argv[1], resume=True)
"""


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


def test_a_second_run_in_a_folder_is_refused_and_the_first_goes_on(tmp_path):
    process = start(tmp_path, changed(num_steps=10**7))
    wait_for(process, tmp_path / "checkpoints" / "20")
    told = f"out: got {str(tmp_path)!r}, where process {process.pid} on .* is at work"
    for resume in (False, True):
        with pytest.raises(ConfigError, match=told):
            train.run(SMALL, tmp_path, resume=resume)
    step = checkpoints.steps(tmp_path / "checkpoints")[-1]
    wait_for(process, tmp_path / "checkpoints" / str(step + 40))
    process.kill()
    finish(process)


def test_a_run_that_goes_on_with_other_threads_says_so(stored, monkeypatch, capsys):
    before = environment.threads()
    monkeypatch.setenv("NPROC", str(before + 3))
    record = train.run(changed(num_steps=320), stored, resume=True)
    told = (
        f"It goes on otherwise than up to step 300 (threads was {before} and is "
        f"{before + 3}): from here on its bits may be others. NPROC={before} in the "
        f"environment makes it {before} threads again."
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
