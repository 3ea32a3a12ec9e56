"""Experiments as commands: what they refuse, say and leave behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from problems import slow_but

from experiments import gradient_decay

ROOT = Path(__file__).parents[3]


def command_line(module, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        **options,
    )


REFUSED = [
    (["--cells=tree"], "--cells=tree", "rnn, lstm, four_gate"),
    (["--lag=many"], "--lag=many", "an integer, at least 1"),
    (["--sequence=none.npy"], "none.npy", ".npy or .csv"),
    (["--columns=a"], "columns: got a; it must", "not be given without a sequence"),
    (["--out=README.md/x"], "README.md/x", "a folder that can be made"),
    (["--lags=3"], "lags", "--help"),
    (["lstm"], "lstm", "--name=value"),
    (["--lag=10000000000"], "--lag=10000000000", "at most 2147483647"),
    (["--hidden_size=1000000"], "num_seeds, hidden_size: got 3, 1000000", "memory"),
    (["--out="], "out: can't write to ''", "a folder that can be made"),
    (["--out=" + 300 * "x"], "out: can't write to 'xxx", "a folder that can be made"),
    (["--style=poster"], "--style=poster", "one of paper, slide"),
    (["--lag=\x1b[31m\n"], r"--lag=\x1b[31m", "an integer"),
]
# A process for each; what they have in common, seconds of imports, is done before.
IN_A_PROCESS_EACH = """
import json, os, sys
from experiments import gradient_decay as decay
from experiments.common import cli
_, folder, given = sys.argv
for number, words in enumerate(json.loads(given)):
    if not os.fork():
        for stream in (1, 2):
            path = f"{folder}/{number}.{stream}"
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
        sys.argv[1:] = words
        cli.main(decay.Config, decay.run, decay.plot, decay.NAME)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


@pytest.mark.parametrize(
    "refused",
    [REFUSED[::4], pytest.param(REFUSED, marks=pytest.mark.slow)],
    ids=["few", "all"],
)
def test_the_command_line_refuses_in_one_line(refused, tmp_path):
    given = json.dumps([arguments for arguments, _, _ in refused])
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS_EACH, tmp_path, given],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["2"] * len(refused), done.stderr
    for number, (_, named, allowed) in enumerate(refused):
        assert (tmp_path / f"{number}.1").read_text() == ""
        (line,) = (tmp_path / f"{number}.2").read_text().strip().splitlines()
        assert line.startswith("error: ")
        assert named in line
        assert allowed in line


@pytest.mark.parametrize("word", slow_but(["--help"], ["--help", "-h", "--helpfull"]))
def test_the_command_line_says_what_it_can_do(word):
    narrow = {**os.environ, "COLUMNS": "60", "PYTHONIOENCODING": "ascii"}
    done = command_line("gradient_decay", word, env=narrow)
    assert done.returncode == 0
    assert done.stderr == ""
    question, *lines = done.stdout.splitlines()
    assert question.startswith("What does a memory keep of the first scene")
    for field in gradient_decay.Config.__dataclass_fields__:
        assert sum(line.startswith(f"--{field}") for line in lines) == 1
    assert len(lines) < 80
    assert max(len(line) for line in lines if line.startswith(("--", "    "))) <= 60


@pytest.mark.slow
@pytest.mark.parametrize("module", ["experiments", "experiments.latch"])
def test_a_reader_that_leaves_ends_it_quietly(module):
    command = [sys.executable, "-m", module, "--help"]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as unread:
        asked = subprocess.run(command, cwd=ROOT, stdout=unread, stderr=subprocess.PIPE)
    assert asked.stderr == b""
    assert asked.returncode == 128 + signal.SIGPIPE


SAME_RECORD_TWICE = """
import os, sys
from pathlib import Path
from experiments import latch
from experiments.common import cli, records
record = records.load(Path("experiments/reference/latch"))
for style in ("paper", "slide"):
    if not os.fork():
        sys.argv[1:] = [f"--style={style}", f"--out={sys.argv[1]}/{style}"]
        cli.main(latch.Config, lambda config: record, latch.plot, latch.NAME)
    os.wait()
"""


@pytest.mark.slow
def test_the_style_changes_the_letters_of_the_figure_and_nothing_of_the_record(
    tmp_path,
):
    command = [sys.executable, "-c", SAME_RECORD_TWICE, tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    paper, slide = tmp_path / "paper", tmp_path / "slide"
    for name in ("record.json", "record.npz"):
        assert (paper / name).read_bytes() == (slide / name).read_bytes()
    letters = [  # drawn as outlines, 100 units high
        set(map(float, re.findall(r"scale\(([\d.]+) -", svg.read_text())))
        for svg in (paper / "figure.svg", slide / "figure.svg")
    ]
    assert max(letters[1]) == pytest.approx(1.4 * max(letters[0]))


OUT_OF_MEMORY = """
import jax.numpy as jnp
from experiments import gradient_decay as decay
from experiments.common import cli
def command(config, out):
    print("σ")
    (jnp.zeros(2**42) + 1).block_until_ready()
cli.start(decay.Config, command, "out")
"""


@pytest.mark.slow
def test_out_of_memory_is_one_line_with_the_sizes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, "--lag=7", f"--out={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 1
    assert done.stdout == "\\u03c3\n"
    assert done.stderr.startswith("error: out of memory; the sizes are lag=7, ")
    assert len(done.stderr.splitlines()) == 1


def test_two_experiments_can_be_imported_together_without_flags():
    from absl import flags

    assert "lag" not in flags.FLAGS
    assert "lags" not in flags.FLAGS


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_half_written(tmp_path):
    process = subprocess.Popen(
        [
            *[sys.executable, "-m", "experiments.gradient_decay"],
            *["--cells=rnn", "--lag=3", "--hidden_size=4", "--num_seeds=1"],
            *["--num_steps=100000000", f"--out={tmp_path / 'out'}"],
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "training" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "error: interrupted; nothing was written"
    assert os.listdir(tmp_path) == []
