"""What every source comes down to: arrays by path, and what it says about its layers.

Paths are the framework's own keys with / between their parts, whatever stood there:
decoder.rnn.weight_hh, params,GRUCell_0,hn,kernel and gru/gru_cell/kernel:0 alike.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax.files import printable

SEPARATORS = re.compile(r"[.,/]")
REAL = ("float16", "bfloat16", "float32", "float64")


class Source(NamedTuple):
    """A file or an object, read.

    Attributes:
      what: its name in messages.
      arrays: by path.
      settings: what the framework says of a layer, by its path: class, activations.
      notes: what was found out on the way, in words.
    """

    what: str
    arrays: dict[str, np.ndarray]
    settings: dict[str, dict[str, Any]]
    notes: tuple[str, ...] = ()


def path_of(key: str) -> str:
    """Returns a key of any framework as a path."""
    return SEPARATORS.sub("/", key)


def source_of(what: str, named: Mapping[str, Any], **more: Any) -> Source:
    """Returns the source of arrays by key; what isn't an array is left out."""
    arrays = {path_of(key): value for key, value in named.items()}
    return Source(what, arrays, more.get("settings", {}), more.get("notes", ()))


def by_path(tree: Any) -> dict[str, Any]:
    """Returns the leaves of nested mappings, named tuples or modules, by path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    named = (
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in leaves
    )
    return {re.sub(r"/(value|raw_value)$", "", path): leaf for path, leaf in named}


def listed(names: Iterable[str]) -> str:
    """Lists the first few names, on one line."""
    names = list(map(printable, names))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (", ".join(names[:4]) or "nothing") + more
