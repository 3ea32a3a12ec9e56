"""Files that a flag names: what is in them, or `ConfigError` with the flag's name."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from experiments.common.cli import ConfigError
from lstm_jax import files


@contextmanager
def named(name: str) -> Iterator[None]:
    """Makes what a file is refused for into a `ConfigError` that names its flag."""
    try:
        yield
    except (ValueError, OSError, ModuleNotFoundError) as error:
        raise ConfigError(f"{name}: {error}") from error


def status(name: str, path: str, wanted: str) -> os.stat_result:
    """Returns `os.stat` of a path; raises `ConfigError` where that fails."""
    with named(name):
        return files.status(path, wanted)


def beyond(values: NDArray, dtype: str) -> NDArray[np.bool_]:
    """Returns where a real number is not finite, or would not be in that dtype."""
    return ~(np.abs(values) <= np.float64(jnp.finfo(dtype).max))


def sha256(path: str | os.PathLike[str]) -> str:
    """Returns the hash of a file, in hexadecimal; OSError if it can't be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
