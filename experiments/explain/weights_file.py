"""The weights to explain, from a file of any format that `lj.adapters.load` takes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

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
      module: which of several in the file; may be None if there is only one.

    Raises:
      ConfigError: the file can't be read, or holds something else.
    """
    try:
        loaded = lj.adapters.load(path, module)
    except (ValueError, OSError, ImportError) as error:
        start = "" if str(error).startswith("module: ") else f"{name}: "
        raise ConfigError(f"{start}{error}") from error
    blocks, params = network.of(loaded.cell, loaded.params)
    check_finite(name, path, params)
    # The last output is measured, so nothing depends on how it is read.
    notes = tuple(note for note in loaded.notes if not note.startswith("readout: "))
    return Loaded(blocks, params, notes)


def check_finite(name: str, path: str, weights: Any) -> None:
    """Raises `ConfigError` if a weight, or a sum of two biases, is not finite."""
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(weights)):
        raise ConfigError(
            f"{name}: {path!r} holds weights that are NaN or infinite in float32; they "
            "must be finite"
        )
