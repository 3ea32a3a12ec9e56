"""Records: where they come from, and that they come back from disk whole."""

import io
import json
import os
import signal
import subprocess

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import cliff
from experiments.common import records

FILES = ["figure.png", "figure.svg", "record.json", "record.npz"]


def test_a_commit_is_marked_where_code_differs_but_not_for_stored_records(tmp_path):
    assert records.commit_of(tmp_path) is None
    code, record = tmp_path / "code.py", tmp_path / records.STORED[0] / "record.jsonl"
    record.parent.mkdir(parents=True)
    for file in (code, record):
        file.write_text("first")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "a"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    commit = records.commit_of(tmp_path)
    assert commit
    record.write_text("second")
    assert records.commit_of(record.parent) == commit
    code.write_text("second")
    assert records.commit_of(record.parent) == f"{commit}-dirty"


@pytest.fixture(scope="module")
def made():
    """A record of a run, which was on no disk."""
    return cliff.run(cliff.Config(**cliff.ROW.sizes["smoke"]))


def test_a_record_comes_back_from_disk_and_draws_the_same(made, tmp_path):
    records.save(made, cliff.plot(made), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    loaded = records.load(tmp_path)
    assert loaded.rows == made.rows
    assert loaded.axes == made.axes
    assert list(loaded.arrays) == list(made.arrays)
    for name, (values, axes, unit) in loaded.arrays.items():
        np.testing.assert_array_equal(values, made.arrays[name].values)
        assert (axes, unit) == made.arrays[name][1:]
    again = io.BytesIO()
    cliff.plot(loaded).savefig(again, format="png", dpi=200)
    assert again.getvalue() == (tmp_path / "figure.png").read_bytes()
    by_whom = json.loads((tmp_path / "record.json").read_text())["made"]
    how = {"versions", "device", "threads", "commit"}
    assert set(by_whom) == how | {"date", "wall_seconds"}
    assert by_whom["versions"]["jax"] and by_whom["threads"] >= 1


def test_an_interrupt_while_files_are_moved_waits_for_the_last(
    made, tmp_path, monkeypatch
):
    moved = []
    replace = os.replace

    def replace_and_interrupt(source, target):
        replace(source, target)
        moved.append(target)
        if len(moved) == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", replace_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        records.save(made, Figure(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
