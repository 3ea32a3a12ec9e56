"""Plain docstrings become reStructuredText that means the same."""

import runpy
from pathlib import Path

from docutils import nodes
from docutils.core import publish_doctree

ROOT = Path(__file__).parent.parent.parent
plain = runpy.run_path(str(ROOT / "docs" / "extensions" / "docstrings.py"))["plain"]


def tree(text):
    """What a reader of the page gets; anything odd in the text is an error."""
    settings = {"halt_level": 2, "report_level": 2}
    source = "\n".join(plain(text.splitlines())).replace("`", "``")
    return publish_doctree(source, settings_overrides=settings)


def test_an_equation_is_shown_as_it_is_written():
    doc = tree("A step.\n\n    c_t = f * c_{t-1}\n\n    h_t = |c_t|\n\nAnd on.")
    (block,) = doc.findall(nodes.literal_block)
    assert block.astext() == "c_t = f * c_{t-1}\n\nh_t = |c_t|"
    assert doc.children[-1].astext() == "And on."


def test_stars_bars_and_underscores_are_no_markup():
    text = "x (*batch, input), |w| <= 1, W_ and `x`s of `*args`."
    (paragraph,) = tree(text).findall(nodes.paragraph)
    assert paragraph.astext() == text.replace("`", "")


def test_a_list_stays_a_list():
    doc = tree("Two:\n\n* one *a\n  goes on\n* two")
    assert [item.astext() for item in doc.findall(nodes.list_item)] == [
        "one *a\ngoes on",
        "two",
    ]


def test_references_are_a_list_and_examples_are_left_alone():
    example = ["Example:", "  >>> x * 2", "  Array([1., 2.], dtype=float32)"]
    entries = ["References:", "  A (1997), x", "  B (2000),", "    y"]
    lines = plain([*entries, "", *example])
    assert lines[:4] == ["References:", "  * A (1997), x", "  * B (2000),", "    y"]
    assert lines[5:8] == example


def test_only_what_is_said_of_an_argument_is_prose():
    lines = plain(["Args:", "  **masks: lengths, *batch", "  x_: a * b"])
    assert lines[1:3] == ["  **masks: lengths, \\*batch", "  x_: a \\* b"]
