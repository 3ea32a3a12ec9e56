"""The scripts on machines that lack something, and from other directories."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from problems import slow_but

ROOT = Path(__file__).parent.parent
SCRIPTS = ("bench", "demo", "run", "docs", "notebooks", "reproduce", "results", "test")
FEW = ("docs", "test")  # all begin with the same lines


@pytest.fixture
def checkout(tmp_path):
    """A checkout without an environment, as after a fresh clone."""
    for name in ("scripts", "lstm_jax", "experiments"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(command, folder=None, **environment):
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("name", slow_but(FEW, SCRIPTS))
def test_a_missing_python_is_one_clear_line(checkout, name):
    done = run([checkout / "scripts" / name], PYTHON="python-that-is-not-there")
    assert done.returncode == 1
    assert done.stderr.startswith("error: Python >= 3.11 is needed, found:")
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("name", slow_but(FEW, SCRIPTS))
def test_a_python_without_venv_is_told_what_to_install(checkout, tmp_path, name):
    # A real Python that can't import ensurepip, as Debian's without python3-venv.
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "ensurepip.py").write_text("raise ImportError('not installed')\n")
    done = run([checkout / "scripts" / name], PYTHONPATH=str(blocked))
    assert done.returncode == 1
    assert "has no venv module" in done.stderr
    assert "apt install python3-venv" in done.stderr


@pytest.mark.slow
def test_an_extra_that_cannot_be_installed_names_the_command(checkout):
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(checkout)}
    done = run([checkout / "scripts" / "docs"], **nowhere)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: pip could not install lstm_jax[docs]; by hand: ")
    assert last.endswith(".venv/bin/python -m pip install --editable '.[docs]'")


def test_the_scripts_are_posix_shell():
    python = {*ROOT.glob("scripts/*.py"), *ROOT.glob("scripts/__pycache__")}
    for path in [*{*ROOT.glob("scripts/*")} - python, ROOT / ".ci" / "run"]:
        done = run(["sh", "-n", path])
        assert done.returncode == 0, done.stderr
        assert path.suffix == ".sh" or os.access(path, os.X_OK)


@pytest.mark.slow
def test_demo_runs_from_any_directory_and_writes_where_it_was_called(tmp_path):
    command, environment = [ROOT / "scripts" / "demo"], {}
    if not (ROOT / ".venv" / "bin" / "python").exists():
        # Another environment than the scripts' own: what the script would start.
        command = [sys.executable, "-m", "experiments.gradient_decay"]
        environment = {"PYTHONPATH": str(ROOT)}
    command += ["--cells=lstm", "--forget_bias=1,matched", "--lag=3", "--num_steps=2"]
    command += ["--hidden_size=4", "--num_seeds=1", "--out=here"]
    done = run(command, tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        "figure.png",
        "figure.svg",
        "record.json",
        "record.npz",
    ]
    assert "nats per step" in done.stdout
    assert "lstm b_f=2.3" in done.stdout
    assert str(tmp_path / "here") in done.stdout
    assert "lstm: measuring" in done.stderr  # progress, in plain lines
    assert "\x1b" not in done.stdout + done.stderr
