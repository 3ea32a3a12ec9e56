"""How much memory there is, and one clear line when more is needed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from experiments.common.cli import ConfigError
from lstm_jax.files import in_words, memory


def of_devices() -> int:
    """Returns the bytes of memory of JAX's devices, over all processes."""
    known = [device.memory_stats() for device in jax.local_devices()]
    limits = [stats["bytes_limit"] for stats in known if stats]
    return (sum(limits) or memory()) * jax.process_count()


def check(
    sizes: Mapping[str, Any],
    arrays: Iterable[Sequence[str | int]],
    itemsize: int = 4,
) -> None:
    """Refuses an array that does not fit into memory, before anything is allocated.

    XLA aborts the process when an allocation it relied on fails.

    Args:
      sizes: by the name of the flag.
      arrays: the lengths of each array's axes, as names of flags or as numbers.
      itemsize: bytes per entry.

    Raises:
      ConfigError: the largest array is larger than the memory.
    """

    def size(axes: Sequence[str | int]) -> int:
        counts = (sizes[axis] if isinstance(axis, str) else axis for axis in axes)
        return itemsize * math.prod(counts)

    largest, most = max(arrays, key=size), of_devices()
    if size(largest) <= most:
        return
    names = list(dict.fromkeys(axis for axis in largest if isinstance(axis, str)))
    values = ", ".join(str(sizes[name]) for name in names)
    raise ConfigError(
        f"{', '.join(names)}: got {values}, an array of {in_words(size(largest))}; it "
        f"must fit into the memory, {in_words(most)}"
    )
