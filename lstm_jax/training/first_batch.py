"""The first batch of a task, looked at once before training: what only values tell.

It is drawn from a key of its own while an update is made, not while one runs, so that
it costs updates nothing and works under `jit`, `vmap` and over a mesh. Where a task
holds numbers that are traced, none of its batches is known, and shapes have to do.
"""

from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Float, Int

from lstm_jax.tasks.task import Batch, Task
from lstm_jax.training.batches import Drawing, check_inputs, draw, unchecked

# Weak, so that a task, the data it closes over and tracers in it are not kept alive.
_LOOKED_AT: WeakKeyDictionary[Task, set[Drawing]] = WeakKeyDictionary()


def check_first_batch(task: Task, drawing: Drawing) -> None:
    """Refuses a task whose first batch does not keep the contract of `Batch`.

    Raises:
      TypeError: something has a type or dtype that is not allowed.
      ValueError: something has a shape that is not allowed, a length lies outside of
        the arrays, a weight is negative or not finite, or something is asked at a step
        that does not count.
    """
    if isinstance(drawing.length, Tracer):
        return
    looked_at = _LOOKED_AT.setdefault(task, set())
    if drawing not in looked_at:
        _look_at(task, drawing)
        looked_at.add(drawing)


def _look_at(task: Task, drawing: Drawing) -> None:
    def drawn(key):
        return draw(task, drawing, key, jnp.zeros((), jnp.int32))

    key = jax.eval_shape(lambda: jax.random.key(0))
    program, shapes = jax.make_jaxpr(drawn, return_shape=True)(key)
    if drawing.batch_size == drawing.time > 1:
        _check_axes(task, drawing)
    if not any(isinstance(const, Tracer) for const in program.consts):
        lengths, weights = _values(program, shapes)
        _check_values(task, lengths, weights, drawing.time)


def _check_axes(task: Task, drawing: Drawing) -> None:
    """Refuses batch-first inputs where there are as many sequences as steps."""
    single = drawing._replace(batch_size=1)

    def inputs():
        return unchecked(
            task, single, jax.random.key(0), jnp.zeros((), jnp.int32)
        ).inputs

    drawn = jax.eval_shape(inputs)
    if drawn.shape[:2] == (1, drawing.time):
        check_inputs(task, drawn, 1, drawing.time)


def _values(
    program: ClosedJaxpr, shapes: Batch
) -> tuple[Int[np.ndarray, " batch"], Float[np.ndarray, " *scored"]]:
    """Returns the lengths and weights of a batch, and computes no more of it."""

    def run(consts, key):
        leaves = jaxpr_as_fun(ClosedJaxpr(program.jaxpr, consts))(key)
        batch = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
        return batch.lengths, batch.weights

    with jax.ensure_compile_time_eval():
        lengths, weights = jax.jit(run)(program.consts, jax.random.key(0))
        return np.asarray(lengths), np.asarray(weights).astype(np.float64)


def _check_values(
    task: Task,
    lengths: Int[np.ndarray, " batch"],
    weights: Float[np.ndarray, " *scored"],
    time: int,
) -> None:
    wrong = lengths[(lengths < 0) | (lengths > time)]
    if wrong.size:
        raise ValueError(
            f"lengths: found {wrong[0]}; each must be in [0, {time}], the time axis of "
            f"inputs, in {task.name!r}"
        )
    wrong = weights[~((weights >= 0) & np.isfinite(weights))]
    if wrong.size:
        raise ValueError(
            f"weights: found {wrong[0]:g}; each must be finite and at least 0, in "
            f"{task.name!r}"
        )
    counts = lengths > 0
    if weights.ndim == 2:
        counts = np.arange(time)[:, None] < lengths
    wrong = weights[~counts & (weights > 0)]
    if wrong.size:
        raise ValueError(
            f"weights: found {wrong[0]:g} at or beyond the length of a sequence; it "
            f"must be 0 where no step counts, in {task.name!r}"
        )
