"""Checkpoints: every bit comes back, and no damage goes unseen."""

import os
import re
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_array_equal

from lstm_jax.readouts import LinearParams
from lstm_jax.training import checkpoints
from lstm_jax.training.checkpoints import CheckpointError
from lstm_jax.training.loop import ModelParams, begin_training

CONFIG = {"hidden_size": 3, "clip": 1.0, "forget_bias": None}
HISTORY = {"step": np.arange(4), "loss": np.array([0.1, np.nan, 1e300, 1 / 3])}


def state_of(seed):
    """A state with leaves of several dtypes, and a key; nothing is compiled."""
    random = np.random.default_rng(seed)
    weights = {
        "single": jnp.asarray(random.normal(size=(3, 4)), jnp.float32),
        "half": jnp.asarray(random.normal(size=5), jnp.bfloat16),
    }
    readout = LinearParams(w=weights["single"] + 1, b=jnp.zeros(4))
    params = ModelParams(cell=weights, readout=readout)
    state = begin_training(jax.random.key(seed), params, optax.adam(1e-3))
    numbers = (state.opt_state, state.step, state.diverged_at, state.right_in_a_row)
    changed = jax.tree.map(lambda leaf: leaf + jnp.asarray(seed, leaf.dtype), numbers)
    fields = ("opt_state", "step", "diverged_at", "right_in_a_row")
    return state._replace(**dict(zip(fields, changed, strict=True)))


def save(folder, *steps, keep=3):
    for step in steps:
        checkpoints.save(
            folder, step, state_of(step), config=CONFIG, history=HISTORY, keep=keep
        )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Checkpoints of the steps 20, 30 and 40; the one of step 10 made room."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    save(folder, 10, 20, 30, 40)
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoints")


def assert_same_bits(found, wanted):
    found, wanted = map(checkpoints.named_arrays, (found, wanted))
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes(), name


def test_every_bit_comes_back(saved):
    found = checkpoints.restore(saved, state_of(0), config=CONFIG)
    assert found is not None and found.step == 40 and found.damaged == ()
    wanted = state_of(40)
    assert jax.tree.structure(found.state) == jax.tree.structure(wanted)
    assert_same_bits(found.state, wanted)
    assert found.state.key.dtype == wanted.key.dtype
    assert found.history.keys() == HISTORY.keys()
    for name, array in HISTORY.items():
        assert found.history[name].dtype == array.dtype
        assert_array_equal(found.history[name], array)


def test_the_newest_stay(saved):
    assert checkpoints.steps(saved) == [20, 30, 40]
    assert checkpoints.latest(saved) == 40


def test_where_nothing_was_saved_there_is_nothing(tmp_path):
    assert checkpoints.latest(tmp_path / "none") is None
    found = checkpoints.restore(tmp_path / "none", state_of(0), config=CONFIG)
    assert found is None


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


DAMAGES = {"deleted": lambda path: path.unlink(), "cut": cut, "one bit flipped": flip}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_to_any_file_is_seen(copied, damage):
    place = copied / "40"
    files = [
        path for path in place.rglob("*") if path.is_file() and path.stat().st_size
    ]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        damage(path)
        assert checkpoints.latest(copied) == 30, path
        path.write_bytes(content)
        assert checkpoints.latest(copied) == 40


def test_behind_a_damaged_checkpoint_the_one_before_is_read(copied):
    # As a process leaves it that was killed before the sums were written.
    (copied / "40" / checkpoints.SUMS).unlink()
    (copied / "50.orbax-checkpoint-tmp").mkdir()
    found = checkpoints.restore(copied, state_of(0), config=CONFIG)
    assert found is not None and found.step == 30 and found.damaged == (40,)
    assert_same_bits(found.state, state_of(30))
    checkpoints.discard(copied, found.damaged)
    save(copied, 40)
    assert checkpoints.latest(copied) == 40


def test_where_all_are_damaged_one_is_told(copied):
    for step in checkpoints.steps(copied):
        cut(copied / str(step) / "_CHECKPOINT_METADATA")
    with pytest.raises(CheckpointError, match="are damaged: 20, 30, 40; start again"):
        checkpoints.restore(copied, state_of(0), config=CONFIG)


def test_another_configuration_is_refused_with_the_difference(saved):
    other = CONFIG | {"hidden_size": 4, "forget_bias": 1.0}
    wanted = "another configuration: forget_bias was None and is 1.0; hidden_size was 3"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        checkpoints.restore(saved, state_of(0), config=other)


@contextmanager
def no_room_for_files_above(num_bytes):
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


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
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )


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
