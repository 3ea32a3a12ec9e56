"""The wheel in an empty environment: it runs, is typed, and says what it lacks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def said_by(*command, folder) -> str:
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.slow
def test_a_plain_install_runs_and_is_typed(tmp_path):
    python = tmp_path / "env" / "bin" / "python"
    said_by(sys.executable, "-m", "venv", "env", folder=tmp_path)
    said_by(python, "-m", "pip", "install", "-q", ROOT, folder=tmp_path)
    readme = (ROOT / "README.md").read_text()
    program = tmp_path / "program.py"
    program.write_text(re.findall(r"```python\n(.*?)```", readme, flags=re.S)[0])
    said = said_by(python, program, folder=tmp_path)
    assert re.match(r"RNN: -0\.\d+ nats per step\nLSTM: ", said), said
    checker = Path(sys.executable).with_name("basedpyright")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.basedpyright]\ntypeCheckingMode = "standard"\nexclude = ["env"]\n'
    )
    found = said_by(checker, "--pythonpath", python, program, folder=tmp_path)
    assert "0 errors, 0 warnings" in found, found
    wrong = program.with_name("wrong.py")
    wrong.write_text("import lstm_jax as lj\n\nlj.unroll(cell=3)\n")
    found = said_by(checker, "--pythonpath", python, wrong, folder=tmp_path)
    assert " error: " in found, found
    for module, extra in [("plots", "plots"), ("training.checkpoints", "checkpoints")]:
        said = said_by(python, "-c", f"import lstm_jax.{module}", folder=tmp_path)
        assert f"pip install 'lstm_jax[{extra}]'" in said.splitlines()[-1]
