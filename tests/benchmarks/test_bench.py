"""The benchmark: every family at a tiny size, its statistics and its tables."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from problems import slow_but

from benchmarks import __main__ as command
from benchmarks import compare, sides, table, timing
from benchmarks.cases import layer, linear
from benchmarks.shapes import TINY
from benchmarks.sides import Comparison, Disagreement, Setting, Side
from benchmarks.timing import Round
from experiments.common.cli import ConfigError

ROOT = Path(__file__).parents[2]
HOW_TO_REGENERATE = "run: ./scripts/bench table, after a new record"
PEERS = {
    "PyTorch",
    "Flax linen OptimizedLSTMCell",
    "Flax linen LSTMCell",
    "Flax nnx OptimizedLSTMCell",
    "Flax nnx LSTMCell",
    "Haiku LSTM",
    "Equinox LSTMCell",
    "Keras LSTM",
}
QUICK = Setting(rounds=2, compile_rounds=0)
FIELDS = {
    *("kind", "case", "shape", "T", "B", "D", "H", "dtype", "precision", "devices"),
    *("work",),
    *("measure", "unit", "our_side", "peer_side", "ours", "peer", "ratio", "q1", "q3"),
    *("rounds", "dropped", "quiet"),
}


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(timing, "SLICE", 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several, on busy cores, wait for each other
    yield
    torch.set_num_threads(threads)


def side(name, answer):
    return Side(name, run=lambda: None, answer=lambda: answer)


def a_line(**changes):
    """A line of the record, as `measure` writes it."""
    comparison = Comparison("layer", "lm", "forward", side("lstm_jax", 0), side("X", 0))
    found = timing.summarize([Round(0.002, 0.003)], 1, 1000.0)
    shape = TINY._replace(name="lm")
    return {**compare.line(comparison, shape, Setting(), "time", found), **changes}


HEADER = {
    "kind": "header",
    "date": "2026-01-02T03:04:05+00:00",
    "commit": "abc",
    "cpu": "a CPU",
    "cores": 2,
    "torch_threads": 2,
    "devices": 1,
    "compiler_options": {},
    "rounds": 15,
    "versions": {"jax": "0.10.2", "torch": "2.13.0"},
}


# --- Every family ---------------------------------------------------------------------


@pytest.mark.parametrize("name", slow_but(["step"], command.CASES))
def test_every_family_runs_and_its_sides_agree(name, monkeypatch):
    case, _ = command.CASES[name]
    if name == "cells":  # compiling is what takes time here
        monkeypatch.delitem(layer.WORK, "forward")
    if name == "linear":  # of all cells: test_linear_peers
        monkeypatch.setattr(linear, "CELLS", (linear.lj.cells.MIN_GRU,))
        monkeypatch.delitem(linear.WORK, "forward+backward")
    # The compile family measures nothing but compile times.
    setting = QUICK._replace(compile_rounds=1) if name == "compile" else QUICK
    lines = [
        line
        for comparison in case(TINY, setting)
        for line in compare.measure(comparison, TINY, setting)
    ]
    if name == "checkpoint" and not lines:
        pytest.skip("lj.unroll has no checkpoint_every")
    assert lines
    assert name != "layer" or {line["peer_side"] for line in lines} >= PEERS
    for line in lines:
        assert line.keys() == FIELDS
        assert line["case"] == name
        assert json.loads(json.dumps(line)) == line
        assert min(line[field] for field in ("ours", "peer", "ratio", "q1", "q3")) > 0


@pytest.mark.slow
def test_the_command_on_two_devices_writes_header_and_lines(tmp_path):
    flags = ["--cases=step,curve", "--shapes=tiny", "--rounds=2"]
    flags += ["--cpu_devices=2", f"--out={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "curve: runs on one device only; left out" in done.stdout
    header, *lines = map(
        json.loads, (tmp_path / "record.jsonl").read_text().splitlines()
    )
    assert header.keys() >= HEADER.keys()
    assert {line["case"] for line in lines} == {"step"}
    assert {line["devices"] for line in [header, *lines]} == {2}
    assert table.read(tmp_path / "record.jsonl") == []  # tiny enters no table


def test_a_wrong_case_is_refused():
    with pytest.raises(ConfigError, match="each one of layer") as caught:
        command.Config(cases=("speed",))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_wrong_flag_is_one_clear_line():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--cases=speed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "must be different values with commas, each one of layer" in done.stderr


# --- The check ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [{"a": np.array([1.0, 2.001])}, {"a": np.ones(3)}, {"b": np.array([1.0, 2.0])}],
    ids=["value", "shape", "structure"],
)
def test_a_side_that_disagrees_raises_before_it_is_timed(other):
    ours, peer = side("ours", {"a": np.array([1.0, 2.0])}), side("peer", other)
    comparison = Comparison("layer", "tiny", "forward", ours, peer)
    with pytest.raises(Disagreement, match="peer"):
        next(compare.measure(comparison, TINY, QUICK))


def test_not_a_number_disagrees():
    wanted, got = side("ours", np.ones(2)), side("peer", np.array([1.0, np.nan]))
    with pytest.raises(Disagreement):
        sides.check(wanted, got)


def test_the_check_sees_the_gradients_of_a_peer(monkeypatch):
    def other_forget_bias(params):
        return params._replace(b=params.b + 0.01)

    wrong = layer.layers.ours()._replace(name="wrong", copy=other_forget_bias)
    monkeypatch.setattr(layer.layers, "ours_otherwise", lambda: [])
    monkeypatch.delitem(layer.WORK, "forward")
    monkeypatch.setattr(layer.layers, "jax_layers", lambda shape: [wrong])
    backward = [
        comparison
        for comparison in layer.layer(TINY, QUICK)
        if comparison.work == "forward+backward" and comparison.peer.name == "wrong"
    ]
    assert len(backward) == 1
    with pytest.raises(Disagreement, match="wrong is off by"):
        sides.check(backward[0].ours, backward[0].peer)


# --- The statistics -------------------------------------------------------------------


def test_the_ratio_is_the_median_of_the_ratios_of_the_rounds():
    # The ratio of the medians would be 2 / 3.
    rounds = [Round(1.0, 2.0), Round(3.0, 1.0), Round(4.0, 8.0)]
    found = timing.summarize(rounds, 3, scale=1000.0)
    assert (found.ours, found.peer) == (3000.0, 2000.0)
    assert found.ratio == 2.0
    assert found.rounds == 3


def test_quartiles_are_those_of_the_ratios():
    found = timing.summarize([Round(1.0, k) for k in (1.0, 2.0, 3.0, 4.0, 5.0)], 5)
    assert (found.q1, found.ratio, found.q3) == (2.0, 3.0, 4.0)


def test_rounds_in_which_others_ran_are_dropped():
    rounds = [Round(1.0, 2.0), Round(1.0, 2.0), Round(1.0, 90.0, others=0.5)]
    found = timing.summarize(rounds, 2)
    assert (found.ratio, found.q3) == (2.0, 2.0)
    assert (found.rounds, found.dropped, found.quiet) == (2, 1, True)


def test_where_too_few_rounds_were_quiet_all_count_and_it_says_so():
    disturbed = [Round(1.0, 4.0, others=0.5)] * 5
    found = timing.summarize([Round(1.0, 2.0), *disturbed], 4)
    assert found.ratio == 4.0
    assert (found.rounds, found.dropped, found.quiet) == (6, 5, False)


def test_the_sides_take_turns_until_enough_rounds_were_quiet(monkeypatch):
    calls = []
    shares = iter([0.0, 0.9, 0.0, 0.0])
    monkeypatch.setattr(timing, "others_share", lambda **_: next(shares))
    rounds = timing.alternate(lambda: calls.append("A"), lambda: calls.append("B"), 3)
    assert "".join(calls) == "AABB" * 4  # warmed once, timed once
    assert len(timing.quiet_rounds(rounds)) == 3


def test_a_machine_that_is_never_quiet_ends_after_three_times_the_rounds(monkeypatch):
    monkeypatch.setattr(timing, "others_share", lambda **_: 0.9)
    assert len(timing.alternate(lambda: None, lambda: None, 4)) == 12


def test_the_share_of_others_is_what_was_busy_beside_us(monkeypatch):
    monkeypatch.setattr(timing, "os", SimpleNamespace(cpu_count=lambda: 2))
    share = timing.others_share(busy=0.91, own=0.5, wall=1.0)
    assert share == pytest.approx(0.2)
    assert timing.others_share(busy=0.5, own=0.5, wall=1.0) == 0.0


def test_busy_seconds_leave_idle_and_waiting_out(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 9000 800 4 5 6 70 0\ncpu0 1 2 3\n")
    monkeypatch.setattr(timing, "STAT", stat)
    assert timing.busy_seconds() == pytest.approx(1.65)
    monkeypatch.setattr(timing, "STAT", tmp_path / "missing")
    assert timing.busy_seconds() == 0.0


# --- The tables -----------------------------------------------------------------------


def write_record(path, lines):
    path.write_text("".join(json.dumps(one) + "\n" for one in [HEADER, *lines]))
    return table.read(path)


def test_a_table_is_made_from_the_latest_lines(tmp_path):
    lines = [
        a_line(),
        a_line(ratio=4.0),
        a_line(shape="mid", ratio=1.0),
        a_line(shape="tiny"),
    ]
    made = table.tables(write_record(tmp_path / "record.jsonl", lines), "layer")
    assert "2026-01-02, commit abc, a CPU, 2 cores" in made
    assert "**forward, time** (ms), one device" in made
    head, _, row = made.strip().splitlines()[-3:]
    assert head == "| lstm_jax | against | lm | mid | geometric mean |"
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == ["lstm_jax", "X"]
    assert cells[2] == "**4.00** [1.50, 1.50]<br>2, 3"
    assert cells[4] == "2.00"  # of 4 and 1


def test_in_words_it_is_pytorch_on_the_devices_of_the_rule(tmp_path):
    mine = {"work": "forward+backward", "peer_side": "PyTorch", "devices": 2}
    lines = [
        a_line(**mine, ratio=4.0),
        a_line(**mine, ratio=1.0, shape="mid"),
        a_line(**mine | {"devices": 1}, ratio=9.0, shape="long"),  # not by the rule
    ]
    read, of_gpu = write_record(tmp_path / "record.jsonl", lines), tmp_path / "gpu"
    told = table.in_words(read, of_gpu)
    assert "**2.00** for a layer, forward and backward, from 1.00 (mid) to 4.00" in told
    assert told.endswith("No GPU has been timed.")
    for rehearsed, end in ((True, "No GPU has"), (False, "A GPU has")):
        header = HEADER | {"rehearsed": rehearsed}
        of_gpu.write_text(json.dumps(header) + "\n" + json.dumps(a_line()) + "\n")
        assert table.in_words(read, of_gpu).endswith(f"{end} been timed.")
    assert "not run yet" in table.in_words([])


def test_a_disturbed_line_says_so_in_both_tables(tmp_path):
    lines = [a_line(quiet=False, dropped=7)]
    assert "NOT QUIET, 7 rounds" in table.row(lines[0])
    made = table.tables(write_record(tmp_path / "record.jsonl", lines), "layer")
    assert "(disturbed)" in made


def test_writing_the_tables_twice_changes_nothing(tmp_path):
    lines = write_record(tmp_path / "record.jsonl", [a_line()])
    text = "a\n<!-- layer: made -->\nold\n<!-- end -->\nb\n"
    once = table.with_tables(text, lines)
    assert "old" not in once and "| lstm_jax | X |" in once
    assert table.with_tables(once, lines) == once


def test_the_readme_holds_the_tables_of_the_record_and_one_for_every_family():
    text = table.README.read_text()
    assert {name for _, name, _ in table.BLOCK.findall(text)} == {*command.CASES, "gpu"}
    assert table.with_tables(text, table.read(table.RECORD)) == text, HOW_TO_REGENERATE


@pytest.mark.parametrize(
    ("name", "devices"),
    [("adding", 2), ("mid", 2), ("seqmnist", 2), ("one", 1), ("lm", 1), ("long", 1)],
)
def test_the_rule_for_the_number_of_devices(name, devices):
    (shape,) = [shape for shape in command.shapes.LAYERS if shape.name == name]
    line = {"B": shape.batch, "D": shape.input, "H": shape.hidden}
    assert table.chosen_devices(line) == devices
