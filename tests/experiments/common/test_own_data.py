"""What a run learns from the user's own file, and when it is refused."""

from dataclasses import asdict, replace
from typing import Any

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from experiments import gradient_decay, sweep, train
from experiments.common import own_data, records
from experiments.common.cli import ConfigError
from experiments.sweep.config import run_config
from experiments.train import saved_run

STEPS = 60
TINY: dict[str, Any] = {
    "cell": "rnn",
    "hidden_size": 3,
    "batch_size": 2,
    "test_size": 4,
}


@pytest.fixture
def table(tmp_path):
    """Two columns over 60 steps."""
    path = tmp_path / "mine.csv"
    steps = np.arange(STEPS)
    rows = np.stack([np.sin(steps / 3), steps**2 / 100], -1)
    np.savetxt(path, rows, delimiter=",", header="wave,ramp", comments="")
    return path


def changed(config, **flags: Any) -> train.Config:
    return replace(config, **flags)


@pytest.fixture
def config(table):
    return train.Config(data=str(table), target=("wave",), window=5, **TINY)


def test_the_window_is_the_length_and_the_rest_is_filled_in(config):
    assert (config.task, config.length, config.horizon) == ("data", 5, 1)
    default = train.Config(data="mine.csv")
    assert (default.window, default.length, default.horizon) == (64, 64, 1)
    assert train.Config(text="mine.txt").task == "text"
    assert replace(config) == config


def test_a_table_is_scaled_by_the_steps_before_the_test(config, table):
    task = own_data.task_of(config)
    values = np.loadtxt(table, delimiter=",", skiprows=1)
    known = values[:48]
    said = own_data.learnt(config).said
    assert_allclose([said["mean"], said["deviation"]], [known.mean(0), known.std(0)])
    wanted = (values - known.mean(0)) / known.std(0)
    batch = task.sample_test(jax.random.key(0), 7, 5)
    firsts = {round(float(x), 4) for x in batch.inputs[0, :, 1]}
    assert firsts == {round(float(x), 4) for x in wanted[48:55, 1]}
    raw = own_data.task_of(changed(config, scale="none"))
    drawn = raw.sample_test(jax.random.key(0), 7, 5)
    assert_allclose(np.sort(drawn.targets[:, 0]), np.sort(values[53:, 0]), rtol=1e-6)


def test_a_text_is_learnt_character_by_character(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes("\ufeffthe bär saw\r\nthe dog\r\n".encode() * 9)
    task = own_data.task_of(train.Config(text=str(path), length=4))
    text = ("the bär saw\nthe dog\n" + "\ufeff") * 9
    assert task.input_size == len(set(text))
    leaves = jax.tree.leaves(task)
    assert sum(leaf.size for leaf in leaves) == len(text) - 1  # the first mark is none
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.uint8)}


def test_a_run_goes_on_is_swept_and_explained_from_its_file(
    config, table, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    first = train.run(changed(config, num_steps=3), out)
    assert first.config["data"] == str(table.resolve())
    assert len(first.config["file_sha256"]) == 64
    level = float(records.take(first, "level", level="last value again"))
    assert first.rows[0]["last value again"] == f"{level:.4g}"
    again = changed(config, num_steps=5)
    record = train.run(again, out, resume=True)
    assert record.rows[0]["updates"] == 5
    assert own_data.called(record.config) == "wave of mine.csv"
    monkeypatch.chdir("/")  # the path is a whole one
    found = saved_run.read_run(str(out), None)
    assert (found.step, found.task.input_size) == (5, 2)
    given: dict[str, Any] = asdict(config)
    swept = sweep.Config(**given, sweep="window=3,5;learning_rate=1e-3")
    assert [run_config(swept, s).length for s in swept.settings()] == [3, 5]


@pytest.mark.parametrize("gone", [False, True])
def test_a_changed_or_missing_file_is_refused_in_one_line(
    config, table, tmp_path, gone
):
    out = tmp_path / "run"
    train.run(changed(config, num_steps=2), out)
    before = (out / "metrics.jsonl").read_bytes()
    if gone:
        table.unlink()
        told = "can't be read"
    else:
        table.write_text(table.read_text() + "0,0\n")
        told = "has changed, its sha256 is"
    own_data.forget()
    with pytest.raises(ConfigError, match=told):
        saved_run.read_run(str(out), None)
    with pytest.raises(ConfigError, match=told if gone else "file_sha256 was"):
        train.run(config, out, resume=True)
    assert (out / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"window": 3}, "window: got 3; it must not be given without --data"),
        ({"scale": "none"}, "scale: got 'none'; it must not be given without --data"),
        ({"file_sha256": "a"}, "file_sha256: got 'a'; it must not be given without a"),
        (
            {"task": "text"},
            "task: got 'text'; it must be given with a file, as --text=",
        ),
        ({"data": "a", "text": "b"}, "text: got 'b'; it must not be given with --data"),
        ({"data": "a", "task": "parity"}, "task: got 'parity'; it must not be given"),
        ({"data": "a", "length": 9}, "length: got 9; it must be the window, 64, with"),
        (
            {"data": "a", "start_length": 9, "curriculum_steps": 2},
            "start_length: got 9; it must not be given with --data",
        ),
        (
            {"text": "b", "bidirectional": True},
            "bidirectional: got True with --text; it must be False: the backward",
        ),
        ({"text": "b", "target": ("x",)}, "target: got ('x',); it must not be given"),
    ],
)
def test_flags_that_have_no_use_are_refused(flags, message):
    with pytest.raises(ConfigError) as caught:
        train.Config(**flags)
    assert str(caught.value)[: len(message)] == message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"target": None}, "target: got none; it must be given, one of wave, ramp"),
        ({"target": ("x",)}, "target: got 'x'; it must be in wave, ramp"),
        ({"columns": ("x",)}, "data: '{path}', columns: got 'x'; it must be a column"),
        ({"window": 12, "length": 12}, "window: got 12 with a horizon of 1; together"),
        ({"file_sha256": "ab"}, "data: '{path}' has changed, its sha256 is"),
    ],
)
def test_a_table_that_can_not_be_learnt_is_refused(config, table, flags, message):
    with pytest.raises(ConfigError) as caught:
        train.run(changed(config, **flags))
    message = message.format(path=table)
    assert str(caught.value)[: len(message)] == message


@pytest.mark.slow
@pytest.mark.parametrize("updates", [0, 2])
def test_gradients_are_measured_on_the_windows_of_the_test(table, updates):
    config = gradient_decay.Config(
        cells=("rnn",),
        data=str(table),
        target=("wave",),
        window=6,
        num_steps=updates,
        num_seeds=1,
        hidden_size=3,
        num_examples=2,
    )
    record = gradient_decay.run(config)
    stages = ["initial", "trained"][: 1 + (updates > 0)]
    assert record.axes["stage"] == stages
    assert record.arrays["log_share"].values.shape == (1, len(stages), 1, 2, 6)
    assert any("60 steps of 'wave', 'ramp'" in line for line in record.verdict)
    told = [line.endswith("within half a deviation") for line in record.verdict]
    assert any(told) == (updates > 0)
