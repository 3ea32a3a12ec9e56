"""A small run of experiments.train with many checkpoints."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from experiments.train import Config

ROOT = Path(__file__).parents[1]


# Small steps and many checkpoints: most of the run lies between two of its writes.
SMALL = Config(
    task="adding",
    cell="rnn",
    hidden_size=4,
    length=6,
    batch_size=3,
    num_steps=300,
    log_interval=7,
    checkpoint_interval=20,
    test_size=5,
)


def start(out, config=SMALL, *flags):
    """A real process on its way, on as many devices as this one."""
    values = dataclasses.asdict(config).items()
    given = [f"--{name}={value}" for name, value in values if value is not None]
    given.append("--cpu_devices=1")
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.train", *given, f"--out={out}", *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Exit status, stdout and stderr."""
    out, errors = process.communicate(timeout=120)
    return process.returncode, out, errors


def lines_of(out):
    """What the metrics say, but for how fast it went."""
    text = (out / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    rates = [line.pop("steps_per_second") for line in lines]
    assert all(rate > 0 for rate in rates)
    return lines


def assert_same_run(out, wanted):
    """Parameters bit by bit, and every line."""
    assert lines_of(out) == lines_of(wanted)
    with np.load(out / "final.npz") as found, np.load(wanted / "final.npz") as params:
        assert found.files == params.files
        for name in params.files:
            assert found[name].tobytes() == params[name].tobytes(), name


def changed(**values):
    return dataclasses.replace(SMALL, **values)
