"""Turns a comparison into lines of the record."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from benchmarks import timing
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, Side, check
from benchmarks.timing import Ratio

MILLISECONDS = 1000.0


def measure(
    comparison: Comparison, shape: Shape, setting: Setting
) -> Iterator[dict[str, Any]]:
    """Checks that both sides agree, and yields one line per measure.

    Raises:
      Disagreement: they do not.
    """
    ours, peer = comparison.ours, comparison.peer
    if "time" in comparison.measures:
        check(ours, peer, setting.tolerance)
    for measure in comparison.measures:
        found = MEASURES[measure](ours, peer, setting)
        if found is not None:
            yield line(comparison, shape, setting, measure, found)


def time_ratio(ours: Side, peer: Side, setting: Setting) -> Ratio:
    """Times both sides in turns."""
    rounds = timing.alternate(ours.run, peer.run, setting.rounds)
    return timing.summarize(rounds, setting.rounds, MILLISECONDS)


def compile_ratio(ours: Side, peer: Side, setting: Setting) -> Ratio | None:
    """Traces, lowers and compiles both in turns, each time with empty caches."""
    if ours.build is None or peer.build is None or setting.compile_rounds == 0:
        return None
    rounds = [
        timing.Round(_build_seconds(ours.build), _build_seconds(peer.build))
        for _ in range(setting.compile_rounds)
    ]
    return timing.summarize(rounds, setting.compile_rounds, MILLISECONDS)


def memory_ratio(ours: Side, peer: Side, setting: Setting) -> Ratio | None:
    """Compares the temporary memory of both programs, as XLA reports it."""
    del setting
    if ours.temp_bytes is None or peer.temp_bytes is None:
        return None
    # At least 1, since a program may need none at all.
    sizes = max(ours.temp_bytes, 1), max(peer.temp_bytes, 1)
    return timing.summarize([timing.Round(*sizes)], 1)


def share_ratio(ours: Side, peer: Side, setting: Setting) -> Ratio:
    """Gets both times from one call: `ours.run` returns (whole, part) in seconds."""
    del peer
    rounds = [timing.Round(*ours.run()) for _ in range(min(setting.rounds, 3))]
    return timing.summarize(rounds, len(rounds), MILLISECONDS)


MEASURES = {
    "time": time_ratio,
    "compile": compile_ratio,
    "memory": memory_ratio,
    "share": share_ratio,
}


def line(
    comparison: Comparison,
    shape: Shape,
    setting: Setting,
    measure: str,
    found: Ratio,
) -> dict[str, Any]:
    """Returns one line of the record."""
    return {
        "kind": "ratio",
        "case": comparison.case,
        "shape": comparison.shape,
        "T": shape.time,
        "B": shape.batch,
        "D": shape.input,
        "H": shape.hidden,
        "dtype": "float32",
        "precision": setting.precision,
        "devices": setting.devices,
        "work": comparison.work,
        "measure": measure,
        "unit": "bytes" if measure == "memory" else "ms",
        "our_side": comparison.ours.name,
        "peer_side": comparison.peer.name,
        **{
            field: round(value, 4) if isinstance(value, float) else value
            for field, value in found._asdict().items()
        },
    }


def _build_seconds(build: Callable) -> float:
    jax.clear_caches()
    start = time.perf_counter()
    build()
    return time.perf_counter() - start
