"""The page "which memory for what": other records, another page; its links lead on."""

import ast
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from mdit_py_plugins.anchors.index import slugify

from experiments.common import records
from scripts import which_memory

ROOT = Path(__file__).parents[2]
ANSWERS = [answer.__name__[1:] for answer in which_memory.ANSWERS.values()]


@cache
def stored(name):
    return records.load(ROOT / "experiments" / "reference" / name)


def with_value(name, array, value):
    """A loader of the stored records, of which one says the same number everywhere."""
    record = stored(name)
    quantity = record.arrays[array]
    same = quantity._replace(values=np.full_like(quantity.values, value))
    changed = record._replace(arrays=record.arrays | {array: same})
    return lambda asked: changed if asked == name else stored(asked)


def in_one_line(load):
    return " ".join(which_memory.page(load).split())


@pytest.fixture(scope="module")
def page():
    return in_one_line(stored)


@pytest.mark.parametrize(
    ("name", "array", "value", "says"),
    [
        ("families", "accuracy", 0, "in most seeds of none; of `rnn`"),
        ("adding", "test_loss", 7.25, "7.2 (`rnn`), 7.2 (`lstm`)"),
        ("orthogonality", "copy_test_loss", 0, "loss is 0 (`exp_rnn`), 0 (`rnn`)"),
        ("counting", "reach", 77, "77 (`peephole_lstm`), 77 (`rnn`)"),
        ("state_tracking", "beyond", 0, "Z2, is kept by none;"),
        ("selective_copying", "exact", 0.37, "0.37 (`gru`), 0.37 (`min_gru`)"),
        ("temporal_order", "modern_accuracy", 0.61, "0.61 (`rnn`), 0.61 (`lstm`)"),
        ("learning_to_forget", "accuracy", 0.1, "in most seeds of none; after"),
        ("flip_flop", "errors", 1, "5 (`rnn`), 5 (`lstm`)"),
    ],
)
def test_its_numbers_are_those_of_the_records(page, name, array, value, says):
    assert says not in page
    assert says in in_one_line(with_value(name, array, value))


def test_its_tables_are_those_of_the_records(page):
    for name in ("families", "state_tracking", "selective_copying"):
        for row in stored(name).rows:
            first = next(iter(row.values()))
            assert f"| {first} |" in page


def test_no_number_is_written_in_its_sentences():
    tree = ast.parse(Path(which_memory.__file__).read_text())
    answers = [of for of in tree.body if getattr(of, "name", "")[1:] in ANSWERS]
    assert len(answers) == len(ANSWERS)
    texts = [
        str(node.value)
        for answer in answers
        for node in ast.walk(answer)
        if isinstance(node, ast.Constant) and " " in str(node.value)
    ]
    assert len(texts) > 30
    assert [text for text in texts if re.search(r"\d", text)] == []


def test_every_row_it_names_is_a_heading_of_the_results(page):
    results = (ROOT / "docs" / "results.md").read_text()
    headings = re.findall(r"^### (.*)$", results, flags=re.M)
    anchors = re.findall(r"\]\(results\.md#([^)]+)\)", page)
    assert len(anchors) >= 9
    assert {*anchors} <= {slugify(heading) for heading in headings}
