"""Runs the paired notebooks and writes them with their outputs, for Jupyter and Colab.

python -m scripts.notebooks [NAME ...]
"""

import sys
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

FOLDER = Path(__file__).parent.parent / "notebooks"
# What pip is given where the library is missing. Not on a registry yet: before it is,
# an address of the checkout, "git+https://...", belongs here.
INSTALLED_FROM = "lstm_jax[plots,digits,flax]"
FIRST_CELL = f'''\
# Where lstm_jax is missing, as on Colab, this installs it.
import importlib.util

if importlib.util.find_spec("lstm_jax") is None:
    %pip install --quiet "{INSTALLED_FROM}"
'''


def with_outputs(source: Path) -> NotebookNode:
    """Returns the notebook of a paired text, run from top to bottom."""
    notebook = jupytext.read(source)
    notebook.cells.insert(0, new_code_cell(FIRST_CELL, id="install"))
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    return notebook


def main(names: list[str]) -> None:
    """Writes the notebooks of these names, all if there are none."""
    sources = [FOLDER / f"{name}.py" for name in names] or sorted(FOLDER.glob("*.py"))
    for source in sources:
        if not source.exists():
            known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.py")))
            sys.exit(f"error: NAME: got {source.stem}; it must be one of: {known}")
    for source in sources:
        target = source.with_suffix(".ipynb")
        jupytext.write(with_outputs(source), target)
        print(target.relative_to(FOLDER.parent))


if __name__ == "__main__":
    main(sys.argv[1:])
