"""The page as one text: the template with its style, its modules and the networks."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.page import images
from experiments.page.networks import TEST_SHOWS, Networks
from lstm_jax import plots
from lstm_jax.tasks.nature_show import ANSWERS, FOREST, HOME
from lstm_jax.training.checkpoints import named_arrays

HERE = Path(__file__).parent
MODULES = ("memory", "measuring", "settings", "words", "drawing", "parts", "view")
"""In the order in which they import one another."""


def page(networks: Networks) -> str:
    """Returns the HTML of the page; it asks for no other file."""
    parts = {
        "STYLE": _source("style.css"),
        "NETWORKS": _in_html(stored(networks)),
        "MODULES": "\n".join(map(_without_imports, MODULES)),
    }
    return re.sub(r"%([A-Z]+)%", lambda mark: parts[mark[1]], _source("page.html"))


def stored(networks: Networks) -> dict[str, Any]:
    """Returns what the page knows: weights, images and where they come from."""
    return {
        "cells": {
            name: {
                "initial": _arrays(network.initial),
                "trained": _arrays(network.trained),
                "accuracy": network.accuracy,
                "about": network.about,
                "colour": plots.colour_of(name),
            }
            for name, network in networks.cells.items()
        },
        "images": {name: _array(pixels) for name, pixels in images.images().items()},
        "also": images.ALSO,
        "answers": ANSWERS,
        "scenes": {"forest": FOREST, "home": HOME},
        "strip": images.first_strip(networks.config.lag),
        "testShows": TEST_SHOWS,
    }


def _arrays(params: Any) -> dict[str, Any]:
    return {name: _array(leaf) for name, leaf in named_arrays(params).items()}


def _array(values: jax.Array | np.ndarray) -> dict[str, Any]:
    """Returns an array as its shape and its little-endian float32 numbers in base64."""
    numbers = np.ascontiguousarray(values, dtype="<f4")
    text = base64.b64encode(numbers.tobytes()).decode("ascii")
    return {"shape": numbers.shape, "float32": text}


def _in_html(value: Any) -> str:
    """Returns JSON in which nothing ends or opens an element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _source(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _without_imports(name: str) -> str:
    """Returns a module to be put behind those that it imports, in one script."""
    text = re.sub(r"^import \{[^}]*\} from .*\n", "", _source(f"{name}.js"), flags=re.M)
    return re.sub(r"^export (?=const|function)", "", text, flags=re.M)
