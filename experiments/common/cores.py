"""Independent parts of an experiment, on all cores at once."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax


def on_all_cores(parts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Returns what the parts return, in order.

    JAX lets go of Python's lock while it compiles and runs, and a small network keeps
    one core busy. Double precision is that of the caller in every thread. After an
    error or Ctrl-C, nothing more is begun.
    """
    double = jax.config.read("jax_enable_x64")

    def one(part: Callable[[], Any]) -> Any:
        with jax.enable_x64(double):
            return part()

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        return list(pool.map(one, parts))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
