"""The list for a GPU, rehearsed on the CPU."""

import json
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import gpu, machine, table, timing
from benchmarks.shapes import TINY
from benchmarks.sides import Comparison, Setting, Side
from experiments.common.cli import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(timing, "SLICE", 0.0)
    yield
    torch.set_float32_matmul_precision("highest")


def side(name, answer):
    return Side(name, run=lambda: None, answer=lambda: np.array(answer))


def part_of(*pairs):
    """A part whose pairs of sides give these numbers."""

    def case(shape, setting):
        for k, (ours, peer) in enumerate(pairs):
            sides = side("lstm_jax", ours), side("X", peer)
            yield Comparison("layer", shape.name, f"work {k}", *sides, ("time",))

    return gpu.Part("layer", case, TINY._replace(name="lm"), "tensorfloat32")


def test_every_part_has_its_shapes_and_the_rehearsal_has_every_case_once():
    parts = list(gpu.plan())
    sizes = {part.shape for part in parts if part.case == "layer"}
    assert {(512, 64, 1024, 1024), (1024, 128, 512, 512)} < {size[1:] for size in sizes}
    assert {size.name for size in sizes} > {"adding", "lm", "seqmnist"}
    rehearsed = list(gpu.rehearsal())
    assert {part.shape for part in rehearsed} == {TINY}
    assert [part.case for part in rehearsed] == list(
        dict.fromkeys(part.case for part in parts)
    )


def test_lines_say_what_disagrees_and_the_rest_is_timed(tmp_path):
    written = []
    near, far = (1.0, 1.001), (1.0, 1.1)  # of 2e-2
    gpu.run([part_of(near, far, near)], Setting(rounds=2), written.append)
    header, absent, *lines = written
    assert header["device"] == jax.devices()[0].device_kind
    assert header["rehearsed"]
    assert absent == gpu.not_run(
        "layer", "lstm_jax cudnn and jax.experimental.rnn", "no GPU"
    )
    assert [line["kind"] for line in lines] == ["ratio", "not run", "ratio"]
    assert lines[1]["what"] == "lm in tensorfloat32, work 1, X"
    assert "X is off by 0.1 from lstm_jax" in lines[1]["why"]
    assert {line["precision"] for line in lines[::2]} == {"tensorfloat32"}
    for line in lines:
        assert table.row(json.loads(json.dumps(line)))
    record = tmp_path / "gpu.jsonl"
    record.write_text("".join(json.dumps(line) + "\n" for line in written))
    made = table.tables_of_gpu(record)
    assert "### layer, products in tensorfloat32" in made
    assert "work 0, time" in made and "work 1" not in made
    assert table.tables_of_gpu(tmp_path / "none") == "Not run yet.\n"


def test_what_comes_too_late_is_named():
    part = part_of((1.0, 1.0), (2.0, 2.0))
    late = list(gpu.lines(part, Setting(rounds=2), time.monotonic() - 1))
    assert late == [gpu.not_run("layer", "lm in tensorfloat32", gpu.TOO_LATE)]
    end = time.monotonic() + 0.2
    begun = gpu.lines(part, Setting(rounds=2), end)
    assert next(begun)["kind"] == "ratio"
    time.sleep(0.2)
    what = "lm in tensorfloat32, work 1, X and what follows"
    assert list(begun) == [gpu.not_run("layer", what, gpu.TOO_LATE)]


def test_a_precision_is_left_as_it_was():
    before = jax.config.jax_default_matmul_precision  # pyright: ignore
    with gpu.computing_in("float32"):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32
    assert jax.config.jax_default_matmul_precision == before  # pyright: ignore


def test_without_a_gpu_one_line_says_what_would_run():
    line = "gpu: JAX finds no GPU here, only a cpu; --gpu --rehearse runs the same list"
    with pytest.raises(ConfigError, match=line):
        command.begin(command.Config(gpu=True))
    with pytest.raises(ConfigError, match="rehearse: got True without --gpu"):
        command.begin(command.Config(rehearse=True))


def test_the_header_names_what_is_absent(monkeypatch):
    monkeypatch.setattr(machine, "PEERS", ("torch", "no-such-library"))
    found = machine.header(Setting())["versions"]
    assert found["no-such-library"] == "not installed"
    assert found["torch"].startswith("2.")


@pytest.mark.slow
def test_the_command_rehearses_every_case(tmp_path):
    words = ["-m", "benchmarks", "--gpu", "--rehearse", "--rounds=2"]
    done = subprocess.run(
        [sys.executable, *words, f"--out={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    header, *lines = map(json.loads, (tmp_path / "gpu.jsonl").read_text().splitlines())
    assert header["rehearsed"]
    ratios = [line for line in lines if line["kind"] == "ratio"]
    assert {line["case"] for line in ratios} == {part.case for part in gpu.plan()}
    assert [line["why"] for line in lines if line["kind"] == "not run"] == ["no GPU"]
