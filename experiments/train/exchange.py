"""What the processes of one run tell each other; process 0 alone handles files."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from experiments.common.errors import ConfigError
from experiments.common.lock import alone_in
from lstm_jax.training.checkpoints import CheckpointError

T = TypeVar("T")


class Stopped(RuntimeError):
    """Another process of this run can't go on, and said why."""


def is_first() -> bool:
    """Whether this process reads, writes and speaks for all."""
    return jax.process_index() == 0


def exchanged(value: int) -> np.ndarray:
    """Returns what every process gave, (process,)."""
    if jax.process_count() == 1:
        return np.array([value])
    return multihost_utils.process_allgather(np.int32(value))


def first_says(value: int) -> int:
    """Returns what process 0 gave, at all of them."""
    return int(exchanged(value)[0])


def check_same(about: Mapping[str, Any]) -> None:
    """Sees to it that all processes were started alike.

    Args:
      about: what of this process must be that of all, as JSON knows it.

    Raises:
      ConfigError: they differ; in every process, and says in what.
    """
    all_of_them = [json.loads(text) for text in _exchanged_text(json.dumps(about))]
    first = all_of_them[0]
    for number, other in enumerate(all_of_them):
        for name in sorted({*first, *other}):
            if first.get(name) != other.get(name):
                raise ConfigError(
                    f"{name}: got {first.get(name)!r} in process 0 and "
                    f"{other.get(name)!r} in process {number}; it must be the same in "
                    "all processes of a run"
                )


def _exchanged_text(text: str) -> list[str]:
    """Returns the ASCII text that every process gave."""
    sizes = exchanged(len(text))
    if len(sizes) == 1:
        return [text]
    padded = np.frombuffer(text.ljust(sizes.max()).encode("ascii"), np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return [row.tobytes().decode("ascii") for row in np.asarray(rows)]


@contextlib.contextmanager
def first_alone_in(out: Path) -> Iterator[None]:
    """Holds a folder for all processes; `alone_in` says what is raised, in all."""
    with contextlib.ExitStack() as held:
        by_first(lambda: held.enter_context(alone_in(out)))
        yield


def by_first(work: Callable[[], T]) -> T | None:
    """Returns what `work` does in process 0, None in others, once it is done.

    Raises:
      ConfigError, CheckpointError, OSError: of `work`, in process 0.
      Stopped: meanwhile, in all others.
    """
    result, failure = None, None
    if is_first():
        try:
            result = work()
        except (ConfigError, CheckpointError, OSError) as error:
            failure = error
    if first_says(failure is not None):
        raise failure or Stopped("process 0 can't go on, and says why")
    return result


def of_first(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays of process 0, bit by bit, where all have the same shapes."""
    if jax.process_count() == 1:
        return arrays
    # As bytes: a sum over processes, which this is, would make 0 of -0.
    sent = multihost_utils.broadcast_one_to_all(
        {name: np.frombuffer(a.tobytes(), np.uint8) for name, a in arrays.items()}
    )
    return {
        name: np.frombuffer(sent[name].tobytes(), a.dtype).reshape(a.shape)
        for name, a in arrays.items()
    }
