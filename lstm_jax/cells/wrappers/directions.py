"""Directions: what a layer that reads from both ends has two of."""

from typing import Any, NamedTuple


class Directions(NamedTuple):
    """Params or carries of a bidirectional layer; `backward` is run in reverse."""

    forward: Any
    backward: Any
