"""The weights to explain, from a file of any format that `lj.adapters.load` takes."""

from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

import lstm_jax as lj
from experiments.common.cli import ConfigError
from experiments.explain import network
from experiments.explain.network import Network, Weights


class Loaded(NamedTuple):
    """A recurrent network and its params in float32."""

    network: Network
    params: Weights
    notes: tuple[str, ...] = ()


def read(name: str, path: str, module: str | None) -> Loaded:
    """Returns the weights in a file.

    Args:
      name: of the flag, for error messages.
      path: of the file.
      module: which of several in the file, or those that run one after the other,
        separated by commas, bottom to top; may be None if there is only one.

    Raises:
      ConfigError: the file can't be read, or holds something else.
    """
    try:
        found = _modules(path, module)
    except (ValueError, OSError, ImportError) as error:
        start = "" if str(error).startswith("module: ") else f"{name}: "
        raise ConfigError(f"{start}{error}") from error
    blocks, params = reduce(network.on_top, (network.of(*one[:2]) for one in found))
    check_finite(name, path, params)
    # The last output is measured, so nothing depends on how it is read.
    notes = [n for one in found for n in one.notes if not n.startswith("readout: ")]
    return Loaded(blocks, params, tuple(dict.fromkeys(notes)))


def _modules(path: str, names: str | None) -> list[lj.adapters.Loaded]:
    """Returns the modules of these names, bottom to top, which must fit each other."""
    try:
        return [lj.adapters.load(path, names)]
    except ValueError as error:
        if "," not in (names or "") or not str(error).startswith("module: "):
            raise
    each = [name.strip() for name in str(names).split(",")]
    found = [lj.adapters.load(path, name) for name in each]
    for (lower, below), (upper, above) in pairwise(zip(each, found, strict=True)):
        shown = network.sizes(*network.of(*below[:2]))[2]
        wanted = network.sizes(*network.of(*above[:2]))[0]
        if shown != wanted:
            raise ValueError(
                f"module: got {names!r}; each must read what the one before shows, but "
                f"{lower!r} shows {shown} features and {upper!r} reads {wanted}"
            )
    return found


def check_finite(name: str, path: str, weights: Any) -> None:
    """Raises `ConfigError` if a weight, or a sum of two biases, is not finite."""
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(weights)):
        raise ConfigError(
            f"{name}: {path!r} holds weights that are NaN or infinite in float32; they "
            "must be finite"
        )
