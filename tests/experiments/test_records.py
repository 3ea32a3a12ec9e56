"""Records: axes by name, what is refused, and the former format."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from experiments import latch
from experiments.common import records
from experiments.common.errors import ConfigError
from experiments.common.records import Quantity, Record, take

REFERENCE = Path(latch.__file__).parent / "reference"
FOLDERS = sorted(path.parent for path in REFERENCE.glob("*/record.json"))

VARIANTS = [{"label": "a", "bias": 4.001}, {"label": "b", "bias": 4.002}]


def record_of(values):
    loss = Quantity(values, ("variant", "seed"), "nats")
    return records.new("train", {}, 0.0, {"loss": loss}, {"variant": VARIANTS})


def test_a_quantity_is_selected_by_entry():
    record = record_of(np.arange(6.0).reshape(2, 3))
    assert record.axes == {"variant": VARIANTS, "seed": [0, 1, 2]}
    assert take(record, "loss", variant=VARIANTS[1]).tolist() == [3, 4, 5]
    assert take(record, "loss", seed=2, variant=VARIANTS[0]) == 2


SHOWN = """\
Record of latch: 31 s on cpu, 2 cores, 2026-11-22
settings: weights=(1.5, 2.0), num_seeds=7; the others as by default
arrays:
  loss  (variant 2, seed 3) in nats
  kept  (seed 3)
Two lines:
  that one reads"""


def test_at_a_prompt_it_is_what_was_asked_and_found_without_the_numbers():
    record = Record(
        experiment="latch",
        config=asdict(latch.Config(num_seeds=7, weights=(1.5, 2.0))),
        arrays={
            "loss": Quantity(np.zeros((2, 3)), ("variant", "seed"), "nats"),
            "kept": Quantity(np.zeros(3), ("seed",), "1"),
        },
        axes={"variant": VARIANTS, "seed": [0, 1, 2]},
        rows=[],
        verdict=["", "Two lines:", "  that one reads"],
        made={
            "wall_seconds": 31.4,
            "device": "cpu: cpu, 2 cores",
            "date": "2026-11-22T08",
        },
    )
    assert repr(record) == SHOWN


def test_of_an_experiment_that_is_not_here_all_settings_are_told():
    record = record_of(np.zeros((2, 3)))._replace(experiment="ours", config={"lag": 3})
    assert "settings: lag=3\n" in repr(record)


def test_a_long_verdict_is_cut_and_says_so():
    record = record_of(np.zeros((2, 3)))
    for lines in (20, 40):
        shown = repr(record._replace(verdict=["yes"] * lines)).splitlines()
        told = shown.count("yes")
        assert (len(shown), shown[-1] == "yes") == (24, lines == 20)
    assert shown[-1] == f"... and {40 - told} lines more in .verdict"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_record_fits_a_screen_and_a_tuple_that_was_saved_is_no_change(folder):
    shown = repr(records.load(folder)).splitlines()
    assert len(shown) < 25
    assert len(shown[1]) < 250


@pytest.mark.parametrize("entries", [{"seed": 3}, {"stage": "trained"}])
def test_an_entry_or_an_axis_that_is_not_there_is_refused(entries):
    with pytest.raises(ValueError, match=r"loss: got .*; it must be in"):
        take(record_of(np.zeros((2, 3))), "loss", **entries)


def test_a_shape_that_is_not_that_of_its_axes_is_refused():
    with pytest.raises(ValueError, match=r"loss: got the shape \(3, 2\); it must be"):
        record_of(np.zeros((3, 2)))


def test_a_record_of_the_former_format_is_refused_in_one_line(tmp_path):
    (tmp_path / "record.json").write_text(json.dumps({"experiment": "train"}))
    with pytest.raises(ConfigError, match=r"out: .* without named axes; it must be"):
        records.load(tmp_path)
