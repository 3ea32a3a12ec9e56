"""A checkpoint that is being written: whole or not at all, on a full disk too."""

import os
import re
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from killing import heard
from training.saving import CONFIG, assert_same_bits, save, save_four, state_of

from lstm_jax.training import checkpoints
from lstm_jax.training.checkpoints import CheckpointError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Checkpoints of the steps 20, 30 and 40; the one of step 10 made room."""
    return save_four(tmp_path_factory.mktemp("run") / "checkpoints")


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoints")


@pytest.mark.parametrize("keep", [1, 2])
def test_before_every_operation_on_files_there_is_a_whole_checkpoint(keep, tmp_path):
    folder, copies = tmp_path / "now", tmp_path / "copies"
    save(folder, 10, 20, keep=keep)

    def copy():
        shutil.copytree(folder, copies / str(len(list(copies.glob("*")))))

    copies.mkdir()
    with heard(folder, copy):
        save(folder, 30, keep=keep)
    in_order = sorted(copies.iterdir(), key=number)
    found = [checkpoints.latest(path) or 0 for path in in_order]
    assert len(found) > 20 and found == sorted(found) and set(found) == {20, 30}
    # The last that is old, the first that is new, and one in the midst of deleting.
    for moment in (found.index(30) - 1, found.index(30), len(found) - 1):
        copied = in_order[moment]
        restored = checkpoints.restore(copied, state_of(0), config=CONFIG)
        assert restored is not None and restored.step == found[moment]
        assert restored.damaged == ()
        assert_same_bits(restored.state, state_of(restored.step))
        save(copied, 40, keep=keep)
        there = [step for step in (20, 30, 40) if step != 30 or found[moment] == 30]
        wanted = {str(step) for step in there[-keep:]}
        assert {path.name for path in copied.iterdir()} == wanted


def number(path):
    return int(path.name)


@contextmanager
def no_room_for_files_above(num_bytes):
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_where_there_is_no_room_for_all_of_it_nothing_is_begun(copied):
    # Each of its files is smaller.
    with (
        no_room_for_files_above(30_000),
        pytest.raises(CheckpointError, match=r"step 50 could not be written .*; that"),
    ):
        save(copied, 50)
    assert {path.name for path in copied.iterdir()} == {"20", "30", "40"}


def test_where_there_is_no_room_the_older_checkpoint_stays_whole(copied):
    with (
        no_room_for_files_above(2000),
        pytest.raises(CheckpointError, match=r"step 50 .*; that of step 40 is whole"),
    ):
        save(copied, 50)
    assert checkpoints.steps(copied) == [20, 30, 40]
    found = checkpoints.restore(copied, state_of(0), config=CONFIG)
    assert found is not None
    assert_same_bits(found.state, state_of(40))
    save(copied, 50)  # with room again
    assert checkpoints.latest(copied) == 50


MOUNT = "mount -t tmpfs -o size=192k tmpfs disk"  # room for two checkpoints


TRAIN = """
"$0" -m experiments.train --task=adding --cell=rnn --hidden_size=4 \
  --length=6 --batch_size=3 --num_steps=20 --log_interval=7 --checkpoint_interval=2 \
  --test_size=5 --out=disk
status=$?
cp -r disk/checkpoints found && exit $status
"""


def in_own_namespace(script, folder):
    """Runs a script that may mount; what it mounts is gone with it."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, sys.executable],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare")
def test_on_a_full_disk_the_trainer_stops_and_the_older_checkpoint_is_whole(tmp_path):
    (tmp_path / "disk").mkdir()
    probe = in_own_namespace(MOUNT, tmp_path)
    if probe.returncode:
        pytest.skip(f"no small disk can be mounted: {probe.stderr.strip()}")
    done = in_own_namespace(f"{MOUNT} && {TRAIN}", tmp_path)
    assert done.returncode == 1, done.stderr
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    latest = checkpoints.latest(tmp_path / "found")
    assert latest is not None
    wanted = rf"step {latest + 2} could not be written .*; that of step {latest} is"
    assert re.search(wanted, told) and "No space left on device" in told
