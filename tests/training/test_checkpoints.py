"""Checkpoints: every bit comes back, damage is seen, what doesn't fit is refused."""

import json
import re
import shutil
import subprocess
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_array_equal
from training.saving import CONFIG, HISTORY, assert_same_bits, save, save_four, state_of

from lstm_jax.training import checkpoints, settings
from lstm_jax.training.checkpoints import CheckpointError
from lstm_jax.training.loop import begin_training


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Checkpoints of the steps 20, 30 and 40; the one of step 10 made room."""
    return save_four(tmp_path_factory.mktemp("run") / "checkpoints")


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoints")


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
    flip(copied / "40" / "_CHECKPOINT_METADATA")
    found = checkpoints.restore(copied, state_of(0), config=CONFIG)
    assert found is not None and found.step == 30 and found.damaged == (40,)
    assert_same_bits(found.state, state_of(30))
    checkpoints.clean(copied, damaged=found.damaged)
    save(copied, 40)
    assert checkpoints.latest(copied) == 40


def test_a_folder_is_cleaned_as_a_save_leaves_it(copied):
    (copied / ".unfinished-x").mkdir()
    checkpoints.clean(copied, damaged=(40,), keep=1)
    assert [path.name for path in copied.iterdir()] == ["30"]
    save(copied, 40, 50)
    checkpoints.clean(copied)
    assert checkpoints.steps(copied) == [30, 40, 50]


def sums_without(*lines):
    def damage(path):
        kept = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for n, line in enumerate(kept) if n not in lines))

    return damage


SUMS_DAMAGES = {
    "empty": lambda path: path.write_text(""),
    "all files forgotten": lambda path: path.write_text("# 0 files"),
    "a file forgotten": sums_without(0),
    "not ended": lambda path: sums_without(len(path.read_text().splitlines()) - 1)(
        path
    ),
    "not text": lambda path: path.write_bytes(b"\xff" * 9),
}


@pytest.mark.parametrize("damage", SUMS_DAMAGES.values(), ids=SUMS_DAMAGES)
def test_a_checkpoint_whose_sums_say_less_is_damaged(damage, copied):
    damage(copied / "40" / checkpoints.SUMS)
    assert checkpoints.steps(copied) == [20, 30, 40]
    assert not checkpoints.is_whole(copied, 40) and checkpoints.latest(copied) == 30


def test_a_shell_reads_the_sums(copied):
    command = ["sha256sum", "--check", "--strict", checkpoints.SUMS]
    for status in (0, 1):
        done = subprocess.run(command, cwd=copied / "40", capture_output=True)
        assert done.returncode == status, done.stderr
        flip(copied / "40" / "_METADATA")


STRAY = ("²", "٣", "-1", "007", "1e3", "9" * 200, "50.orbax-checkpoint-tmp", "a\nb")


def test_what_is_no_checkpoint_stops_nothing(copied):
    # As a process of former days left it, killed before it wrote the sums.
    (copied / "40" / checkpoints.SUMS).unlink()
    for name in STRAY:
        shutil.copytree(copied / "30", copied / name)
    (copied / "50").mkdir()
    (copied / "60").write_text("a file")
    (copied / "70").symlink_to(copied / "nowhere")
    assert checkpoints.steps(copied) == [20, 30]
    found = checkpoints.restore(copied, state_of(0), config=CONFIG)
    assert found is not None and found.step == 30 and found.damaged == ()
    save(copied, 40, 50, 60, 70)
    assert (
        checkpoints.steps(copied) == [50, 60, 70] and checkpoints.latest(copied) == 70
    )
    assert {path.name for path in copied.iterdir()} == {"50", "60", "70", *STRAY}
    assert not (copied / "70").is_symlink()


def test_nothing_but_what_is_no_checkpoint_is_a_beginning(tmp_path):
    (tmp_path / "50").mkdir()
    assert checkpoints.restore(tmp_path, state_of(0), config=CONFIG) is None
    assert checkpoints.latest(tmp_path) is None


def test_three_stay_where_nothing_is_said_and_one_where_it_is(copied):
    checkpoints.save(copied, 50, state_of(50), config=CONFIG, history=HISTORY)
    assert checkpoints.steps(copied) == [30, 40, 50]
    save(copied, 60, keep=1)
    assert checkpoints.steps(copied) == [60]


@pytest.mark.parametrize(
    ("step", "keep", "told"),
    [
        (40, 3, "step: got 40; it must be above 40, that of the newest checkpoint in"),
        (20, 3, "step: got 20; it must be above 40"),
        (50, 0, "keep: got 0; it must be at least 1"),
    ],
)
def test_a_step_that_is_there_and_a_keep_of_none_are_refused(step, keep, told, saved):
    with pytest.raises(ValueError, match=told):
        save(saved, step, keep=keep)
    assert checkpoints.steps(saved) == [20, 30, 40] and checkpoints.latest(saved) == 40


def test_a_first_step_below_zero_is_refused(tmp_path):
    with pytest.raises(ValueError, match="step: got -1; it must be at least 0"):
        checkpoints.save(tmp_path, -1, state_of(1), config=CONFIG, history=HISTORY)


def test_a_folder_may_be_text(saved, tmp_path):
    save(str(tmp_path / "new"), 5)
    folder = str(saved)
    assert (
        checkpoints.steps(folder) == [20, 30, 40] and checkpoints.latest(folder) == 40
    )
    found = checkpoints.restore(folder, state_of(0), config=CONFIG)
    assert found is not None and found.step == 40
    assert checkpoints.read(folder, 20).config == CONFIG
    checkpoints.clean(str(tmp_path / "new"), damaged=(5,))
    assert checkpoints.steps(tmp_path / "new") == []


def test_a_config_may_hold_tuples_and_the_numbers_of_numpy(tmp_path):
    config = {"sizes": (3, 4), "rate": np.float32(0.5), "units": np.int64(8), "x": 1}
    config |= {"nan": np.nan, "axis": np.arange(2), "scale": jnp.float32(2)}
    checkpoints.save(tmp_path, 1, state_of(1), config=config, history=HISTORY)
    read = {"sizes": [3, 4], "rate": 0.5, "units": 8, "x": 1.0, "scale": 2.0}
    for again in (config, read | {"nan": np.nan, "axis": [0, 1]}):
        found = checkpoints.restore(tmp_path, state_of(0), config=again)
        assert found is not None and found.step == 1
    with pytest.raises(ValueError, match=r"sizes was \[3, 4\] and is \[3, 5\]$"):
        checkpoints.restore(tmp_path, state_of(0), config=config | {"sizes": (3, 5)})


def test_a_config_that_json_does_not_know_is_refused_before_anything_is_written(copied):
    with pytest.raises(TypeError, match=r"got <object .*; it must be text, numbers"):
        checkpoints.save(copied, 50, state_of(1), config={"a": object()}, history={})
    assert {path.name for path in copied.iterdir()} == {"20", "30", "40"}


def test_what_it_was_made_with_comes_back(tmp_path):
    made = {"threads": np.int64(2), "jax": "1.2"}
    checkpoints.save(
        tmp_path, 1, state_of(1), config=CONFIG, history=HISTORY, made=made
    )
    found = checkpoints.restore(tmp_path, state_of(0), config=CONFIG)
    assert found is not None and found.made == {"threads": 2, "jax": "1.2"}


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


def with_cell(**weights):
    state = state_of(0)
    cell: Any = {**state.params.cell, **weights}
    return begin_training(state.key, state.params._replace(cell=cell), optax.adam(1e-3))


OTHER_STATES = {
    "another size": (
        with_cell(single=jnp.zeros((3, 8))),
        r"opt_state/0/mu/cell/single was 'float32\[3, 4\]' and is 'float32\[3, 8\]'; "
        "2 more differ$",
    ),
    "another dtype": (
        with_cell(half=jnp.zeros(5, jnp.float16)),
        r"opt_state/0/mu/cell/half was 'bfloat16\[5\]' and is 'float16\[5\]'; 2 more",
    ),
    "another cell": (
        with_cell(gate=jnp.zeros(2)),
        r"opt_state/0/mu/cell/gate was None and is 'float32\[2\]'; 2 more differ$",
    ),
    "another optimiser": (
        begin_training(jax.random.key(0), state_of(0).params, optax.sgd(1.0)),
        r"opt_state/0/count was 'int32\[\]' and is None; 8 more differ$",
    ),
    "several seeds": (
        jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state_of(0)),
        r"diverged_at was 'int32\[\]' and is 'int32\[2\]'; .* more differ$",
    ),
    "another key": (
        state_of(0)._replace(key=jax.random.key(0, impl="rbg")),
        "of other random numbers: key was 'threefry2x32' and is 'rbg'$",
    ),
    "a raw key": (
        state_of(0)._replace(key=jax.random.PRNGKey(0)),
        "of other random numbers: key was 'threefry2x32' and is None$",
    ),
}


@pytest.mark.parametrize(("like", "told"), OTHER_STATES.values(), ids=OTHER_STATES)
def test_another_state_is_refused_with_the_difference(like, told, saved):
    with pytest.raises(ValueError, match=told) as refused:
        checkpoints.restore(saved, like, config=CONFIG)
    assert str(refused.value).startswith(
        f"the checkpoint of step 40 in {saved} is that"
    )
    assert "\n" not in str(refused.value)


def test_a_state_without_some_arrays_comes_back(tmp_path):
    state = with_cell(none=jnp.zeros((0, 3)))
    checkpoints.save(tmp_path, 1, state, config=CONFIG, history=HISTORY)
    found = checkpoints.restore(tmp_path, state, config=CONFIG)
    assert found is not None
    assert_same_bits(found.state, state)


def test_a_key_that_would_draw_other_numbers_is_refused(saved):
    assert settings.random_numbers()["jax_threefry_partitionable"]
    told = "of other random numbers: jax_threefry_partitionable was True and is False$"
    with jax.threefry_partitionable(False), pytest.raises(ValueError, match=told):
        checkpoints.restore(saved, state_of(0), config=CONFIG)


def rewritten(change):
    """What was said about the arrays, changed."""

    def odd(place):
        path = place / "_CHECKPOINT_METADATA"
        about = json.loads(path.read_text())
        change(about)
        path.write_text(json.dumps(about))

    return odd


ODD = {
    "nothing said": rewritten(lambda about: about.pop("custom_metadata")),
    "of another program": rewritten(lambda a: a.update(custom_metadata={"epoch": 1})),
    "without a config": rewritten(lambda a: a["custom_metadata"].pop("config")),
    "config a number": rewritten(lambda a: a["custom_metadata"].update(config=5)),
    "config nothing": rewritten(lambda a: a["custom_metadata"].update(config=None)),
    "no json": lambda place: (place / "_CHECKPOINT_METADATA").write_text("{"),
    "a list": lambda place: (place / "_CHECKPOINT_METADATA").write_text("[1]"),
    "no arrays known": lambda place: (place / "_METADATA").unlink(),
    "arrays' metadata odd": lambda place: (place / "_METADATA").write_text("{}"),
}


@pytest.mark.parametrize("spoil", ODD.values(), ids=ODD)
def test_a_whole_checkpoint_of_something_else_is_one_line(spoil, copied):
    spoil(copied / "40")
    sum_up(copied / "40")
    assert checkpoints.latest(copied) == 40
    with pytest.raises(CheckpointError) as told:
        checkpoints.restore(copied, state_of(0), config=CONFIG)
    assert re.fullmatch(
        rf"{copied / '40'} can't be read \(.*\); it must be a checkpoint of this "
        "version",
        str(told.value),
    )


def sum_up(place):
    """Makes a checkpoint whole again, as a shell would."""
    lines = (place / checkpoints.SUMS).read_text().splitlines()
    names = [line.split("  ")[1] for line in lines[:-1]]
    there = [name for name in names if (place / name).exists()]
    sums = subprocess.check_output(["sha256sum", *there], cwd=place, text=True)
    (place / checkpoints.SUMS).write_text(f"{sums}# {len(there)} files\n")
