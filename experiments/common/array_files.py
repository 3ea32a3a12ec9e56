"""Arrays from a user's file, whatever is in it: the arrays, or one clear line.

Only regular files are opened (a pipe never ends), and an array is read only if the file
is as long as its header says and half of the memory can hold it.
"""

import lzma
import os
import stat
import struct
import tokenize
import zipfile
import zlib

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from experiments.common import memory_limit
from experiments.common.cli import ConfigError

# What NumPy and zipfile raise for a file that they did not write: the first seven are
# documented; the rest were raised by damaged headers.
UNREADABLE = (
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    RuntimeError,  # encrypted; NotImplementedError, another compression; recursion
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    SyntaxError,
    TypeError,
    OverflowError,
    tokenize.TokenError,
)


def check_regular(name: str, path: str, wanted: str) -> int:
    """Returns the size of a file in bytes.

    Messages give `name`, that of the flag, and `wanted`, what the file must be.

    Raises:
      ConfigError: it does not exist, or is a folder, a pipe or a device.
    """
    found = status(name, path, wanted)
    if not stat.S_ISREG(found.st_mode):
        raise refusal(name, path, "is not a regular file", wanted)
    return found.st_size


def status(name: str, path: str, wanted: str) -> os.stat_result:
    """Returns `os.stat` of a path; raises `ConfigError` where that fails."""
    try:
        return os.stat(path)
    except OSError as error:
        raise unreadable(name, path, error, wanted) from error


def refusal(name: str, path: str, found: str, wanted: str) -> ConfigError:
    """Returns the error that says what was found in a file and what it must be."""
    return ConfigError(f"{name}: {path!r} {found}; it must be {wanted}")


def unreadable(name: str, path: str, error: OSError, wanted: str) -> ConfigError:
    """Returns the error for a file that the system can't read."""
    reason = error.strerror or str(error).splitlines()[0]
    return refusal(name, path, f"can't be read ({reason})", wanted)


def read_npy(name: str, path: str, wanted: str) -> NDArray:
    """Returns the array in a .npy file; arguments and errors as in `check_regular`."""
    check_fits(name, path, check_regular(name, path, wanted))
    try:
        # Mapping it first refuses a header that claims more than the file holds.
        with np.errstate(over="ignore"):
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(mapped, np.ndarray):
            return np.array(mapped)
        mapped.close()
    except OSError as error:
        raise unreadable(name, path, error, wanted) from error
    except UNREADABLE as error:
        raise refusal(name, path, "can't be read as numbers", wanted) from error
    raise refusal(name, path, "is not a .npy file", wanted)


def beyond(values: NDArray, dtype: str) -> NDArray[np.bool_]:
    """Returns where a real number is not finite, or would not be in that dtype."""
    return ~(np.abs(values) <= np.float64(jnp.finfo(dtype).max))


def check_fits(name: str, path: str, size: int) -> None:
    """Raises `ConfigError` if arrays of `size` bytes would fill the memory."""
    most = memory_limit.there_is() // 2  # the arrays are kept in float32 as well
    if size > most:
        raise ConfigError(
            f"{name}: {path!r} holds {memory_limit.in_words(size)}; it must be at most "
            f"{memory_limit.in_words(most)}, half of the memory"
        )
