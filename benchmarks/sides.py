"""Side: one way to do a piece of work; and the check that two do the same work."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

TOLERANCE = 1e-4  # of float32 sums in another order, relative to the norm of a leaf


class Disagreement(AssertionError):
    """Two sides that should compute the same do not."""


class Setting(NamedTuple):
    """What holds for every comparison of a run.

    Attributes:
      rounds: quiet rounds of every comparison.
      devices: devices of the CPU over which JAX splits the batch, or the seeds.
      compiler_options: of every program of JAX, ours and the peers'.
      compile_rounds: rounds of a comparison of compile times; 0 leaves it out.
    """

    rounds: int = 15
    devices: int = 1
    compiler_options: dict[str, str | bool] | None = None
    compile_rounds: int = 3


class Side(NamedTuple):
    """One way to do a piece of work.

    Attributes:
      name: the library and what of it.
      run: does the work once, and waits for it.
      answer: what was computed, as a pytree that is the same for every side.
      build: compiles anew; None where nothing is compiled.
      temp_bytes: temporary memory of the compiled program.
      program: the compiled program itself.
    """

    name: str
    run: Callable[[], Any]
    answer: Callable[[], Any]
    build: Callable[[], Any] | None = None
    temp_bytes: int | None = None
    program: Callable[..., Any] | None = None


class Comparison(NamedTuple):
    """Two sides of the same work.

    Attributes:
      case: the family, as in --cases.
      shape: its name.
      work: what is done, in words.
      ours: this library.
      peer: the other side.
      measures: which of time, compile, memory and share; those that a side lacks are
        left out.
    """

    case: str
    shape: str
    work: str
    ours: Side
    peer: Side
    measures: Sequence[str] = ("time", "compile", "memory")


def jax_side(
    name: str,
    function: Callable,
    arguments: tuple,
    setting: Setting,
    home: Callable[[Any], Any] = lambda result: result,
) -> Side:
    """Returns a side that is one compiled program.

    Args:
      name: of the side.
      function: pure.
      arguments: of the function, already on their devices.
      setting: of the run.
      home: from its result to the answer.
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


def check(ours: Side, peer: Side, tolerance: float = TOLERANCE) -> None:
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
        if not error <= tolerance:
            raise Disagreement(
                f"{peer.name} is off by {error:.2g} from {ours.name} in "
                f"answer{jax.tree_util.keystr(path)}; at most {tolerance:g} is allowed"
            )


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns ||a - b|| / ||a||, infinite where the shapes differ."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(a), 1e-30))
