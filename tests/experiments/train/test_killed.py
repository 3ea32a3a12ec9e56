"""experiments.train killed, stopped and damaged: it goes on to the same bits."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import killing
import pytest
from small_runs import ROOT, SMALL, assert_same_run, changed, finish, start

from experiments import train
from experiments.common.cli import ConfigError
from lstm_jax.training import checkpoints


def wait_for(process, path):
    while not path.exists():
        assert process.poll() is None, finish(process)
        time.sleep(0.01)


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


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(23))
def test_killed_at_a_random_moment_it_goes_on_to_the_same_bits(seed, whole, tmp_path):
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


@pytest.mark.slow
def test_killed_at_two_operations_on_files_it_goes_on_to_the_same_bits(three, tmp_path):
    operations = random.Random(3).sample(range(1, 150), 2)
    assert killed_before(operations, 3, tmp_path) == [-signal.SIGKILL] * 2
    for number in operations:
        assert_goes_on(tmp_path / str(number), 3, three)


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


@pytest.mark.slow
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


@pytest.mark.slow  # of the trainer alone: tests/training/test_writing.py
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


@pytest.mark.slow
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
