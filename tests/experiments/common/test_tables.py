"""Tables on small screens."""

import json
from pathlib import Path

import pytest

from experiments import train
from experiments.common import tables

RECORDS = sorted((Path(train.__file__).parents[1] / "reference").glob("*/record.json"))


@pytest.mark.parametrize("width", [60, 80, 120, None])
@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.name)
def test_no_screen_cuts_a_table(path, width):
    rows = json.loads(path.read_text())["rows"]
    lines = tables.lines(rows, width)
    for row in rows:
        for name, value in row.items():
            assert any(name in line for line in lines)
            assert any(str(value) in line for line in lines)
    blocks = lines.count("") + 1
    assert len(lines) == blocks * (len(rows) + 1) + lines.count("")
    assert blocks == 1 or width is not None


def test_columns_without_room_follow_below_behind_the_names_of_the_rows():
    rows = [
        {"cell": "lstm", "half-life": "12", "accuracy": "1.00"},
        {"cell": "rnn", "half-life": "3.5", "accuracy": "0.51"},
    ]
    assert tables.lines(rows, 30) == [
        "cell  half-life  accuracy",
        "lstm         12      1.00",
        "rnn         3.5      0.51",
    ]
    assert tables.lines(rows, 20) == [
        *("cell  half-life", "lstm         12", "rnn         3.5", ""),
        *("cell  accuracy", "lstm      1.00", "rnn       0.51"),
    ]
    assert tables.lines([], 20) == []
