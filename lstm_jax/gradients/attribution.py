"""Attribution: which steps and inputs an answer came from, with its check."""

from functools import partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_array, check_function, check_whole
from lstm_jax.gradients.inputs import input_gradients
from lstm_jax.gradients.loss import LossFn, checked_loss, refuse_nan
from lstm_jax.masking import Masks
from lstm_jax.types import Carry, Inputs, Params
from lstm_jax.unrolling import unroll


class Attribution(NamedTuple):
    """What each input added to the loss, compared with a baseline.

    Attributes:
      values: (time, *batch, input), in the unit of the loss.
      gap: (*batch,), the sum of a sequence's values minus L(xs) - L(baseline); 0 but
        for the sum over the points of the path.
    """

    values: Float[Array, "time *batch input"]
    gap: Float[Array, "*batch"]


def integrated_gradients(
    cell: Cell,
    params: Params,
    xs: Inputs,
    loss_fn: LossFn,
    *,
    baseline: Any = None,
    num_points: int = 64,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Attribution:
    """Returns which steps and inputs an answer came from, by integrated gradients.

        v_t = (x_t - x'_t) ∫ dL/dx_t (x' + α (x - x')) dα,    α from 0 to 1
        Σ_t v_t = L(x) - L(x')

    The integral is a sum over the Gauss-Legendre points, exact for polynomials of
    degree 2 num_points - 1 in α. It costs num_points runs forth and back, one after the
    other, in the memory of one. `gap` is the check: where it isn't small, take more
    points. Unlike a gradient, a value does not vanish where a gate is saturated at x.

    Args:
      cell: any cell whose inputs are one floating array.
      params: its weights.
      xs: (time, *batch, input).
      loss_fn: `ys -> one real number`, a sum or a mean over the sequences, such as
        the answer itself, `lambda ys: readout(ys[-1])[:, k].sum()`.
      baseline: x', what "nothing" looks like; zeros by default, or anything that
        broadcasts to xs, such as the mean of each input.
      num_points: of the path from the baseline to xs.
      carry: what enters the first step; `init_carry` by default.
      **masks: lengths, mask, resets, reverse, as for `unroll`.

    Raises:
      TypeError: xs is no floating array, or loss_fn can't be called.
      ValueError: baseline does not broadcast to xs, num_points is below 1, or a loss
        that is not finite.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jax.random.normal(jax.random.key(1), (5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> found = lj.gradients.integrated_gradients(lj.LSTM, params, xs, last)
      >>> found.values.shape, bool(jnp.abs(found.gap).max() < 1e-5)
      ((5, 2, 3), True)

    References:
      Sundararajan, Taly & Yan (2017), https://arxiv.org/abs/1703.01365
    """
    check_array("xs", xs, "a floating array (time, *batch, input)")
    check_function("loss_fn", loss_fn, "ys -> one real number")
    check_whole("num_points", num_points, 1)
    xs = jnp.asarray(xs)
    start = _checked_baseline(baseline, xs)
    run = partial(unroll, cell, params, carry=carry, **masks)
    gradients = partial(
        input_gradients, cell, params, loss_fn=loss_fn, carry=carry, **masks
    )
    values = _along_the_path(gradients, start, xs, num_points)
    rises = _rises(loss_fn, run(start)[1], run(xs)[1])
    sums = values.sum(axis=(0, -1))
    return Attribution(values, sums - rises)


def _checked_baseline(baseline: Any, xs: Array) -> Array:
    start = jnp.zeros((), xs.dtype) if baseline is None else baseline
    try:
        return jnp.broadcast_to(jnp.asarray(start, xs.dtype), xs.shape)
    except ValueError as error:
        raise ValueError(
            f"baseline: shape is {jnp.shape(start)}; it must broadcast to {xs.shape}, "
            "the shape of xs"
        ) from error


def _along_the_path(gradients: Any, start: Array, end: Array, num_points: int) -> Array:
    """Returns (end - start) times the mean gradient between them."""
    points, weights = np.polynomial.legendre.leggauss(num_points)
    shares = jnp.asarray((points + 1) / 2, end.dtype)

    def add(total, at):
        share, weight = at
        return total + weight * gradients(xs=start + share * (end - start)), None

    weighed = (shares, jnp.asarray(weights / 2, end.dtype))
    mean, _ = jax.lax.scan(add, jnp.zeros_like(end), weighed)
    # Where a step doesn't count nothing comes from it, whatever stands there.
    return jnp.where(mean == 0, 0, (end - start) * mean)


def _rises(loss_fn: LossFn, before: Array, after: Array) -> Float[Array, "*batch"]:
    """Returns L(after) - L(before) of each sequence, the others as before."""
    batch = before.shape[1:-1]
    loss = checked_loss(loss_fn, before)
    refuse_nan(loss)

    def of_one(index):
        chosen = (jnp.arange(np.prod(batch, dtype=int)) == index).reshape(*batch, 1)
        return checked_loss(loss_fn, jnp.where(chosen, after, before)) - loss

    return jax.lax.map(of_one, jnp.arange(np.prod(batch, dtype=int))).reshape(batch)
