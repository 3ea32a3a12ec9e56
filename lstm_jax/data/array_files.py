"""Tables in NumPy's files: one array, or columns by name."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lstm_jax import files
from lstm_jax.data.raw import Raw, refusal

SHAPES = "(time, input), (time,) or (time, batch, input)"


def read_npy(path: str, wanted: str) -> Raw:
    """Returns the columns of an array, called 1, 2, ...; `wanted` as in messages."""
    return _of_array(path, files.read_npy(path, wanted))


def read_npz(
    path: str, wanted: str, columns: Sequence[str] | None
) -> tuple[Raw, Sequence[str] | None]:
    """Returns the only array of a .npz file, or arrays of one axis as columns.

    `columns` may name the array to take; those still to be chosen are returned.
    """
    arrays = files.read_npz(path, wanted)
    if columns is not None and len(columns) == 1 and columns[0] in arrays:
        arrays, columns = {columns[0]: arrays[columns[0]]}, None
    if len(arrays) == 1:
        ((name, array),) = arrays.items()
        raw = _of_array(path, array)
        if len(raw.names) == 1:
            raw = raw._replace(names=(name,), order=(name,))
        return raw, columns
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) == 1 and len(*shapes) == 1:
        raw = _of_array(path, np.stack([*arrays.values()], axis=-1))
        return raw._replace(names=tuple(arrays), order=tuple(arrays)), columns
    shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    wanted = "one array, or columns of one length"
    raise refusal(
        path, "", shown or "nothing", wanted, "name one of them, columns=NAME"
    )


def _of_array(path: str, array: NDArray) -> Raw:
    if array.dtype.kind not in "fiu":
        remedy = "save it with .astype(float)"
        raise refusal(path, "", array.dtype.name, "real numbers", remedy)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim not in (2, 3):
        remedy = "reshape it, time first"
        raise refusal(path, "", f"the shape {array.shape}", SHAPES, remedy)
    names = tuple(str(position + 1) for position in range(array.shape[-1]))
    with np.errstate(over="ignore"):  # longdouble: refused as not finite
        values = array.astype(np.float64)
    return Raw(values, names, names, lambda row: f"step {row + 1}", {}, {}, [])
