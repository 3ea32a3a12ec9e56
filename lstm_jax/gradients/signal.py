"""How much of a weight gradient comes from the first step, against batch noise."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.stochastic import Keyed
from lstm_jax.checks import check_array, check_number
from lstm_jax.gradients.loss import checked_loss, refuse_nan
from lstm_jax.types import Inputs, Params, Scalar
from lstm_jax.unrolling import unroll


class FirstStepSignal(NamedTuple):
    """Norms over all weights of the cell, in units of the loss per weight.

    Attributes:
      signal: ||E s||, s the part of one example's gradient that flows through step 0.
      resolution: sqrt(tr Cov(s) / examples), the standard error of mean s: a signal
        below it cannot be told from zero.
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
    """Returns how strong the first step is in the weight gradient of a batch.

    ||E s||² is estimated without bias as ||mean s||² - tr Cov(s) / examples, and as 0
    if that is negative: the signal is then too small for the examples to show.

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, examples, input), with at least two steps and two examples.
      loss_fn: `(ys, target) -> scalar` for one example, ys (time, output).
      targets: what loss_fn reads, leaves (examples, ...).
      batch_size: of the training whose noise is compared.

    Raises:
      TypeError: xs holds keys.
      ValueError: a shape or the batch size is not allowed, or the loss is not a real
        scalar.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jax.random.normal(jax.random.key(1), (5, 8, 3))
      >>> loss = lambda ys, targets: (ys[-1].sum(-1) - targets) ** 2
      >>> targets = jnp.ones(8)
      >>> signal = lj.gradients.first_step_signal(lj.LSTM, params, xs, loss, targets, 8)
      >>> signal._fields
      ('signal', 'resolution', 'noise')
    """
    _check(xs, targets, batch_size)

    def loss(first, rest, x, target):
        carry, y0 = unroll(cell, first, x[:1])
        _, ys = unroll(cell, rest, x[1:], carry)
        return checked_loss(lambda ys: loss_fn(ys, target), jnp.concatenate([y0, ys]))

    def both_parts(x, target):
        value, (through_first, through_rest) = jax.value_and_grad(loss, (0, 1))(
            params, params, x, target
        )
        whole = jax.tree.map(jnp.add, through_first, through_rest)
        return value, through_first, whole

    with jax.default_matmul_precision("highest"):
        losses, first, whole = jax.vmap(both_parts, in_axes=(1, 0))(xs, targets)
    refuse_nan(jnp.sum(losses))
    first, of_first = _near_one(first)
    whole, of_whole = _near_one(whole)
    squared_error = _total_variance(first) / xs.shape[1]
    signal = jnp.sqrt(jnp.maximum(_squared_mean(first) - squared_error, 0))
    return FirstStepSignal(
        signal=of_first * signal,
        resolution=of_first * jnp.sqrt(squared_error),
        noise=of_whole * jnp.sqrt(_total_variance(whole) / batch_size),
    )


def _check(xs: Inputs, targets: Any, batch_size: Scalar) -> None:
    if isinstance(xs, Keyed):
        raise TypeError("xs: got Keyed; first_step_signal needs a cell without chance")
    check_array("xs", xs, "an array (time, examples, input)")
    if xs.ndim != 3 or xs.shape[0] < 2 or xs.shape[1] < 2:
        raise ValueError(
            f"xs: shape is {xs.shape}; it must be (time, examples, input) with two "
            "steps and two examples at least"
        )
    for leaf in jax.tree.leaves(targets):
        if jnp.shape(leaf)[:1] != xs.shape[1:2]:
            raise ValueError(
                f"targets: shape is {jnp.shape(leaf)}; it must begin with "
                f"{xs.shape[1]}, the examples of xs"
            )
    check_number("batch_size", batch_size, "[1, inf)")


def _near_one(gradients: Params) -> tuple[Params, Float[Array, ""]]:
    """Returns the gradients over their largest entry, and that entry."""
    largest = jnp.max(
        jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(gradients)])
    )
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    return jax.tree.map(lambda leaf: leaf / unit, gradients), unit


def _squared_mean(gradients: Params) -> Float[Array, ""]:
    parts = [jnp.sum(jnp.mean(leaf, 0) ** 2) for leaf in jax.tree.leaves(gradients)]
    return jax.tree.reduce(jnp.add, parts)


def _total_variance(gradients: Params) -> Float[Array, ""]:
    parts = [jnp.sum(jnp.var(leaf, 0, ddof=1)) for leaf in jax.tree.leaves(gradients)]
    return jax.tree.reduce(jnp.add, parts)
