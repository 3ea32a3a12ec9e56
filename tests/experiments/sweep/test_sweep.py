"""experiments.sweep: parts, killed and resumed, over devices."""

import csv
import dataclasses
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from small_sweeps import SMALL, changed, ended

from experiments import sweep, train
from experiments.common import environment
from experiments.common.cli import ConfigError
from experiments.common.lock import alone_in
from experiments.common.records import take
from experiments.sweep import Config, experiment, store
from experiments.sweep.config import run_config
from experiments.sweep.parts import Part, parts_of, plan
from experiments.sweep.rows import STATISTICS
from experiments.train.config import Config as RunConfig
from experiments.train.processes import Processes

ROOT = Path(__file__).parents[3]


ANY_LOSS = 1e9


def start(config, out, *flags):
    """A real process on its way, on as many devices as this one."""
    values = dataclasses.asdict(config).items()
    given = [f"--{name}={value}" for name, value in values if value is not None]
    given.append("--cpu_devices=1")
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.sweep", *given, f"--out={out}", *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process, path):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nothing disturbed, in this process."""
    out = tmp_path_factory.mktemp("whole")
    sweep.run(SMALL, out)
    return out


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(experiment, "train_part", lambda *_: pytest.fail("it trained"))


def saved_in(out):
    return {path.name: path.read_bytes() for path in (out / "cells").glob("[0-9]*")}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_is_done_survives_and_the_rest_follows_to_the_same_bits(
    number, whole, tmp_path
):
    process = start(SMALL, tmp_path)
    wait_for(process, tmp_path / "cells" / "0000.npz")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -signal.SIGKILL}.get(number, 130)
    before = saved_in(tmp_path)
    assert 1 <= len(before) < 6
    assert not (tmp_path / "sweep.csv").exists()
    times = {name: (tmp_path / "cells" / name).stat().st_mtime_ns for name in before}
    sweep.run(SMALL, tmp_path, resume=True)
    for name, time_of in times.items():
        assert (tmp_path / "cells" / name).stat().st_mtime_ns == time_of
    assert (tmp_path / "sweep.csv").read_bytes() == (whole / "sweep.csv").read_bytes()
    assert saved_in(tmp_path).keys() == saved_in(whole).keys()


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "train_part", interrupted)
    monkeypatch.setattr(experiment.flags, "FLAGS", SimpleNamespace(resume=False))
    there = partial(Processes, cpu_devices=jax.device_count())
    monkeypatch.setattr(experiment.processes, "from_flags", there)
    monkeypatch.setattr(sys, "argv", ["sweep.py", "--sweep=seed=1;clip=none"])
    with pytest.raises(SystemExit) as ended:
        experiment.command(changed(sweep="seed=1;clip=none"), tmp_path)
    assert ended.value.code == 130
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "error: interrupted; go on from the parts done with",
        "  python -m experiments.sweep '--sweep=seed=1;clip=none' --resume",
    ]


def test_the_csv_has_a_row_per_setting_in_the_order_of_the_sweep(whole):
    with (whole / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = [(row["learning_rate"], row["clip"]) for row in rows]
    rates = ("0.001", "0.01", "0.1")
    assert found == [(rate, clip) for rate in rates for clip in ("1.0", "none")]
    assert list(rows[0])[2:] == list(STATISTICS)
    assert {row["runs"] for row in rows} == {"2"}
    # What is written is what the record of the same folder holds.
    record = sweep.run(SMALL, whole, resume=True)
    written = [float(row["loss_median"]) for row in rows]
    assert_array_equal(take(record, "loss_median"), written)
    assert_allclose(np.median(take(record, "test_loss"), axis=1), written)
    assert (take(record, "updates") == 800).all()


def test_a_sweep_that_is_done_is_judged_anew_and_trains_nothing(whole, no_training):
    everything = sweep.run(changed(success_loss=ANY_LOSS), whole, resume=True)
    nothing = sweep.run(changed(success_loss=-1.0), whole, resume=True)
    assert take(everything, "successes").tolist() == [2] * 6
    assert take(nothing, "successes").tolist() == [0] * 6
    assert "In 6 of 6 settings" in everything.verdict[0]


@pytest.mark.parametrize(
    ("config", "resume", "told"),
    [
        (SMALL, False, "holds this sweep, 6 parts done; go on with --resume"),
        (changed(num_steps=7, seed=3), True, "num_steps was 800 and is 7; seed was 0"),
        (changed(sweep="seed=1"), False, "another sweep: .*is 'seed=1'"),
    ],
)
def test_the_folder_of_another_sweep_is_refused(config, resume, told, whole):
    before = saved_in(whole)
    with pytest.raises(ConfigError, match=told):
        sweep.run(config, whole, resume=resume)
    assert saved_in(whole) == before


def test_a_damaged_part_is_trained_again_and_told(whole, capsys):
    place, before = whole / "cells" / "0002.npz", saved_in(whole)
    for content in (before["0002.npz"][:-50], b"", b"not at all"):
        place.write_bytes(content)
        record = sweep.run(SMALL, whole, resume=True)
        told = f"{place} is damaged; its runs are trained again."
        assert record.verdict[0] == told and told in capsys.readouterr().err
        assert place.read_bytes() == before["0002.npz"]
    assert saved_in(whole) == before


@pytest.mark.parametrize("stride", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_one_bit_flipped_in_a_part_is_seen_or_changes_nothing(stride, tmp_path):
    (tmp_path / "cells").mkdir()
    part = ended([[0.1, 0.2], [0.3, 0.4]])
    store.save_part(tmp_path, 0, part)
    (place,) = (tmp_path / "cells").iterdir()
    content, seen = place.read_bytes(), 0
    for bit in range(0, 8 * len(content), stride):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        place.write_bytes(flipped)
        try:
            found = store.load_part(tmp_path, 0)
        except store.DamagedError:
            seen += 1
        else:
            assert found is not None
            for array, wanted in zip(found, part, strict=True):
                assert array.tobytes() == wanted.tobytes(), bit
    assert seen > 4 * len(content) / stride  # half of the bits


def test_other_random_numbers_are_another_sweep(whole, no_training):
    told = "another sweep: jax_threefry_partitionable was True and is False$"
    with jax.threefry_partitionable(False), pytest.raises(ConfigError, match=told):
        sweep.run(SMALL, whole, resume=True)


def test_a_sweep_that_goes_on_with_other_threads_says_so(
    whole, no_training, monkeypatch
):
    before = environment.threads()
    monkeypatch.setenv("NPROC", str(before + 1))
    record = sweep.run(SMALL, whole, resume=True)
    told = f"It continues under other conditions than up to now (threads was {before} "
    assert record.verdict[0].startswith(told)


@pytest.mark.parametrize("content", ["", "{", "5", "[1]"])
def test_a_description_that_is_damaged_is_refused(content, tmp_path):
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(ConfigError, match=r"sweep.json' is damaged; name another"):
        sweep.run(SMALL, tmp_path, resume=True)


def test_a_second_sweep_in_a_folder_is_refused(whole, no_training):
    with (
        alone_in(whole),
        pytest.raises(ConfigError, match="is at work; it must be a folder to which"),
    ):
        sweep.run(SMALL, whole, resume=True)


def test_what_a_killed_sweep_left_is_tidied_up(whole, no_training):
    for folder in (whole, whole / "cells"):
        (folder / ".unfinished-x").write_text("")
    (whole / "cells" / "²").write_text("stray")
    sweep.run(SMALL, whole, resume=True)
    assert [path.name for path in whole.rglob(".*")] == []
    (whole / "cells" / "²").unlink()


def test_with_nothing_to_resume_it_begins_and_says_so(tmp_path, capsys):
    config = changed(num_steps=2, sweep="seed=4")
    record = sweep.run(config, tmp_path, resume=True)
    assert record.verdict[0] == f"No sweep in {tmp_path}: it starts at the beginning."
    assert record.verdict[0] in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_is_that_of_the_trainer_and_one_that_diverges_disturbs_none():
    """Side by side, cut into parts, beside a run that goes 1e30 away."""
    config = Config(
        cell="lstm",
        hidden_size=3,
        length=5,
        batch_size=2,
        num_steps=20,
        num_seeds=2,
        test_size=7,
        success_loss=ANY_LOSS,
        sweep="learning_rate=1e-2,1e30,1e-1;forget_bias=-2,3;clip=0.01,1;seed=0,5",
        at_once=16,
    )
    assert len({part.common for part in plan(config)}) == 1
    record = sweep.run(config)
    settings = config.settings()
    wanted = {"learning_rate": 0.1, "forget_bias": 3.0, "clip": 0.01, "seed": 5}
    number = settings.index(wanted)
    alone = train.run(run_config(config, wanted))
    for name in ("loss", "accuracy"):
        found = take(record, f"test_{name}")[number]
        assert_allclose(found, take(alone, f"final_test_{name}"), rtol=1e-4)
    # No other setting is near it: each swept number counts.
    others = np.delete(take(record, "test_loss"), number, axis=0)
    assert (np.abs(others / take(record, "test_loss")[number] - 1) > 1e-3).all()
    lost = [setting["learning_rate"] == 1e30 for setting in settings]
    assert_array_equal(take(record, "diverged"), np.where(lost, 2, 0))
    assert_array_equal(take(record, "successes"), np.where(lost, 0, 2))
    assert (take(record, "diverged_at")[lost] == 2).all()
    assert (take(record, "updates")[lost] == 1).all()
    assert "16 of 48 runs diverged: learning_rate=1e+30" in record.verdict[-1]


@pytest.mark.parametrize(
    ("dtype", "digits"),
    [
        ("bfloat16", "float32"),  # losses are in float32
        pytest.param("float64", "float64", marks=pytest.mark.slow),
    ],
)
def test_every_dtype_trains_with_traced_numbers(dtype, digits):
    config = changed(num_steps=2, num_seeds=1, dtype=dtype, sweep="clip=0.1,1;seed=1,2")
    losses = take(sweep.run(config), "test_loss")
    assert np.isfinite(losses).all()
    assert (losses == losses.astype(digits)).all()
    assert (losses == losses.astype("float32")).all() == (digits == "float32")


def test_shapes_make_groups_and_groups_equal_parts():
    config = changed(
        sweep="hidden_size=2,3;learning_rate=1,2,3,4,5;cell=rnn,gru",
        at_once=7,
        num_seeds=2,
    )
    parts = plan(config)
    settings = config.settings()
    kinds = [(2, "rnn"), (2, "gru"), (3, "rnn"), (3, "gru")]
    assert [(p.common.hidden_size, p.common.cell) for p in parts[::2]] == kinds
    assert [len(part.members) for part in parts] == [3, 2] * 4
    assert {part.width for part in parts} == {3}
    assert sorted(n for part in parts for n in part.members) == list(range(20))
    for part in parts:
        for number in part.members:
            assert settings[number]["cell"] == part.common.cell
            assert settings[number]["hidden_size"] == part.common.hidden_size
    # Never less than a whole setting.
    assert {p.width for p in plan(changed(num_seeds=9))} == {1}


@pytest.mark.parametrize(
    ("mesh", "num_seeds", "width"),
    [("data:8", 3, 3), ("seed:2", 3, 4), ("seed:4", 2, 4), ("seed:3", 3, 3)],
)
def test_devices_get_as_many_runs_each_and_parts_stay_what_they_are(
    mesh, num_seeds, width
):
    config = changed(sweep="seed=1,2,3,4,5", at_once=9, num_seeds=num_seeds, mesh=mesh)
    parts = parts_of(config)
    assert [part.members for part in parts] == [(0, 1, 2), (3, 4)]
    assert {part.width for part in parts} == {width}


def test_a_batch_that_devices_can_not_share_is_refused_before_anything_runs(
    no_training,
):
    with pytest.raises(ConfigError, match=r"batch_size: got 2; .* multiple of 4"):
        sweep.run(changed(sweep="batch_size=2,4", mesh="data:4"))


@pytest.mark.slow
def test_four_devices_find_what_one_finds(tmp_path):
    """Three settings for two devices each; a fourth fills the program up."""
    config = changed(
        num_steps=20,
        num_seeds=1,
        dtype="float64",
        sweep="learning_rate=1e-2,1e30,1e-1",
        at_once=3,
        mesh="data:2,seed:2",
    )
    process = start(config, tmp_path, "--cpu_devices=4")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    on_one = dataclasses.replace(config, mesh=None)
    sweep.run(on_one, tmp_path / "one")
    wanted, found = (
        list(csv.DictReader((out / "sweep.csv").read_text().splitlines()))
        for out in (tmp_path / "one", tmp_path)
    )
    assert [row["diverged"] for row in found] == ["0", "1", "0"]
    for row, wanted_row in zip(found, wanted, strict=True):
        numbers, wanted_numbers = (
            [float(value) for value in of.values()] for of in (row, wanted_row)
        )
        assert_allclose(numbers, wanted_numbers, rtol=1e-10)
        assert row.keys() == wanted_row.keys()
    # What devices found can be gone on from on one.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "train_part", lambda *_: pytest.fail("it trained"))
        sweep.run(on_one, tmp_path, resume=True)


def test_settings_that_share_a_program_come_back_in_the_order_of_the_sweep():
    parts = [part_of(0, 2), part_of(3), part_of(1)]
    outcomes = [ended([[0.0], [2.0]]), ended([[3.0]]), ended([[1.0]])]
    joined = experiment.in_order(parts, outcomes)
    assert joined.loss.ravel().tolist() == [0, 1, 2, 3]


def part_of(*members):
    return Part(RunConfig(), members, len(members))


def test_the_last_seeds_are_swept():
    plan(sweep.Config(seed=2**32 - 3, num_seeds=3, num_steps=1))
