"""The header of a run: everything that its numbers depend on."""

import os
import platform
from pathlib import Path
from typing import Any

import jax
import torch

from benchmarks import timing
from benchmarks.sides import Setting
from experiments.common import environment, records

NUMBERS = ("cpu family", "model")
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
        "device": jax.devices()[0].device_kind,
        "torch_threads": torch.get_num_threads(),
        "devices": setting.devices,
        "matmul_precision": {
            "jax": precision or "default: float32",
            "torch": torch.get_float32_matmul_precision(),
        },
        "compiler_options": setting.compiler_options or {},
        "rounds": setting.rounds,
        "sees_other_processes": timing.STAT.exists(),
        "versions": {
            **made["versions"],
            **{name: environment.version(name) for name in PEERS},
        },
        "ratio": "peer / lstm_jax, above 1: lstm_jax is faster, or needs less memory",
    }


def cpu_model() -> str:
    """Returns the name of the processor, with the numbers that tell its kind."""
    listing = Path("/proc/cpuinfo")
    if not listing.exists():
        return platform.processor() or platform.machine()
    rows = (row.partition(":") for row in listing.read_text().splitlines())
    found = {name.strip(): value.strip() for name, _, value in rows}
    numbers = [f"{name} {found[name]}" for name in NUMBERS if name in found]
    kind = f" ({', '.join(numbers)})" if numbers else ""
    return found.get("model name", platform.machine()) + kind
