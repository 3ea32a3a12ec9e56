"""One run at a time writes to a folder, and a dead one keeps nobody out."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.common.errors import ConfigError
from experiments.common.lock import LOCK, alone_in
from lstm_jax.training import disk

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from pathlib import Path
from experiments.common.lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds tmp_path, until it is killed or its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_refused_until_the_first_is_dead(holder, tmp_path):
    told = (
        f"^out: got {str(tmp_path)!r}, where process {holder.pid} on "
        f"{socket.gethostname()} is at work; it must be a folder to which no other"
    )
    for _ in range(2):
        with pytest.raises(ConfigError, match=told), alone_in(tmp_path):
            pytest.fail("it was let in")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / LOCK).exists()  # what is left says nothing
    with (tmp_path / LOCK).open("a") as file:
        file.write(" since long ago")
    with alone_in(tmp_path):
        told = f"process {os.getpid()} on {socket.gethostname()}"
        assert (tmp_path / LOCK).read_text() == told
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_the_first_ends_and_nothing_is_left(holder, tmp_path):
    holder.communicate("")
    assert holder.returncode == 0 and os.listdir(tmp_path) == []
    with alone_in(tmp_path):
        pass


def test_two_runs_of_one_process_are_two_runs(tmp_path):
    with alone_in(tmp_path):
        with pytest.raises(ConfigError, match="is at work"), alone_in(tmp_path):
            pytest.fail("it was let in")
        assert (tmp_path / LOCK).exists()
        with alone_in(tmp_path / "below"):
            pass


def test_an_experiment_is_refused_before_it_works(tmp_path):
    command = [sys.executable, "-m", "experiments.cliff", f"--out={tmp_path}"]
    with alone_in(tmp_path):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    told = f"error: out: got {str(tmp_path)!r}, where process {os.getpid()} on "
    assert done.stderr.startswith(told) and done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_a_run_that_fails_lets_the_next_one_in(tmp_path):
    opened = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ZeroDivisionError), alone_in(tmp_path):
        raise ZeroDivisionError
    with alone_in(tmp_path):
        with pytest.raises(ConfigError), alone_in(tmp_path):
            pytest.fail("it was let in")
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_lock_that_its_holder_deletes_meanwhile_is_made_anew(tmp_path, monkeypatch):
    """As where the first run ends between the second's opening and locking."""
    tried = []

    def flock(file, how, call=fcntl.flock):
        if not tried:
            (tmp_path / LOCK).unlink()
        tried.append(file)
        call(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with alone_in(tmp_path):
        assert len(tried) == 2
        with pytest.raises(ConfigError, match="is at work"), alone_in(tmp_path):
            pytest.fail("it was let in")


def test_the_folder_is_made_and_what_killed_runs_left_is_deleted(tmp_path):
    out = tmp_path / "a" / "b"
    with alone_in(out):
        (out / f"{disk.UNFINISHED}x").mkdir()
    assert os.listdir(out) == [f"{disk.UNFINISHED}x"]
    with alone_in(out):
        assert os.listdir(out) == [LOCK]


def test_where_there_are_no_locks_it_is_said(tmp_path, monkeypatch, capsys):
    def flock(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with alone_in(tmp_path):
        pass
    assert "is on a file system without locks: nothing keeps" in capsys.readouterr().err


def test_a_link_in_place_of_the_lock_is_refused_and_not_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / LOCK).symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigError, match=r"^out: can't write .*; it must be a file"):
        with alone_in(tmp_path):
            pytest.fail("it was let in")
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.slow
def test_what_a_lock_says_does_not_reach_the_terminal_raw(holder, tmp_path):
    (tmp_path / LOCK).write_bytes(b"\x1b[31m\n\xff")
    with pytest.raises(ConfigError) as told, alone_in(tmp_path):
        pytest.fail("it was let in")
    assert str(told.value).isprintable()
