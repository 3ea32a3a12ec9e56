"""What the first step tells the weights, against the noise of a batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.types import Inputs, Params, Scalar
from lstm_jax.unrolling import unroll


class FirstStepSignal(NamedTuple):
    """Norms over all weights of the cell, in units of the loss per weight.

    Attributes:
      signal: ||E s||, s the part of one example's gradient that flows through step 0.
      resolution: sqrt(tr Cov(s) / examples), the standard error of mean s: a signal
        below it is not told from zero.
      noise: sqrt(tr Cov(g) / batch_size), g the whole gradient of one example: the
        standard deviation of a batch's mean gradient.
    """

    signal: Float[Array, ""]
    resolution: Float[Array, ""]
    noise: Float[Array, ""]


def first_step_signal(
    cell: Cell,
    params: Params,
    xs: Inputs,
    loss_fn: Callable[[Any, Any], Any],
    targets: Any,
    batch_size: Scalar,
) -> FirstStepSignal:
    """Returns how loud the first step is in the weight gradient of a batch.

    ||E s||² is estimated without bias as ||mean s||² - tr Cov(s) / examples, and as 0
    where that is negative: the signal is then below what the examples can show.

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, examples, input) with time >= 2.
      loss_fn: `(ys, target) -> scalar` for one example, ys (time, output).
      targets: what loss_fn reads, leaves (examples, ...).
      batch_size: of the training whose noise is meant.
    """

    def loss(first, rest, x, target):
        carry, y0 = unroll(cell, first, x[:1])
        _, ys = unroll(cell, rest, x[1:], carry)
        return loss_fn(jnp.concatenate([y0, ys]), target)

    def both_parts(x, target):
        through_first, through_rest = jax.grad(loss, (0, 1))(params, params, x, target)
        return through_first, jax.tree.map(jnp.add, through_first, through_rest)

    with jax.default_matmul_precision("highest"):
        first, whole = jax.vmap(both_parts, in_axes=(1, 0))(xs, targets)
    examples = xs.shape[1]
    squared_error = _total_variance(first) / examples
    return FirstStepSignal(
        signal=jnp.sqrt(jnp.maximum(_squared_mean(first) - squared_error, 0)),
        resolution=jnp.sqrt(squared_error),
        noise=jnp.sqrt(_total_variance(whole) / batch_size),
    )


def _squared_mean(gradients: Params) -> Float[Array, ""]:
    parts = [jnp.sum(jnp.mean(leaf, 0) ** 2) for leaf in jax.tree.leaves(gradients)]
    return jax.tree.reduce(jnp.add, parts)


def _total_variance(gradients: Params) -> Float[Array, ""]:
    parts = [jnp.sum(jnp.var(leaf, 0, ddof=1)) for leaf in jax.tree.leaves(gradients)]
    return jax.tree.reduce(jnp.add, parts)
