"""Every notebook runs from top to bottom."""

import runpy
from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_draws(path):
    cells = jupytext.read(path).cells
    assert {cell.cell_type for cell in cells} == {"markdown", "code"}
    found = runpy.run_path(str(path))
    (axes,) = found["figure"].axes
    drawn = [line.get_label() for line in axes.get_lines()]
    assert drawn == ["rnn", "lstm", "four_gate"]
