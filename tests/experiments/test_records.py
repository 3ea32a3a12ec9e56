"""Records: axes by name, what is refused, and the former format."""

import json

import numpy as np
import pytest

from experiments.common import records
from experiments.common.errors import ConfigError
from experiments.common.records import Quantity, take

VARIANTS = [{"label": "a", "bias": 4.001}, {"label": "b", "bias": 4.002}]


def record_of(values):
    loss = Quantity(values, ("variant", "seed"), "nats")
    return records.new("train", {}, 0.0, {"loss": loss}, {"variant": VARIANTS})


def test_a_quantity_is_selected_by_entry():
    record = record_of(np.arange(6.0).reshape(2, 3))
    assert record.axes == {"variant": VARIANTS, "seed": [0, 1, 2]}
    assert take(record, "loss", variant=VARIANTS[1]).tolist() == [3, 4, 5]
    assert take(record, "loss", seed=2, variant=VARIANTS[0]) == 2


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
