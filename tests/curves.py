"""A small run of experiments.train, and whether two have the same curve."""

import json
from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose

from experiments.train import Config

ROOT = Path(__file__).parents[1]


SMALL = Config(
    task="adding",
    cell="rnn",
    hidden_size=4,
    length=5,
    batch_size=8,
    num_steps=30,
    log_interval=1,
    checkpoint_interval=10,
    test_size=5,
    dtype="float64",
)


def losses_of(out):
    """Steps and losses of the metrics, (line,) and (line, ...)."""
    text = (out / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return [line["step"] for line in lines], np.array([line["loss"] for line in lines])


def assert_same_curve(out, wanted):
    """Loss by loss and parameter by parameter, to rounding; and no line twice."""
    (steps, losses), (wanted_steps, wanted_losses) = map(losses_of, (out, wanted))
    assert steps == wanted_steps
    assert_allclose(losses, wanted_losses, rtol=1e-10)
    with np.load(out / "final.npz") as found, np.load(wanted / "final.npz") as params:
        assert found.files == params.files
        for name in params.files:
            assert_allclose(found[name], params[name], rtol=1e-9, atol=1e-12)
