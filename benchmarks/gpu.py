"""What `--gpu` runs: one prepared list, of at most eight minutes on one GPU.

What is wanted most comes first. Every comparison is checked before it is timed, in
products of tensorfloat32, which both JAX and cuDNN take by default, and the layers in
those of float32 too. What does not agree, is not there or comes too late is a line of
the record as well. On a CPU the list is rehearsed at one tiny size.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import jax
import torch

from benchmarks import machine, shapes
from benchmarks.cases import gradient_curve, layer_sides, linear, update
from benchmarks.cases.layer import WORK, training
from benchmarks.compare import measure
from benchmarks.peers import cudnn, layers
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Disagreement, Setting

MOST_SECONDS = 420.0  # after which nothing is begun
TOO_LATE = f"{MOST_SECONDS:g} s had passed"
MOST_ROUNDS = 7
WIDE = (Shape("wide", 512, 64, 1024, 1024), Shape("deep", 1024, 128, 512, 512))
# As JAX names them. None is a GPU's default, and what `jax.experimental.rnn` takes for
# tensorfloat32 too.
PRECISIONS = {"tensorfloat32": None, "float32": "highest"}

Line = dict[str, Any]


class Part(NamedTuple):
    """One family of comparisons at one shape."""

    case: str
    run: Callable[[Shape, Setting], Iterator[Comparison]]
    shape: Shape
    precision: str


def layer(shape: Shape, setting: Setting, works: tuple[str, ...]) -> Iterator:
    """Our layer by the engine and by cuDNN, and the layers of others."""
    problem = layer_sides.draw(shape)
    for work in works:
        side, torch_side = WORK[work]
        ours = [side(our, problem, setting) for our in our_layers()]
        torch_lstm = torch_side(problem)
        for our in ours:
            yield Comparison("layer", shape.name, work, our, torch_lstm)
        for peer in [*cudnn.layers(shape), *layers.fastest_layers(shape)]:
            other = side(peer, problem, setting)
            yield Comparison("layer", shape.name, work, ours[0], other)


def our_layers() -> list[layers.Layer]:
    """Returns the engine, by one step and by four at once, and cuDNN on a GPU."""
    four = layers.ours(scan_unroll=4)._replace(name="lstm_jax, 4 steps at once")
    by_cudnn = [layers.ours(implementation="cudnn")] if on_gpu() else []
    return [layers.ours(), four, *by_cudnn]


def on_gpu() -> bool:
    """Whether JAX computes on a GPU."""
    return jax.default_backend() == "gpu"


def plan() -> Iterator[Part]:
    """Yields what is run, in order."""
    sizes = (*shapes.LAYERS, *WIDE)
    both, backward = tuple(WORK), ("forward+backward",)
    for shape in sizes:
        yield Part("layer", partial(layer, works=both), shape, "tensorfloat32")
    for shape in shapes.LAYERS:
        yield Part("training", training, shape, "tensorfloat32")
    yield Part("seeds", update.seeds, shapes.STEP, "tensorfloat32")
    for shape in shapes.LAYERS[:2]:
        yield Part("curve", gradient_curve.curve, shape, "tensorfloat32")
    yield Part("linear", linear.linear, shapes.LINEAR[1], "tensorfloat32")
    for shape in sizes:
        yield Part("layer", partial(layer, works=backward), shape, "float32")


def rehearsal() -> Iterator[Part]:
    """Yields every family once, at the size for trials, as a CPU computes it."""
    for part in {part.case: part for part in plan()}.values():
        yield part._replace(shape=shapes.TINY, precision="float32")


def run(parts: Iterable[Part], setting: Setting, write: Callable[[Line], None]) -> None:
    """Runs a list; `write` gets the header and every line."""
    end = time.monotonic() + MOST_SECONDS
    setting = setting._replace(rounds=min(setting.rounds, MOST_ROUNDS))
    write({**machine.header(setting), "rehearsed": not on_gpu()})
    if not on_gpu():
        write(not_run("layer", "lstm_jax cudnn and jax.experimental.rnn", "no GPU"))
    for part in parts:
        with computing_in(part.precision):
            here = setting._replace(precision=part.precision, compile_rounds=0)
            for line in lines(part, here, end):
                write(line)


def lines(part: Part, setting: Setting, end: float) -> Iterator[Line]:
    """Yields the ratios of a part, and what sides disagree on or time is left for."""
    if time.monotonic() > end:
        yield not_run(part.case, _name(part), TOO_LATE)
        return
    for comparison in part.run(part.shape, setting):
        what = f"{_name(part)}, {comparison.work}, {comparison.peer.name}"
        if time.monotonic() > end:
            yield not_run(part.case, f"{what} and what follows", TOO_LATE)
            return
        try:
            yield from measure(comparison, part.shape, setting)
        except Disagreement as found:
            yield not_run(part.case, what, str(found))


def not_run(case: str, what: str, why: str) -> Line:
    """Returns the line of what the record has no number of."""
    return {"kind": "not run", "case": case, "what": what, "why": why}


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Products of both libraries in a precision; on a CPU they are float32 anyway."""
    rounded = precision == "tensorfloat32"
    torch.set_float32_matmul_precision("high" if rounded else "highest")
    torch.backends.cudnn.allow_tf32 = rounded
    with jax.default_matmul_precision(PRECISIONS[precision]):
        yield


def _name(part: Part) -> str:
    return f"{part.shape.name} in {part.precision}"
