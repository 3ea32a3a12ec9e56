"""`scripts/reproduce`: what is run, what is kept, and what a failure leaves behind."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.common import cli, environment, records, rows
from experiments.common.cli import ConfigError, option
from experiments.common.records import Quantity, take
from experiments.common.rows import Check, Row
from scripts import one_row, reproduce, rows_table
from scripts.reproduce import KEPT, RUN, STORED, plan
from scripts.row_processes import Ended

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Config(cli.Flags):
    """A row that takes no time."""

    value: int = option(1, cli.integer(minimum=0), "what is found")


def checks(record):
    found = take(record, "value")
    return [Check("the value is 2", "2 units", f"{found}", bool(found == 2))]


def run(config):
    if config.value == 0:
        raise FloatingPointError("nothing is found of 0")
    values = Quantity(np.array(config.value), (), "1")
    return records.new("toy", {"value": config.value}, 0.0, {"value": values}, {})


@pytest.fixture
def toy(monkeypatch):
    """An experiment that is a row, beside those of the package."""
    module = ModuleType("experiments.toy")
    sizes = {"smoke": {"value": 1}, "standard": {"value": 2}, "paper": {"value": 0}}
    row = Row("99", "a | toy", "nobody (2026), https://example.org/1", sizes, checks)
    plot = lambda record: Figure()
    vars(module).update(NAME="toy", Config=Config, run=run, plot=plot, ROW=row)
    monkeypatch.setitem(sys.modules, "experiments.toy", module)
    return module


def planned(folder, size="standard", value=2, code=None, replace=False):
    code = code or environment.code()
    return plan(folder / "toy", size, Config(value=value), code, replace)


def test_a_row_is_run_once_and_again_after_its_code_changed(toy, tmp_path):
    assert planned(tmp_path).what == RUN
    found = one_row.run("toy", "standard", tmp_path)
    assert found == [Check("the value is 2", "2 units", "2", True)]
    assert planned(tmp_path).what == STORED
    assert planned(tmp_path, replace=True).what == STORED
    assert planned(tmp_path, code="another").what == RUN


def test_a_record_of_another_size_or_configuration_is_kept_and_named(toy, tmp_path):
    one_row.run("toy", "standard", tmp_path)
    for size, value in (("smoke", 2), ("standard", 3), ("paper", 3)):
        kept = planned(tmp_path, size, value)
        assert kept.what == KEPT
        assert str(tmp_path / "toy") in kept.why
        assert "size standard" in kept.why
        assert planned(tmp_path, size, value, replace=True).what == RUN
    assert "another configuration" in planned(tmp_path, value=3).why


def test_a_record_without_a_size_is_kept(tmp_path):
    records.save(run(Config(value=2)), Figure(), tmp_path / "toy")
    assert planned(tmp_path).what == KEPT


def test_a_failed_run_leaves_the_stored_record_or_no_folder(toy, tmp_path):
    with pytest.raises(FloatingPointError):
        one_row.run("toy", "paper", tmp_path)
    assert not (tmp_path / "toy").exists()
    one_row.run("toy", "standard", tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "toy").iterdir()}
    toy.plot = lambda record: 1 / 0
    with pytest.raises(ZeroDivisionError):
        one_row.run("toy", "smoke", tmp_path)
    after = {path: path.read_bytes() for path in (tmp_path / "toy").iterdir()}
    assert after == before


def test_the_record_says_its_row_and_size(toy, tmp_path):
    one_row.run("toy", "smoke", tmp_path)
    record = records.load(tmp_path / "toy")
    made = record.made
    assert (made["row"], made["size"]) == ("99", "smoke")
    assert made["code"] == environment.code()
    assert made["threads"] >= 1


def test_the_table_has_the_rows_that_are_stored(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "modules", lambda: {"toy": toy})
    assert rows_table.text(rows_table.stored(tmp_path)) == ""
    records.save(run(Config(value=2)), Figure(), tmp_path / "toy")
    assert rows_table.stored(tmp_path) == []
    one_row.run("toy", "smoke", tmp_path)
    text = rows_table.text(rows_table.stored(tmp_path))
    assert (
        "| 99 | a \\| toy | nobody (2026), <https://example.org/1> | 2 units | 1 | "
        "not, 0 of 1 | "
    ) in text
    assert "`./scripts/reproduce --only=toy --size=smoke`" in text
    assert "| the value is 2 | 2 units | 1 | **no** |" in text


def test_what_is_told_without_being_asked_counts_for_nothing(toy, monkeypatch):
    monkeypatch.setitem(reproduce.ROWS, "toy", toy)
    told = [Check("a", "1", "2", True), Check("b", "1", "3", None)]
    assert rows.verdict(toy.ROW, told) == rows.REPRODUCED
    assert rows.verdict_lines(told) == ["yes: a: 2", "not asked: b: 3"]
    with pytest.raises(ValueError, match=r"checks: got none"):
        rows.verdict(toy.ROW, told[1:])
    ended = Ended("toy", 1.0, told, None)
    assert "reproduced, criteria that hold: 1 of 1, 1 not asked" in reproduce.told(
        ended
    )
    only_told = [told[0]._replace(published=""), told[1]]
    assert rows.verdict(toy.ROW, only_told) == rows.NOTHING_PUBLISHED


def test_a_record_without_what_the_criteria_ask_for_is_named(
    toy, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(rows, "modules", lambda: {"toy": toy})
    one_row.run("toy", "standard", tmp_path)
    path = tmp_path / "toy" / "record.json"
    path.write_text(path.read_text().replace('"value"', '"worth"'))
    np.savez(tmp_path / "toy" / "record.npz", worth=np.array(2))
    with pytest.raises(ConfigError, match=r"toy: .* no 'value', .* --replace makes"):
        rows_table.stored(tmp_path)
    monkeypatch.setitem(reproduce.ROWS, "toy", toy)
    assert not reproduce.compared(Ended("toy", 1.0, [], None), tmp_path)
    assert "no 'value'" in capsys.readouterr().err


def test_a_check_compares_criteria_with_those_stored(
    toy, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(reproduce.ROWS, "toy", toy)
    holding, failing = (
        Ended("toy", 1.0, [Check("the value is 2", "", "", holds)], None)
        for holds in (True, False)
    )
    assert reproduce.compared(holding, tmp_path)
    assert not reproduce.compared(failing, tmp_path)
    one_row.run("toy", "standard", tmp_path)
    assert reproduce.compared(holding, tmp_path)
    assert not reproduce.compared(failing, tmp_path)
    assert "they differ in: the value is 2" in capsys.readouterr().err
    one_row.run("toy", "smoke", tmp_path)  # stored, and fails
    assert not reproduce.compared(holding, tmp_path)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"only": ("letch",)}, r"only: got \('letch',\); it must be .*latch, cliff, "),
        ({"size": "large"}, "size: got 'large'; it must be one of smoke, standard, "),
        ({"check": True, "size": "paper"}, "check: got it with --size=paper; it must"),
        ({"check": True, "replace": True}, "check: got it with --replace; it must be"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(flags, message):
    with pytest.raises(ConfigError, match=message) as refused:
        reproduce.Config(**flags)
    assert "\n" not in str(refused.value)


def started(*flags):
    command = [sys.executable, "-m", "scripts.reproduce", *flags]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interrupted_run_stores_nothing_and_goes_on(tmp_path, how):
    flags = "--only=cliff", "--size=smoke", f"--out={tmp_path}"
    with started(*flags) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("cliff")  # the row's progress
        process.send_signal(how)
        said = process.stderr.read()
    assert process.returncode == cli.INTERRUPTED
    assert said.splitlines()[-1].startswith("error: interrupted; finished rows")
    assert not records.is_in(tmp_path / "cliff")
    for last in ("done in", "stored, not run"):
        with started(*flags) as process:
            assert process.stderr is not None
            assert f"cliff, smoke: {last}" in process.stderr.read()
        assert process.returncode == 0
    assert rows.size_of(records.load(tmp_path / "cliff")) == "smoke"
    # Of a process that was ended nothing is left.
    assert not [*tmp_path.rglob(".*")]


@pytest.mark.slow
def test_a_row_that_fails_is_said_with_its_last_line(tmp_path):
    (tmp_path / "cliff").write_text("a file where the folder should be")
    with started("--only=cliff", "--size=smoke", f"--out={tmp_path}") as process:
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 1
    assert "cliff, smoke: failed after" in said and "FileExistsError" in said
    assert "failed: cliff" in said
