"""Side: one way of doing a piece of work; and the check that two sides agree."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

# float32 sums may differ in order; a factor of tensorfloat32 has 11 bits.
TOLERANCES = {"float32": 1e-4, "tensorfloat32": 2e-2}


class Disagreement(AssertionError):
    """Two sides that should compute the same do not."""


class Setting(NamedTuple):
    """What holds for every comparison of a run."""

    rounds: int = 15  # quiet rounds per comparison
    devices: int = 1  # CPU devices over which JAX splits the batch, or the seeds
    compiler_options: dict[str, str | bool] | None = None  # of all sides in JAX
    compile_rounds: int = 3  # rounds per comparison of compile times; 0 leaves them out
    precision: str = "float32"  # of products: "tensorfloat32" on a GPU, as by default

    @property
    def tolerance(self) -> float:
        """How far two sides may differ, relative to the norm of a leaf."""
        return TOLERANCES[self.precision]


class Side(NamedTuple):
    """One way of doing a piece of work."""

    name: str  # the library, and which part of it
    run: Callable[[], Any]  # does the work once, and waits for it
    answer: Callable[[], Any]  # the result, a pytree of one structure for all sides
    build: Callable[[], Any] | None = None  # compiles anew; None: nothing to compile
    temp_bytes: int | None = None  # temporary memory of the compiled program
    program: Callable[..., Any] | None = None  # the compiled program itself


class Comparison(NamedTuple):
    """Two sides of the same work; measures that a side lacks are left out."""

    case: str  # the family, as in --cases
    shape: str  # its name
    work: str  # what is done, in words
    ours: Side
    peer: Side
    measures: Sequence[str] = ("time", "compile", "memory")  # or "share"


def jax_side(
    name: str,
    function: Callable,
    arguments: tuple,
    setting: Setting,
    home: Callable[[Any], Any] = lambda result: result,
) -> Side:
    """Returns a side that is one compiled program.

    The arguments of the pure `function` are already on their devices; `home` turns its
    result into the answer.
    """

    def build():
        lowered = jax.jit(function).lower(*arguments)
        return lowered.compile(setting.compiler_options)

    program = build()
    memory = program.memory_analysis()
    return Side(
        name,
        run=lambda: jax.block_until_ready(program(*arguments)),
        answer=lambda: home(program(*arguments)),
        build=build,
        temp_bytes=None if memory is None else int(memory.temp_size_in_bytes),
        program=program,
    )


def timed_alone(side: Side) -> Side:
    """Returns the side with an answer that agrees with any: only time is compared."""
    return side._replace(answer=lambda: 0.0)


def check(ours: Side, peer: Side, allowed: float = TOLERANCES["float32"]) -> None:
    """Raises `Disagreement` unless both sides give the same answer."""
    wanted, got = (
        jax.tree.flatten_with_path(side.answer())[0] for side in (ours, peer)
    )
    if [path for path, _ in wanted] != [path for path, _ in got]:
        raise Disagreement(
            f"{ours.name} and {peer.name} answer in different structures"
        )
    for (path, a), (_, b) in zip(wanted, got, strict=True):
        error = distance(np.asarray(a), np.asarray(b))
        if not error <= allowed:
            raise Disagreement(
                f"{peer.name} is off by {error:.2g} from {ours.name} in "
                f"answer{jax.tree_util.keystr(path)}; at most {allowed:g} is allowed"
            )


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns ||a - b|| / ||a||; infinity if the shapes differ."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(a), 1e-30))
