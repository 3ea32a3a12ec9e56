"""What decides the last bits of a run beside its config, and is told where it changes.

XLA's CPU backend cuts sums of large arrays by the number of its threads. These are as
many as the cores that a process may use, or what NPROC in the environment says, or as
the devices of the CPU if they are more. Two threads on one core give the bits of two.
"""

import hashlib
import importlib.metadata
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jax

from lstm_jax.training import settings

ROOT = Path(__file__).parent.parent
PACKAGES = ("experiments", "lstm_jax")  # whose code is looked at


def here() -> dict[str, Any]:
    """Returns device, threads where it is the CPU, versions, a digest of the code."""
    device = jax.local_devices()[0]
    return {
        "device": f"{device.platform}: {device.device_kind}",
        "threads": threads() if device.platform == "cpu" else None,
        "jax": importlib.metadata.version("jax"),
        "jaxlib": importlib.metadata.version("jaxlib"),
        "code": _code(),
    }


def threads() -> int:
    """Returns the threads among which XLA's CPU backend shares its work."""
    asked = os.environ.get("NPROC", "")
    cores = int(asked) if asked.isascii() and asked.isdigit() else _cores()
    devices = jax.local_devices()
    return max(cores, len(devices) if devices[0].platform == "cpu" else 1)


def changes(there: Mapping[str, Any], now: Mapping[str, Any], since: str) -> list[str]:
    """Returns a note for the user where a run goes on otherwise than it was made.

    Args:
      there: what it was made with, as `here` says and perhaps more.
      now: the same of this process.
      since: up to when, in words.
    """
    found = settings.differences(there, now)
    if not found:
        return []
    note = (
        f"It goes on otherwise than up to {since} ({'; '.join(found)}): from here on "
        "its bits may be others."
    )
    before = there.get("threads")
    if before not in (None, now.get("threads")):
        note += f" NPROC={before} in the environment makes it {before} threads again."
    return [note]


def _cores() -> int:
    """Returns those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _code() -> str:
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
