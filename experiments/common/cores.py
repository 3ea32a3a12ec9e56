"""Independent parts of an experiment, on all cores at once."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import jax

_BESIDE_OTHERS = ContextVar("beside others", default=False)


def is_beside_others() -> bool:
    """Whether this is a part that `on_all_cores` runs beside others."""
    return _BESIDE_OTHERS.get()


def on_all_cores(parts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Returns what the parts return, in order.

    JAX lets go of Python's lock while it compiles and runs, and a small network keeps
    one core busy. Double precision is that of the caller in every thread. After an
    error or Ctrl-C, nothing more is begun.
    """
    double = jax.config.read("jax_enable_x64")

    def one(part: Callable[[], Any]) -> Any:
        _BESIDE_OTHERS.set(True)  # each thread has a context of its own
        with jax.enable_x64(double):
            return part()

    if len(parts) == 1:
        return [parts[0]()]
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        return list(pool.map(one, parts))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
