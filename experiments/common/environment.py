"""What besides the config decides the last bits of a run, and a note if it changes.

XLA's CPU backend splits sums over large arrays among its threads. There is one for each
core that the process may use, or NPROC of them if the environment sets it, and at least
one for each CPU device. Two threads on one core give the same bits as on two.
"""

import ast
import hashlib
import importlib.metadata
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jax

from lstm_jax.training import settings

ROOT = Path(__file__).parents[2]
PACKAGES = ("experiments", "lstm_jax")  # the code that the digest covers
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def here() -> dict[str, Any]:
    """Returns the device, its threads if it is a CPU, versions, and a code digest."""
    device = jax.local_devices()[0]
    return {
        "device": f"{device.platform}: {device.device_kind}",
        "threads": threads() if device.platform == "cpu" else None,
        "jax": importlib.metadata.version("jax"),
        "jaxlib": importlib.metadata.version("jaxlib"),
        "code": code(),
    }


def threads() -> int:
    """Returns the number of threads of XLA's CPU backend."""
    devices = jax.local_devices()
    return max(cores(), len(devices) if devices[0].platform == "cpu" else 1)


def version(package: str) -> str:
    """Returns the version of a package, or that it isn't installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def cores() -> int:
    """Returns NPROC, or else the cores that this process may use, and starts nothing.

    As far as the system says.
    """
    asked = os.environ.get("NPROC", "")
    if asked.isascii() and asked.isdigit():
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def changes(there: Mapping[str, Any], now: Mapping[str, Any], since: str) -> list[str]:
    """Returns a note if a run continues in another environment than it began in.

    `there` is what `here` returned then, `now` what it returns today; `since` says in
    words up to when the run was made there.
    """
    found = settings.differences(there, now)
    if not found:
        return []
    note = (
        f"It continues under other conditions than up to {since} ({'; '.join(found)}): "
        "from here on its last bits may differ."
    )
    before = there.get("threads")
    if before not in (None, now.get("threads")):
        note += f" NPROC={before} in the environment makes it {before} threads again."
    return [note]


@cache
def code() -> str:
    """Returns a digest of all files of code, whether or not they are committed."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(without_docstrings(path.read_text()).encode())
    return digest.hexdigest()[:12]


def without_docstrings(source: str) -> str:
    """Returns a program without its docstrings, which no number depends on."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
            text = node.body[0]
            for place in range(text.lineno - 1, text.end_lineno or text.lineno):
                lines[place] = ""
    return "\n".join(line for line in lines if line)
