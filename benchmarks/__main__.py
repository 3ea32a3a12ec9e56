"""Runs the benchmark: `./scripts/bench --help`.

Every line is written as soon as it is measured, so a run that is stopped keeps them.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from benchmarks import gpu, machine, shapes, table
from benchmarks.cases import (
    checkpointing,
    compiling,
    gradient_curve,
    layer,
    linear,
    lyapunov,
    newton,
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
    ConfigError,
    Flags,
    integer,
    list_of,
    one_of,
    option,
    optional,
    switch,
    text,
)

# Every family of comparisons, with the shapes it runs at.
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
    "linear": (linear.linear, shapes.LINEAR),
    "newton": (newton.newton, (shapes.NEWTON,)),
    "compile": (compiling.compile_time, shapes.LAYERS),
}
ON_SEVERAL_DEVICES = ("layer", "training", "step", "seeds", "trainer")
SHAPES = tuple(
    shape.name
    for shape in (
        *shapes.LAYERS,
        shapes.STEP,
        shapes.SPECTRUM,
        shapes.CHECKPOINT,
        *shapes.LINEAR,
        shapes.NEWTON,
    )
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
        "sizes; tiny is for trials and enters no table",
    )
    rounds: int = option(
        15, integer(minimum=2), "quiet rounds A B per comparison, at most 7 with --gpu"
    )
    cpu_devices: int = option(
        1, integer(minimum=1), f"of JAX; above 1, only {', '.join(ON_SEVERAL_DEVICES)}"
    )
    compiler_options: str | None = option(
        None, optional(text()), "for every JAX program: name=value,name=value"
    )
    gpu: bool = option(
        False, switch(), "one list for a GPU, of at most 8 minutes, in place of --cases"
    )
    rehearse: bool = option(
        False, switch(), "with --gpu: that list on the CPU, at a tiny size"
    )


def run(config: Config, write: Callable[[dict[str, Any]], None]) -> None:
    """Measures what the flags select; `write` gets the header and every line."""
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
    """Yields every selected case with each of its selected shapes."""
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


def run_on_gpu(config: Config, write: Callable[[dict[str, Any]], None]) -> None:
    """Measures the list of `--gpu`, or rehearses it."""
    parts = gpu.rehearsal() if config.rehearse else gpu.plan()
    gpu.run(parts, Setting(rounds=config.rounds), write)


def begin(config: Config) -> None:
    """Chooses the device.

    Raises:
      ConfigError: a GPU is asked for, and there is none; or a rehearsal of nothing.
    """
    if config.rehearse and not config.gpu:
        raise ConfigError("rehearse: got True without --gpu, whose list it rehearses")
    if config.gpu and not config.rehearse:
        if not gpu.on_gpu():
            raise ConfigError(
                f"gpu: JAX finds no GPU here, only a {jax.default_backend()}; --gpu "
                "--rehearse runs the same list on it at a tiny size, and without --gpu "
                "the benchmark of the CPU runs"
            )
        return
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", config.cpu_devices)


def command(config: Config, out: Path) -> None:
    """Runs the benchmark; every line goes to the record, and as text to stdout."""
    begin(config)
    record = out / ("gpu.jsonl" if config.gpu else "record.jsonl")

    def write(line):
        with record.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(table.row(line), flush=True)

    try:
        (run_on_gpu if config.gpu else run)(config, write)
    except KeyboardInterrupt:
        sys.exit("interrupted; the lines measured so far are in the record")
    print(f"\nlines appended to {record.resolve()}")


if __name__ == "__main__":
    cli.start(Config, command, default_out=str(Path(__file__).parent / "results"))
