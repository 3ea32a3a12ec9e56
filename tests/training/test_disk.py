"""Files and folders: whole or not at all, on the disk before they have their names."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from killing import heard
from matplotlib.figure import Figure
from training.saving import save

from experiments.common import records
from experiments.common.records import Quantity
from experiments.sweep import store
from experiments.sweep.parts import Outcome
from experiments.train import metrics
from lstm_jax.training import disk

LOSS = {"loss": Quantity(np.ones(3), ("update",), "1")}
RECORD = records.new("train", {"seed": 1}, 0.0, LOSS, {}, verdict=["fine"])
PART = Outcome(*(np.full((2, 1), float(n)) for n in range(5)))

WRITERS = {
    "file": lambda out: disk.replace_file(out / "file", b"content"),
    "lines": lambda out: metrics.rewrite(out / "file", {"step": np.arange(2)}),
    "arrays": lambda out: metrics.save_arrays(out / "file", {"a": np.ones(2)}),
    "text": lambda out: store.write_text(out / "file", "text"),
    "table": lambda out: store.write_csv(out / "file", [{"a": 1}]),
    "part of a sweep": lambda out: store.save_part(out, 7, PART),
    "record": lambda out: records.save(RECORD, Figure(), out),
    "checkpoint": lambda out: save(out / "checkpoints", 10),
}
written = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    (folder / "cells").mkdir(parents=True)
    return folder


def files_of(out):
    return sorted(path for path in out.rglob("*") if path.is_file())


@pytest.fixture
def calls(monkeypatch):
    """Every fsync, by the inode that was written, and every rename, in order."""
    done = []

    def fsync(file, call=os.fsync):
        done.append(("fsync", os.fstat(file).st_ino))
        call(file)

    def replace(source, target, call=os.replace):
        done.append(("rename", Path(target)))
        call(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return done


@written
def test_all_of_it_is_on_the_disk_before_it_has_its_name(write, out, calls):
    write(out)
    first = next(n for n, call in enumerate(calls) if call[0] == "rename")
    for path in files_of(out):
        assert ("fsync", path.stat().st_ino) in calls[:first], path
    # And then the name.
    _, target = calls[first]
    assert ("fsync", target.parent.stat().st_ino) in calls[first:]


@written
def test_a_link_that_waits_for_a_temporary_file_is_not_followed(write, out, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for folder, name in (
        (out, ".file"),
        (out / "cells", ".0007.npz"),
        (out / "checkpoints", ".SHA256SUMS"),
    ):
        folder.mkdir(exist_ok=True)
        (folder / name).symlink_to(victim)
    write(out)
    assert victim.read_text() == "precious"


@written
def test_what_fails_leaves_nothing(write, out, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((OSError, RuntimeError), match="No space left on device"):
        write(out)
    assert files_of(out) == []


def test_others_may_read_what_is_written_as_their_umask_says(out):
    plain = out / "plain"
    plain.write_bytes(b"")
    disk.replace_file(out / "file", b"content")
    save(out / "checkpoints", 10)
    assert (out / "file").stat().st_mode == plain.stat().st_mode
    assert (out / "checkpoints" / "10").stat().st_mode == out.stat().st_mode


def test_a_file_system_that_keeps_no_list_of_names_is_borne(out, monkeypatch):
    def fsync(file):
        if os.path.isdir(f"/proc/self/fd/{file}"):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    disk.replace_file(out / "file", b"content")
    assert (out / "file").read_bytes() == b"content"


def test_folders_are_made_on_the_disk(out, calls):
    disk.make_folder(out / "a" / "b")
    assert (out / "a" / "b").is_dir()
    above = {("fsync", path.stat().st_ino) for path in (out, out / "a")}
    assert set(calls) == above
    disk.make_folder(out / "a" / "b")


def test_a_new_folder_that_stays_empty_goes_with_those_above_it(tmp_path):
    (tmp_path / "old").mkdir()
    with disk.folder_if_used(tmp_path / "new" / "below"):
        assert (tmp_path / "new" / "below").is_dir()
    with (
        disk.folder_if_used(tmp_path / "old"),
        disk.folder_if_used(tmp_path / "used" / "new"),
    ):
        (tmp_path / "used" / "file").write_text("")
    with pytest.raises(OSError), disk.folder_if_used(tmp_path / "new" / (300 * "x")):
        pytest.fail("no file system takes such a name")
    assert sorted(os.listdir(tmp_path)) == ["old", "used"]
    assert os.listdir(tmp_path / "used") == ["file"]


def test_two_that_write_at_once_have_names_of_their_own(out):
    with disk.unfinished(out) as one, disk.unfinished(out) as other:
        one.write_text("")
        other.write_text("")
        assert len(files_of(out)) == 2
    assert files_of(out) == []


def test_what_is_deleted_has_lost_its_name_first(out):
    (out / "folder" / "below").mkdir(parents=True)
    (out / "folder" / "below" / "file").write_text("")
    seen = []
    with heard(out, lambda: seen.append((out / "folder").exists())):
        disk.remove(out / "folder")
    assert seen[0] and len(seen) > 3 and not any(seen[1:])


def test_a_link_is_deleted_and_not_what_it_leads_to(out, tmp_path):
    (tmp_path / "there").mkdir()
    (out / "link").symlink_to(tmp_path / "there")
    (out / f"{disk.UNFINISHED}link").symlink_to(tmp_path / "there")
    disk.remove(out / "link")
    disk.tidy(out)
    assert (tmp_path / "there").is_dir() and os.listdir(out) == ["cells"]


def test_what_killed_processes_left_is_tidied_up_and_nothing_else(out):
    (out / f"{disk.UNFINISHED}a" / "b").mkdir(parents=True)
    (out / f"{disk.UNFINISHED}c").write_text("")
    (out / "unfinished-d").write_text("")
    disk.tidy(out)
    assert sorted(os.listdir(out)) == ["cells", "unfinished-d"]


def another(verdict):
    shorter = {"loss": Quantity(np.zeros(2), ("update",), "1")}
    return records.new("train", {"seed": 1}, 0.0, shorter, {}, verdict=[verdict])


def test_killed_before_any_operation_there_is_one_record(out, tmp_path):
    records.save(RECORD, Figure(), out)
    former = (out / "figure.png").read_bytes()
    copies = []

    def copy():
        copies.append(shutil.copytree(out, tmp_path / str(len(copies))))

    with heard(out, copy):
        records.save(another("new"), Figure((2, 2)), out)
    verdicts = []
    for copied in copies:
        found = records.load(copied)
        records.settle(copied)
        # Who looks at the files alone then sees the same.
        assert records.load(copied).verdict == found.verdict
        is_former = (copied / "figure.png").read_bytes() == former
        assert (len(found.axes["update"]) == 3) == is_former
        assert found.verdict == (["fine"] if is_former else ["new"])
        assert not (copied / records.COMMITTED).exists()
        verdicts += found.verdict
    count = verdicts.count("fine")
    assert 4 < count < len(verdicts) - 4
    assert verdicts == ["fine"] * count + ["new"] * (len(verdicts) - count)


def test_a_record_that_was_not_moved_wholly_is_before_the_next(out):
    records.save(RECORD, Figure(), out)
    (out / records.COMMITTED).mkdir()
    for name in ("record.json", "record.npz"):
        os.replace(out / name, out / records.COMMITTED / name)
    records.save(another("next"), Figure(), out)
    assert records.load(out).verdict == ["next"]
    assert not (out / records.COMMITTED).exists()
