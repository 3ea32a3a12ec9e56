"""How Sphinx builds this site: `./scripts/docs`."""

import sys
import typing
from pathlib import Path

# jaxtyping then prints Float[Array, "time batch"].
typing.GENERATING_DOCUMENTATION = True  # pyright: ignore

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]

project = "lstm_jax"
author = "The lstm_jax developers"
copyright = "The lstm_jax developers, Apache-2.0"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "docstrings",
    "namespaces",
    "links",
]
exclude_patterns = ["_build", "conf.py", "extensions", "notebooks/*.ipynb"]

# Pages: Markdown, and notebooks in Jupytext's percent format. All code runs.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
myst_heading_anchors = 3

# The reference: what `lj.X.__all__` names, in its order, from the docstrings.
add_module_names = False
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autosummary_generate = False
default_role = "obj"
napoleon_attr_annotations = False
napoleon_use_ivar = True
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 70
nitpicky = True

# Examples in docstrings are written after these three lines.
doctest_global_setup = """
import jax
import jax.numpy as jnp
import lstm_jax as lj
"""

html_theme = "furo"
html_title = "lstm_jax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"
