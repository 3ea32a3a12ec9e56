"""From arrays as frameworks keep them to the params of a cell."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.adapters.loading.source import REAL


def real(what: str, path: str, array: Any) -> np.ndarray:
    """Returns an array of real numbers, in float32 at least.

    Raises:
      ValueError: it holds something else.
    """
    array = np.asarray(array)
    if array.dtype.name not in REAL:
        raise ValueError(
            f"{what}: {path} is {array.dtype}; it must be one of {', '.join(REAL)}"
        )
    return array if array.dtype == np.float64 else array.astype(np.float32)


def check_shape(path: str, array: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    """Returns the array; refuses another shape."""
    if array.shape != wanted:
        raise ValueError(
            f"{path} has shape {array.shape}; it must be {wanted} to fit the other "
            "weights"
        )
    return array


def of_gates(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Returns the gates along the last axis in another order."""
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[at] for at in order], axis=-1)


def params_of(kind: type, **weights: np.ndarray) -> Any:
    """Returns params, copied; float64 stays where JAX has it, and is float32 else."""
    widest = jnp.float64 if jax.config.jax_enable_x64 else jnp.float32
    dtype = min(np.result_type(*weights.values()), np.dtype(widest))
    return kind(**{name: jnp.array(w, dtype) for name, w in weights.items()})
