"""The values in a task's first batch, checked once before training.

The batch is drawn from a key of its own while an update is traced, so that it slows no
update down and works under `jit`, `vmap` and over a mesh. A task that holds traced
numbers has no known values; there only shapes are checked.
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
_CHECKED: WeakKeyDictionary[Task, set[Drawing]] = WeakKeyDictionary()


def check_first_batch(task: Task, drawing: Drawing) -> None:
    """Refuses a task whose first batch breaks the contract of `Batch`.

    By its types and shapes, by a length beyond the arrays, or by a weight that is
    negative, not finite, or positive where no step counts.
    """
    if isinstance(drawing.length, Tracer):
        return
    checked = _CHECKED.setdefault(task, set())
    if drawing not in checked:
        _check(task, drawing)
        checked.add(drawing)


def _check(task: Task, drawing: Drawing) -> None:
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

    key, step = jax.random.key(0), jnp.zeros((), jnp.int32)
    inputs = jax.eval_shape(lambda: unchecked(task, single, key, step).inputs)
    if inputs.shape[:2] == (1, drawing.time):
        check_inputs(task, inputs, 1, drawing.time)


def _values(
    program: ClosedJaxpr, shapes: Batch
) -> tuple[Int[np.ndarray, " batch"], Float[np.ndarray, " *scored"]]:
    """Returns the lengths and weights of a batch, computing nothing else."""

    def run(consts, key):
        leaves = jaxpr_as_fun(ClosedJaxpr(program.jaxpr, consts))(key)
        batch = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
        return batch.lengths, batch.weights

    # Traced out here: in there, all that does not depend on the key, which is most of
    # it, would be compiled operation by operation.
    key = jax.eval_shape(lambda: jax.random.key(0))
    compiled = jax.jit(run).lower(program.consts, key).compile()
    with jax.ensure_compile_time_eval():
        lengths, weights = compiled(program.consts, jax.random.key(0))
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
