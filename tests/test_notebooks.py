"""Notebooks are paired texts with a title, and the first draws what it says."""

import runpy
from pathlib import Path

import jupytext
import pytest

pytestmark = pytest.mark.site

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_text_with_a_title(path):
    notebook = jupytext.read(path)
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert {cell.cell_type for cell in notebook.cells} == {"markdown", "code"}
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.cells[1].source.startswith("%matplotlib inline")  # shows figures


def test_the_first_runs_and_draws():
    found = runpy.run_path(str(FOLDER / "quickstart.py"))
    (axes,) = found["figure"].axes
    drawn = [line.get_label() for line in axes.get_lines()]
    assert drawn == ["rnn", "lstm", "four_gate"]
