"""Runs the benchmark: `./scripts/bench --help`.

Every line is written as soon as it is measured; a run that is stopped keeps its lines.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from benchmarks import machine, shapes, table
from benchmarks.cases import (
    checkpointing,
    compiling,
    gradient_curve,
    layer,
    lyapunov,
    trainer,
    training_run,
    update,
)
from benchmarks.compare import measure
from benchmarks.peers import pytorch
from benchmarks.shapes import Shape
from benchmarks.sides import Setting
from experiments.common import cli
from experiments.common.cli import (
    Flags,
    integer,
    list_of,
    one_of,
    option,
    optional,
    text,
)

# A family of comparisons, and the shapes it runs at.
CASES: dict[str, tuple[Callable, tuple[Shape, ...]]] = {
    "layer": (layer.layer, shapes.LAYERS),
    "training": (layer.training, shapes.LAYERS),
    "cells": (layer.cells, shapes.LAYERS),
    "step": (update.step, (shapes.STEP,)),
    "seeds": (update.seeds, (shapes.STEP,)),
    "trainer": (trainer.trainer, (shapes.STEP,)),
    "run": (training_run.run, (shapes.STEP,)),
    "curve": (gradient_curve.curve, shapes.LAYERS),
    "lyapunov": (lyapunov.lyapunov, (shapes.SPECTRUM,)),
    "checkpoint": (checkpointing.checkpoint, (shapes.CHECKPOINT,)),
    "compile": (compiling.compile_time, shapes.LAYERS),
}
ON_SEVERAL_DEVICES = ("layer", "training", "step", "seeds", "trainer")
SHAPES = tuple(
    shape.name
    for shape in (*shapes.LAYERS, shapes.STEP, shapes.SPECTRUM, shapes.CHECKPOINT)
)


@dataclass(frozen=True)
class Config(Flags):
    """The flags of the benchmark."""

    cases: tuple[str, ...] = option(
        tuple(CASES), list_of(one_of(CASES)), "families of comparisons"
    )
    shapes: tuple[str, ...] = option(
        SHAPES,
        list_of(one_of([*SHAPES, shapes.TINY.name])),
        "sizes; tiny is for trying out and enters no table",
    )
    rounds: int = option(15, integer(minimum=2), "quiet rounds A B of a comparison")
    cpu_devices: int = option(
        1, integer(minimum=1), f"of JAX; above 1, only {', '.join(ON_SEVERAL_DEVICES)}"
    )
    compiler_options: str | None = option(
        None, optional(text()), "of every program of JAX: name=value,name=value"
    )


def run(config: Config, write: Callable[[dict[str, Any]], None]) -> None:
    """Measures everything asked for; `write` gets the header and every line."""
    pytorch.use_all_cores()
    setting = Setting(
        rounds=config.rounds,
        devices=config.cpu_devices,
        compiler_options=_options(config.compiler_options),
    )
    write(machine.header(setting))
    for case, shape in work(config):
        for comparison in case(shape, setting):
            for line in measure(comparison, shape, setting):
                write(line)


def work(config: Config) -> Iterator[tuple[Callable, Shape]]:
    """Yields every case with every shape asked for."""
    for name in config.cases:
        if config.cpu_devices > 1 and name not in ON_SEVERAL_DEVICES:
            print(f"{name}: runs on one device only; left out")
            continue
        case, sizes = CASES[name]
        for shape in (*sizes, shapes.TINY):
            if shape.name in config.shapes:
                yield case, shape


def _options(given: str | None) -> dict[str, str | bool] | None:
    if given is None:
        return None
    return {name: value for name, value in (p.split("=", 1) for p in given.split(","))}


def _append(line: dict[str, Any], path: Path) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def main() -> None:
    """Flags -> Config -> run; the lines go to a file, a table to stdout."""

    def command(config: Config, out: Path):
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", config.cpu_devices)

        def write(line):
            _append(line, out / "record.jsonl")
            print(table.row(line), flush=True)

        try:
            run(config, write)
        except KeyboardInterrupt:
            sys.exit("interrupted; the lines until now were written")
        print(f"\nlines appended to {(out / 'record.jsonl').resolve()}")

    cli.start(Config, command, default_out=str(Path(__file__).parent / "results"))


if __name__ == "__main__":
    main()
