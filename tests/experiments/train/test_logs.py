"""metrics.csv and TensorBoard: the numbers of metrics.jsonl, after a resume too."""

import struct
import sys

import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from small_runs import changed, lines_of
from tensorboardX.proto import event_pb2

from experiments import train
from experiments.common.cli import ConfigError

EVENT = getattr(event_pb2, "Event")  # noqa: B009 - made when it is imported
TESTED = {"eval_interval": 14, "num_seeds": 2, "seed": 3, "tensorboard": True}


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """A run of two seeds that went on from a checkpoint before its last lines."""
    out = tmp_path_factory.mktemp("run")
    train.run(changed(num_steps=35, **TESTED), out)
    # As if it had been killed before the checkpoint of step 35.
    (out / "checkpoints" / "35" / "_CHECKPOINT_METADATA").write_bytes(b"")
    train.run(changed(num_steps=42, **TESTED), out, resume=True)
    return out


@pytest.mark.slow
def test_the_table_has_the_numbers_of_the_lines(resumed):
    table, lines = pd.read_csv(resumed / "metrics.csv"), lines_of(resumed)
    assert [*table.columns[:3]] == ["step", "loss_3", "loss_4"]
    assert table["step"].tolist() == [line["step"] for line in lines] == [
        7, 14, 21, 28, 35, 42
    ]  # fmt: skip
    for at, seed in enumerate((3, 4)):
        for name in ("loss", "accuracy", "test_loss"):
            wanted = pd.Series([line[name][at] for line in lines], dtype=float)
            assert_array_equal(table[f"{name}_{seed}"], wanted)


def scalars(folder):
    """(step, tag): value of all event files, in order; a start forgets later steps."""
    kept = {}
    for file in sorted(folder.iterdir()):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            event = EVENT.FromString(data[at + 12 : at + 12 + size])
            at += 16 + size  # a length, its sum, the event, its sum
            if event.session_log.status == event.session_log.START:
                kept = {key: v for key, v in kept.items() if key[0] < event.step}
            for one in event.summary.value:
                assert (event.step, one.tag) not in kept
                kept[event.step, one.tag] = one.simple_value
    return kept


@pytest.mark.slow
def test_the_board_shows_every_line_once(resumed):
    shown = scalars(resumed / "tensorboard")
    wanted = {
        (line["step"], f"{name}_{seed}"): line[name][at]
        for line in lines_of(resumed)
        for name in ("loss", "accuracy", "test_loss", "test_accuracy")
        for at, seed in enumerate((3, 4))
        if line[name][at] is not None
    }
    rates = {key for key in shown if key[1] == "steps_per_second"}
    assert shown.keys() - rates == wanted.keys()
    for key, value in wanted.items():
        assert_allclose(shown[key], value, rtol=1e-6)


def test_of_one_seed_the_columns_are_those_of_the_lines(tmp_path):
    train.run(changed(num_steps=7), tmp_path)
    (line,) = lines_of(tmp_path)
    header = (tmp_path / "metrics.csv").read_text().splitlines()[0]
    assert header.split(",") == [*line, "steps_per_second"]
    assert not (tmp_path / "tensorboard").exists()


def test_without_the_writer_it_is_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigError, match=r"tensorboard: .* 'lstm_jax.tensorboard.'$"):
        train.run(changed(tensorboard=True), tmp_path / "out")
    assert not [*(tmp_path / "out").glob("*")]
