"""From arrays as frameworks keep them to the params of a cell."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.adapters.loading.source import REAL

TANH_ASSUMED = (
    "the activation of the RNN is taken to be tanh: the weights do not say it"
)


def real(what: str, path: str, array: Any) -> np.ndarray:
    """Returns an array of real numbers, in float32 or, where JAX has it, float64.

    Raises:
      ValueError: it holds something else, or a number that is not finite there.
    """
    array = np.asarray(array)
    if array.dtype.name not in REAL:
        raise ValueError(
            f"{what}: {path} is {array.dtype}; it must be one of {', '.join(REAL)}"
        )
    dtype = _dtype_of(array)
    odd = array[~(np.abs(array) <= np.float64(np.finfo(dtype).max))]
    if odd.size:
        raise ValueError(
            f"{what}: {path} holds {float(odd[0]):g}; weights must be finite in {dtype}"
        )
    return array.astype(dtype)


def check_shape(path: str, array: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    """Returns the array; refuses another shape."""
    if array.shape != wanted:
        raise ValueError(
            f"{path} has shape {array.shape}; it must be {wanted} to fit the other "
            "weights"
        )
    return array


def of_gates(array: Any, order: tuple[int, ...]) -> Any:
    """Returns the gates along the last axis in another order."""
    by_gate = array.reshape(*array.shape[:-1], len(order), -1)
    return by_gate[..., list(order), :].reshape(array.shape)


def to_gates(array: Any, order: tuple[int, ...]) -> Any:
    """Undoes `of_gates`: what is read in this order is written back."""
    return of_gates(array, tuple(np.argsort(order)))


def params_of(kind: type, **weights: np.ndarray) -> Any:
    """Returns params, copied, in the widest dtype of the weights that JAX has."""
    dtype = _dtype_of(*weights.values())
    with np.errstate(over="ignore"):  # of summed biases; whoever cares looks
        return kind(
            **{name: jax.device_put(np.array(w, dtype)) for name, w in weights.items()}
        )


def _dtype_of(*arrays: np.ndarray) -> np.dtype:
    """Returns float64 if one of the arrays is and JAX has it, else float32."""
    wide = np.dtype(np.float64) in {array.dtype for array in arrays}
    return np.dtype(jnp.zeros((), float if wide else jnp.float32).dtype)
