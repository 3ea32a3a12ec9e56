"""Comparing sizes: under `jax.export` they need not be numbers."""

from typing import Any

from jax.errors import InconclusiveDimensionOperation


def at_most(size: Any, bound: Any) -> bool:
    """Whether size <= bound; False if a symbolic size leaves it open."""
    try:
        return bool(size <= bound)
    except InconclusiveDimensionOperation:
        return False
