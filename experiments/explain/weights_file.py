"""The weights to explain, from a file of any format that `lj.adapters.load` takes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import lstm_jax as lj
from experiments.common.cli import ConfigError
from lstm_jax.gradients.carousel import memory_field


class Weights(NamedTuple):
    """A recurrent network: its cell, and its params in float32 from bottom to top."""

    cell: lj.Cell
    layers: tuple[Any, ...]
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Features of an input, units of the memory, features of an output."""
        ends = (self.layers[0], self.layers[-1])
        first, last = (getattr(of, "cell", of) for of in ends)
        kept = getattr(self.cell.init_carry(self.layers[-1]), memory_field(self.cell))
        return first.w_ih.shape[0], kept.shape[-1], last.w_hh.shape[0]


def read(name: str, path: str, module: str | None, direction: str) -> Weights:
    """Returns the weights in a file.

    Args:
      name: of the flag, for error messages.
      path: of the file.
      module: which of several in the file; may be None if there is only one.
      direction: of a bidirectional layer, "forward" or "backward".

    Raises:
      ConfigError: the file can't be read, or holds something else.
    """
    try:
        loaded = lj.adapters.load(path, module)
    except (ValueError, OSError, ImportError) as error:
        start = "" if str(error).startswith("module: ") else f"{name}: "
        raise ConfigError(f"{start}{error}") from error
    layers = loaded.params if loaded.layers > 1 else (loaded.params,)
    layers = _one_way(name, path, layers, direction)
    cell = loaded.cell.layers[0] if loaded.cell.layers else loaded.cell
    try:
        memory_field(cell)
    except ValueError as error:
        raise ConfigError(f"{name}: {path!r}: {error}") from error
    check_finite(name, path, layers)
    # The last output is measured, so nothing depends on how it is read.
    notes = tuple(note for note in loaded.notes if not note.startswith("readout: "))
    return Weights(cell, layers, notes)


def _one_way(name: str, path: str, layers: tuple, direction: str) -> tuple:
    """Returns the layers of one direction."""
    both = isinstance(layers[0], lj.adapters.Directions)
    if both and len(layers) > 1:
        raise ConfigError(
            f"{name}: {path!r} holds {len(layers)} bidirectional layers, in which "
            "every output sees both ends; it must be one, or layers of one direction"
        )
    if not both and direction == "backward":
        raise ConfigError(
            "direction: got 'backward'; it must be forward, the only direction in "
            f"{path!r}"
        )
    return tuple(getattr(layer, direction) if both else layer for layer in layers)


def check_finite(name: str, path: str, weights: Any) -> None:
    """Raises `ConfigError` if a weight, or a sum of two biases, is not finite."""
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(weights)):
        raise ConfigError(
            f"{name}: {path!r} holds weights that are NaN or infinite in float32; they "
            "must be finite"
        )
