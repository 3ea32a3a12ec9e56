"""What a loss reads of the outputs: its gradient, and whether it makes sense."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from lstm_jax.checks import check_function
from lstm_jax.masking import select

LossFn = Callable[[Any], Any]
Counts = Bool[Array, " time *batch"] | None
"""Which steps count; None where all do."""


def output_gradients(loss_fn: LossFn, ys: Any, counts: Counts = None) -> Any:
    """Returns dL/dys; refuses a loss that is not a real, finite scalar.

    If values are known it also refuses a loss that reads only the padding of a
    sequence, see `check_reading`.
    """
    loss, dys = jax.value_and_grad(lambda ys: checked_loss(loss_fn, ys))(ys)
    refuse_nan(loss)
    check_reading(loss_fn, ys, counts)
    return dys


def refuse_nan(loss: Array) -> None:
    """Refuses NaN and inf if the value is known; under `jit` it is not."""
    if not isinstance(loss, Tracer) and not bool(jnp.isfinite(loss)):
        raise ValueError(f"loss_fn: it returned {loss}; it must return a real number")


def checked_loss(loss_fn: LossFn, ys: Any) -> Float[Array, ""]:
    """Returns the loss; refuses anything but one real number, at trace time."""
    check_function("loss_fn", loss_fn, "ys -> one real number")
    loss = loss_fn(ys)
    if not isinstance(loss, jax.Array | np.ndarray | np.generic | int | float):
        raise ValueError(
            f"loss_fn: it returned a {type(loss).__name__}; it must return one real "
            "number"
        )
    if jnp.shape(loss) != () or not jnp.issubdtype(jnp.result_type(loss), jnp.floating):
        raise ValueError(
            f"loss_fn: it returned {jnp.result_type(loss)}{list(jnp.shape(loss))}; "
            "it must return one real number"
        )
    return jnp.asarray(loss)


def check_reading(loss_fn: LossFn, ys: Any, counts: Counts) -> None:
    """Refuses a loss that reads only the padding of a sequence, all zeros.

    ys[-1] does that if sequences end earlier: no gradient would reach their steps.
    Padding counts as read where the loss has a gradient once other values fill it.
    Under `jit` values are unknown, and nothing is checked.

    Raises:
      ValueError: names the first such sequence.
    """
    leaves = [counts, *jax.tree.leaves(ys)]
    if counts is None or any(isinstance(leaf, Tracer) for leaf in leaves):
        return
    other = select(counts, ys, jax.tree.map(_noise_like, ys))
    step = np.asarray(counts)
    missed = step.any(0) & ~step.all(0)
    for outputs in (ys, other):
        if not missed.any():
            return
        read = _read(loss_fn, outputs, step.ndim)
        missed &= ~(read & step).any(0)
    missed &= (read & ~step).any(0)
    for index in np.argwhere(missed):
        raise ValueError(
            f"loss_fn: of sequence {', '.join(map(str, index)) or 0} it reads only "
            "steps that don't count, whose outputs are zeros; it must read one that "
            "does, as lj.last_step(ys, lengths) does"
        )


def _read(loss_fn: LossFn, ys: Any, axes: int) -> np.ndarray:
    """Returns (time, *batch) bool, where the loss has a gradient."""
    gradients = jax.tree.leaves(jax.grad(lambda ys: checked_loss(loss_fn, ys))(ys))
    parts = [np.asarray(leaf != 0) for leaf in gradients]
    return np.any([part.any(tuple(range(axes, part.ndim))) for part in parts], axis=0)


def _noise_like(leaf: Array) -> Array:
    return jax.random.normal(jax.random.key(0), leaf.shape, leaf.dtype)
