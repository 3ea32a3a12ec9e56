"""The header of a run: everything that its numbers depend on."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import jax
import torch

from benchmarks import timing
from benchmarks.sides import Setting
from experiments.common import records

PEERS = ("torch", "flax", "dm-haiku", "equinox", "keras")


def header(setting: Setting) -> dict[str, Any]:
    """Returns a line that says where, when and with what the run was made."""
    made = records.provenance(0.0)
    precision: Any = getattr(jax.config, "jax_default_matmul_precision")  # noqa: B009
    return {
        "kind": "header",
        "date": made["date"],
        "commit": made["commit"],
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "devices": setting.devices,
        "matmul_precision": {
            "jax": precision or "default: float32",
            "torch": torch.get_float32_matmul_precision(),
        },
        "compiler_options": setting.compiler_options or {},
        "rounds": setting.rounds,
        "sees_other_processes": timing.STAT.exists(),
        "versions": {**made["versions"], **{name: _version(name) for name in PEERS}},
        "ratio": "peer / lstm_jax, above 1: lstm_jax is faster, or needs less memory",
    }


def cpu_model() -> str:
    """Returns the name of the processor."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for row in listing.read_text().splitlines():
            if row.startswith("model name"):
                return row.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed: left out"
