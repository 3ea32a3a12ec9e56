"""How a program that runs for seconds is compiled: soon, rather than to run fast."""

import mmap
import os
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax

# Of a training of a small LSTM on a CPU they leave 2/5 of the time to compile and add
# nothing to the time to run.
SOON = {
    "xla_backend_optimization_level": 1,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}


def soon() -> dict[str, Any]:
    """Returns `compiler_options` of `jax.jit`: those above on a CPU, else none.

    What the environment's XLA_FLAGS say stays.
    """
    if jax.default_backend() != "cpu":
        return {}
    said = os.environ.get("XLA_FLAGS", "")
    return {name: SOON[name] for name in known(SOON) if name not in said}


@cache
def _library() -> Path | None:
    package = find_spec("jaxlib")
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("libjax_common.*"), None)


def known(names: Iterable[str]) -> list[str]:
    """Returns which of these options this XLA has; it refuses those that it lacks."""
    library = _library()
    if library is None:
        return []
    with (
        library.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        # An option is a string of its own; one that is gone is still named in others.
        return [n for n in names if content.find(b"\0%s\0" % n.encode()) >= 0]
