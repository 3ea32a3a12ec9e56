"""Files that a flag names: what is in them, or `ConfigError` with the flag's name."""

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


def check_regular(name: str, path: str, wanted: str) -> int:
    """Returns the size of a file in bytes.

    Messages give `name`, that of the flag, and `wanted`, what the file must be.

    Raises:
      ConfigError: it does not exist, or is a folder, a pipe or a device.
    """
    with named(name):
        return files.check_regular(path, wanted)


def status(name: str, path: str, wanted: str) -> os.stat_result:
    """Returns `os.stat` of a path; raises `ConfigError` where that fails."""
    with named(name):
        return files.status(path, wanted)


def refusal(name: str, path: str, found: str, wanted: str) -> ConfigError:
    """Returns the error that says what was found in a file and what it must be."""
    return ConfigError(f"{name}: {files.refusal(path, found, wanted)}")


def unreadable(name: str, path: str, error: OSError, wanted: str) -> ConfigError:
    """Returns the error for a file that the system can't read."""
    return ConfigError(f"{name}: {files.unreadable(path, error, wanted)}")


def read_npz(name: str, path: str, wanted: str) -> dict[str, NDArray]:
    """Returns the arrays in a .npz file; arguments and errors as in `check_regular`."""
    with named(name):
        return files.read_npz(path, wanted)


def beyond(values: NDArray, dtype: str) -> NDArray[np.bool_]:
    """Returns where a real number is not finite, or would not be in that dtype."""
    return ~(np.abs(values) <= np.float64(jnp.finfo(dtype).max))


def check_fits(name: str, path: str, size: int) -> None:
    """Raises `ConfigError` if arrays of `size` bytes would fill the memory."""
    with named(name):
        files.check_fits(path, size)
