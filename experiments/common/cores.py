"""Independent parts of an experiment, on all cores at once."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jax

Item = TypeVar("Item")
Result = TypeVar("Result")


def on_all_cores(
    function: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result]:
    """Returns `function(item)` for every item, in order.

    JAX lets go of Python's lock while it compiles and runs, and a small network keeps
    one core busy. Double precision is that of the caller in every thread. After an
    error or Ctrl-C, nothing more is begun.
    """
    double = jax.config.jax_enable_x64

    def one(item: Item) -> Result:
        with jax.enable_x64(double):
            return function(item)

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        return list(pool.map(one, items))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
