"""Files of a user: what is in them, or one clear line, whatever is in them.

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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
# The limit of a container under cgroups v2, then v1.
LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def refusal(path: str, found: str, wanted: str) -> ValueError:
    """Returns the error that says what was found in a file and what it must be."""
    return ValueError(f"{path!r} {found}; it must be {wanted}")


def unreadable(path: str, error: OSError, wanted: str) -> OSError:
    """Returns the error for a file that the system can't read, of the same kind."""
    reason = error.strerror or str(error).splitlines()[0]
    kind = type(error) if error.errno is not None else OSError
    return kind(f"{path!r} can't be read ({reason}); it must be {wanted}")


def status(path: str, wanted: str) -> os.stat_result:
    """Returns `os.stat` of a path; the error says what the file must be."""
    try:
        return os.stat(path)
    except OSError as error:
        raise unreadable(path, error, wanted) from error


def check_regular(path: str, wanted: str) -> int:
    """Returns the size of a file in bytes; refuses a folder, a pipe and a device."""
    found = status(path, wanted)
    if not stat.S_ISREG(found.st_mode):
        raise refusal(path, "is not a regular file", wanted)
    return found.st_size


def check_fits(path: str, size: int) -> None:
    """Refuses a file if arrays of `size` bytes would fill the memory."""
    most = memory() // 2  # the arrays are kept in float32 as well
    if size > most:
        raise ValueError(
            f"{path!r} holds {in_words(size)}; it must be at most {in_words(most)}, "
            "half of the memory"
        )


def read_npy(path: str, wanted: str) -> NDArray:
    """Returns the array in a .npy file; messages say what it must be, `wanted`."""
    check_fits(path, check_regular(path, wanted))
    try:
        # Mapping it first refuses a header that claims more than the file holds.
        with np.errstate(over="ignore"):
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(mapped, np.ndarray):
            return np.array(mapped)
        mapped.close()
    except OSError as error:
        raise unreadable(path, error, wanted) from error
    except UNREADABLE as error:
        raise refusal(path, "can't be read as numbers", wanted) from error
    raise refusal(path, "is not a .npy file", wanted)


def read_npz(path: str, wanted: str) -> dict[str, NDArray]:
    """Returns the arrays in a .npz file by name; `wanted` as in `read_npy`."""
    check_regular(path, wanted)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except OSError as error:
        raise unreadable(path, error, wanted) from error
    except UNREADABLE as error:
        raise refusal(path, "is not a .npz file of numbers", wanted) from error
    check_fits(path, size)
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except OSError as error:
        raise unreadable(path, error, wanted) from error
    except UNREADABLE as error:
        raise refusal(path, "is not a .npz file of numbers", wanted) from error
    odd = [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]
    if odd:
        raise refusal(path, f"holds {odd[0]!r}, no array of numbers", wanted)
    return arrays


def memory() -> int:
    """Returns the bytes of memory of this machine, or of its container."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([installed, *filter(None, map(_limit, LIMITS))])


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def printable(text: str) -> str:
    """Returns a text on one line, with control characters escaped.

    Names from a file may hold newlines and codes that move a terminal's cursor.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def in_words(count: int | float) -> str:
    """Returns a number of bytes in the largest unit that leaves it at least 1."""
    power = 0
    while count >= 1024 and power < len(UNITS) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.3g} {UNITS[power]}"
