"""experiments.sweep: what is swept, killed and resumed, counted, drawn and refused."""

import csv
import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from experiments import sweep, train
from experiments.common import environment, records
from experiments.common.cli import ConfigError
from experiments.common.lock import alone_in
from experiments.common.records import take
from experiments.sweep import Config, experiment, store
from experiments.sweep import parts as parts_module
from experiments.sweep.config import SWEEPABLE, run_config
from experiments.sweep.parts import Outcome, Part, plan
from experiments.sweep.rows import STATISTICS, ranking, rows_of, successes
from experiments.sweep.settings import drawn, grid, parse
from experiments.train.config import Config as RunConfig
from experiments.train.processes import Processes

ROOT = Path(__file__).parent.parent
# One setting a part, and long enough for a kill in the middle.
SMALL = Config(
    cell="rnn",
    hidden_size=3,
    length=4,
    batch_size=2,
    num_steps=800,
    num_seeds=2,
    test_size=5,
    sweep="learning_rate=1e-3,1e-2,1e-1;clip=1,none",
    at_once=1,
)
NAN, INF = float("nan"), float("inf")
ANY_LOSS = 1e9
QUARTERS = (0.25, 0.5, 0.75)


def changed(**values):
    return dataclasses.replace(SMALL, **values)


def start(config, out, *flags):
    """A real process on its way."""
    values = dataclasses.asdict(config).items()
    given = [f"--{name}={value}" for name, value in values if value is not None]
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


def parts_of(out):
    return {path.name: path.read_bytes() for path in (out / "cells").glob("[0-9]*")}


INTERRUPTED = pytest.param(signal.SIGINT, marks=pytest.mark.slow)


@pytest.mark.parametrize("number", [signal.SIGKILL, INTERRUPTED])
def test_what_is_done_survives_and_the_rest_follows_to_the_same_bits(
    number, whole, tmp_path
):
    process = start(SMALL, tmp_path)
    wait_for(process, tmp_path / "cells" / "0000.npz")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -signal.SIGKILL}.get(number, 130)
    before = parts_of(tmp_path)
    assert 1 <= len(before) < 6
    assert not (tmp_path / "sweep.csv").exists()
    times = {name: (tmp_path / "cells" / name).stat().st_mtime_ns for name in before}
    sweep.run(SMALL, tmp_path, resume=True)
    for name, time_of in times.items():
        assert (tmp_path / "cells" / name).stat().st_mtime_ns == time_of
    assert (tmp_path / "sweep.csv").read_bytes() == (whole / "sweep.csv").read_bytes()
    assert parts_of(tmp_path).keys() == parts_of(whole).keys()


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "train_part", interrupted)
    monkeypatch.setattr(experiment.flags, "FLAGS", SimpleNamespace(resume=False))
    monkeypatch.setattr(experiment.processes, "from_flags", Processes)
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
    before = parts_of(whole)
    with pytest.raises(ConfigError, match=told):
        sweep.run(config, whole, resume=resume)
    assert parts_of(whole) == before


def test_a_damaged_part_is_trained_again_and_told(whole, capsys):
    place, before = whole / "cells" / "0002.npz", parts_of(whole)
    for content in (before["0002.npz"][:-50], b"", b"not at all"):
        place.write_bytes(content)
        record = sweep.run(SMALL, whole, resume=True)
        told = f"{place} is damaged; its runs are trained again."
        assert record.verdict[0] == told and told in capsys.readouterr().err
        assert place.read_bytes() == before["0002.npz"]
    assert parts_of(whole) == before


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
    told = f"It goes on otherwise than up to now (threads was {before} and is "
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
    mesh, num_seeds, width, monkeypatch
):
    monkeypatch.setattr(parts_module, "_check", lambda common: None)  # no such devices
    config = changed(sweep="seed=1,2,3,4,5", at_once=9, num_seeds=num_seeds, mesh=mesh)
    parts = plan(config)
    assert [part.members for part in parts] == [(0, 1, 2), (3, 4)]
    assert {part.width for part in parts} == {width}


def test_a_batch_that_devices_can_not_share_is_refused_before_anything_runs(
    no_training, monkeypatch
):
    four = SimpleNamespace(shape={"seed": 1, "data": 4})
    monkeypatch.setattr(parts_module, "_mesh", lambda common: four)
    with pytest.raises(ConfigError, match=r"batch_size: got 2; .* multiple of 4"):
        sweep.run(changed(sweep="batch_size=4,2", mesh="data:4"))


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
    joined = experiment._in_order(parts, outcomes)
    assert joined.loss.ravel().tolist() == [0, 1, 2, 3]


def part_of(*members):
    return Part(RunConfig(), members, len(members))


def ended(loss, accuracy=None, diverged_at=None):
    """An outcome made up."""
    loss = np.array(loss, float)
    never = np.full(loss.shape, -1)
    return Outcome(
        loss=loss,
        accuracy=np.zeros_like(loss) if accuracy is None else np.array(accuracy),
        updates=np.full(loss.shape, 9),
        diverged_at=never if diverged_at is None else np.array(diverged_at),
        solved_at=never,
    )


OUTCOME = ended(
    [
        [0.5, 0.1, 0.2, 0.3, 0.4],
        [0.1, 0.1, 0.1, 0.1, NAN],
        [0.1, 0.1, 0.1, 0.1, 0.1],
        [0.9, INF, 1e13, 0.1, 0.1],
        [0.2, 0.2, 0.2, 0.2, 0.9],
    ],
    accuracy=np.full((5, 5), 0.5),
    diverged_at=[[-1] * 5, [-1] * 5, [-1] * 5, [3, -1, -1, 4, 5], [-1] * 5],
)
OF_FIVE = Config(sweep="seed=0,1,2,3,4", success_loss=0.2, num_seeds=5)


def test_statistics_are_those_of_the_runs_that_did_not_diverge():
    rows = rows_of(OF_FIVE, OUTCOME)
    assert [row["successes"] for row in rows] == [2, 4, 5, 0, 4]
    assert [row["diverged"] for row in rows] == [0, 1, 0, 5, 0]
    quartiles = [rows[0][f"loss_{name}"] for name in ("q25", "median", "q75")]
    assert_allclose(quartiles, [0.2, 0.3, 0.4])
    assert rows[1]["loss_q75"] == 0.1 and np.isnan(rows[3]["loss_median"])
    assert rows[0]["accuracy_median"] == 0.5
    # Wilson's interval, for 5 of 5: n / (n + z²).
    assert_allclose(rows[2]["success_low"], 5 / (5 + 1.959964**2), rtol=1e-6)
    assert rows[2]["success_rate"] == rows[2]["success_high"] == 1
    # By successes, then fewest diverged, then the loss.
    assert ranking(rows).tolist() == [2, 4, 1, 0, 3]


def test_without_a_loss_the_accuracy_decides():
    config = dataclasses.replace(OF_FIVE, success_loss=None, success_accuracy=0.5)
    assert successes(config, OUTCOME).sum(1).tolist() == [5, 4, 5, 0, 5]
    config = dataclasses.replace(config, success_accuracy=0.51)
    assert not successes(config, OUTCOME).any()


def test_table_and_verdict_name_the_best_and_what_diverged():
    record = experiment.record_of(OF_FIVE, OUTCOME, ["A note."], 1.0)
    assert [row["seed"] for row in record.rows] == ["2", "4", "1", "0", "3"]
    assert record.rows[0]["succeed"] == "5/5 [0.57, 1.00]"
    assert record.rows[-1]["test loss"] == "-"
    assert record.verdict == [
        "A note.",
        "In 3 of 5 settings most seeds succeed: a test loss of at most 0.2.",
        "Best: seed=2: 5/5 [0.57, 1.00] succeed, median test loss 0.1.",
        "6 of 25 runs diverged: seed=1; seed=3.",
    ]


def figure_of(text, loss, **values):
    config = changed(sweep=text, num_seeds=len(loss[0]), success_loss=0.25, **values)
    return experiment.plot(experiment.record_of(config, ended(loss), [], 1.0))


def markers_of(axes):
    """The line of what `errorbar` drew first."""
    (bars, *_) = axes.containers
    return bars.lines[0]


def test_one_field_is_a_curve_of_median_quartiles_and_share(tmp_path):
    figure = figure_of("learning_rate=1e-1,1e-3", [[0.2, 0.3, 0.1], [0.9, NAN, NAN]])
    upper, lower = figure.axes
    assert upper.get_yscale() == lower.get_xscale() == "log"
    median = markers_of(upper)
    assert_allclose(median.get_xydata(), [[1e-3, 0.9], [1e-1, 0.2]])
    share = markers_of(lower)
    assert_allclose(share.get_ydata(), [0, 2 / 3])
    crosses = [text for text in upper.texts if text.get_text() == "×"]
    places = [getattr(cross, "xy", None) for cross in crosses]
    assert places == [(1e-3, 1)]
    figure.savefig(tmp_path / "figure.png")


def test_two_fields_are_maps(tmp_path):
    losses = [[0.1, 0.2], [0.3, 0.4], [0.1, 0.3], [0.5, 0.6], [NAN, 0.7], [NAN, NAN]]
    figure = figure_of("cell=rnn,gru;hidden_size=2,4,8", losses)
    shares, medians = (np.ma.array(axes.images[0].get_array()) for axes in figure.axes)
    assert_allclose(shares, [[1, 0, 0.5], [0, 0, 0]])
    assert_allclose(medians.filled(9), [[0.15, 0.35, 0.2], [0.55, 0.7, 9]])
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["rnn", "gru"]
    assert [text.get_text() for text in right.texts][4:6] == ["0.7 ×1", "×2"]
    figure.savefig(tmp_path / "figure.png")


@pytest.mark.parametrize("count", [5, 60])
def test_more_fields_are_strips_the_best_first(count, tmp_path):
    losses = [[(7 * n % count + 1) / 100] for n in range(count)]
    figure = figure_of(
        "learning_rate=log:1e-3:1;cell=rnn,gru;clip=uniform:1:2", losses, random=count
    )
    upper, _, strips = figure.axes
    drawn = markers_of(upper).get_ydata()
    assert_array_equal(drawn, np.sort(np.ravel(losses)))
    assert len(strips.images) == 3
    assert len(strips.texts) == (15 if count == 5 else 0)
    figure.savefig(tmp_path / "figure.png")


def test_a_record_is_drawn_from_its_files(tmp_path):
    record = experiment.record_of(OF_FIVE, OUTCOME, [], 1.0)
    records.save(record, experiment.plot(record), tmp_path)
    loaded = records.load(tmp_path)
    assert_array_equal(take(loaded, "test_loss"), OUTCOME.loss)
    assert len(experiment.plot(loaded).axes) == 2


def test_a_grid_has_every_combination_the_last_field_fastest():
    swept = parse("cell=rnn,gru; learning_rate=1e-3,2;clip=none", SWEEPABLE)
    assert grid(swept) == [
        {"cell": cell, "learning_rate": rate, "clip": "none"}
        for cell in ("rnn", "gru")
        for rate in (1e-3, 2.0)
    ]


def draws(text, count, seed=0):
    return drawn(parse(text, SWEEPABLE), count, seed)


def test_draws_are_even_in_the_logarithm_or_in_the_value():
    found = draws(
        "learning_rate=log:1e-4:1;forget_bias=uniform:-1:3;cell=rnn,gru", 2000
    )
    rates = np.array([setting["learning_rate"] for setting in found])
    biases = np.array([setting["forget_bias"] for setting in found])
    # Standard errors of these shares are 0.011.
    assert_allclose(
        [(rates < x).mean() for x in (1e-3, 1e-2, 0.1)], QUARTERS, atol=0.05
    )
    assert_allclose([(biases < x).mean() for x in (0, 1, 2)], QUARTERS, atol=0.05)
    assert abs(np.mean([s["cell"] == "rnn" for s in found]) - 0.5) < 0.05
    assert (
        (rates >= 1e-4).all() and (rates <= 1).all() and (np.abs(biases - 1) <= 2).all()
    )
    # What a table shows can be given to --sweep again.
    assert all(float(f"{rate:.4g}") == rate for rate in rates)


def test_draws_are_different_follow_from_the_seed_and_keep_integers():
    found = draws("hidden_size=log:2:6", 5)
    assert sorted(setting["hidden_size"] for setting in found) == [2, 3, 4, 5, 6]
    assert all(isinstance(setting["hidden_size"], int) for setting in found)
    assert (
        found == draws("hidden_size=log:2:6", 5) != draws("hidden_size=log:2:6", 5, 1)
    )
    assert draws("cell=rnn,gru", 1, 3) == draws("cell=rnn,gru", 2, 3)[:1]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"sweep": "rate=1"},
            r"sweep: got the field 'rate'; it must be one of task, ce",
        ),
        (
            {"sweep": "num_seeds=1,2"},
            "sweep: got the field 'num_seeds'; it must be one",
        ),
        ({"sweep": "seed=1;cell=rnn;seed=2"}, "sweep: got the field 'seed' twice"),
        ({"sweep": "seed"}, "sweep: got 'seed'; it must be FIELD=VALUE"),
        ({"sweep": "seed=1;"}, "sweep: got ''; it must be FIELD=VALUE"),
        ({"sweep": ""}, "sweep: got ''; it must be text"),
        (
            {"sweep": "seed="},
            "seed: got no value to sweep; it must be an integer, at le",
        ),
        ({"sweep": "seed=1,,2"}, "seed: got ''; it must be an integer, at least 0"),
        ({"sweep": "seed=1,-1"}, "seed: got '-1'; it must be an integer, at least 0"),
        ({"sweep": "cell=lst"}, "cell: got 'lst'; it must be one of rnn"),
        (
            {"sweep": "learning_rate=0"},
            "learning_rate: got '0'; it must be a finite num",
        ),
        (
            {"sweep": "learning_rate=nan"},
            "learning_rate: got 'nan'; it must be a finite",
        ),
        ({"sweep": "clip=1,some"}, "clip: got 'some'; it must be .*, or 'none'"),
        ({"sweep": "clip=1,1.0"}, "clip: got 1,1.0; its values must be different"),
        ({"sweep": "seed=uniform:0:9"}, "seed: got the range uniform:0:9; .* --random"),
        ({"sweep": "cell=lstm,rnn;forget_bias=1"}, "forget_bias: got 1.0; it must not"),
        ({"sweep": "length=2,1;seed=1"}, "length: got 1"),
        ({"sweep": "mesh=seed:1"}, "sweep: got the field 'mesh'; it must be one of"),
        ({"mesh": "seed:999"}, "mesh: got 'seed:999', 999 devices; it must be at most"),
        (
            {"eval_interval": 10},
            "eval_interval: got 10; it must not be given to a sweep",
        ),
        (
            {"learning_rate": -1.0},
            "learning_rate: got -1.0; it must be a finite number",
        ),
    ],
)
def test_what_can_not_be_swept_is_one_line_before_anything_runs(
    values, told, no_training
):
    with pytest.raises(ConfigError, match=told) as refused:
        sweep.run(changed(**values))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("forget_bias=log:0:1", "'log:0:1'; the ends of log must be above 0"),
        ("forget_bias=log:-1:1", "'log:-1:1'; the ends of log must be above 0"),
        ("clip=log:0:1", "clip: got '0'; it must be a finite number above 0"),
        ("clip=log:none:1", "clip: got 'log:none:1'; the ends must be numbers"),
        ("cell=uniform:rnn:gru", "cell: got .*; the ends must be numbers"),
        ("clip=log:1:1", "'log:1:1'; the first end must be the smaller"),
        ("clip=log:1", "'log:1'; a range must be log:LOW:HIGH or uniform:LOW:HIGH"),
        ("clip=lin:1:2", "'lin:1:2'; a range must be log:LOW:HIGH or uniform"),
        ("clip=log:1:inf", "clip: got 'inf'; it must be a finite number"),
        ("seed=log:1:2.5", "seed: got '2.5'; it must be an integer"),
        ("cell=rnn,gru;seed=1,2", "random: got 5; it must be at most 4, for --sweep"),
    ],
)
def test_a_range_that_makes_no_sense_is_one_line(text, told):
    with pytest.raises(ConfigError, match=told):
        changed(sweep=text, random=5, cell="gru")
