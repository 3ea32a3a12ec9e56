"""Curves of sequences of different lengths, shifted so that their last steps align."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Int

from lstm_jax.checks import check_array, shown
from lstm_jax.masking import checked_lengths
from lstm_jax.types import LogNorms


def by_lag(log_norms: Any, lengths: ArrayLike) -> Any:
    """Returns the curves with every sequence's last step at T - 1, still in time order.

    Entry t then has lag T - t for all of them, so that they can be averaged, drawn and
    compared. Entries before a sequence began are NaN, which `decay_rate`, `horizon`,
    `effective_window` and the like, and the plots, leave out.

        def loss_fn(ys):
            return lj.last_step(ys, lengths).sum()

        norms = lj.log_gradient_norms(cell, params, xs, loss_fn, lengths=lengths)
        curves = lj.gradients.by_lag(norms, lengths)
        median = jnp.nanmedian(lj.log_shares(curves.c), axis=1)

    Args:
      log_norms: leaves (time, *batch, ...), such as `log_gradient_norms` returns, or
        gradients themselves. Not from a run in reverse, which always ends at step 0.
      lengths: (*batch,) integers in [0, time], as `unroll` was given.

    Returns:
      The same structure and shapes.

    Raises:
      TypeError: lengths are not integers, or a leaf is not floating.
      ValueError: lengths are not one number in [0, time] for each sequence.

    Example:
      >>> curves = jnp.array([[-2.0, -1.0], [-1.0, 0.0], [0.0, -jnp.inf]])
      >>> lj.gradients.by_lag(curves, lengths=jnp.array([3, 2]))[:, 1]
      Array([nan, -1.,  0.], dtype=float32)
    """
    return jax.tree.map(lambda leaf: _moved(leaf, jnp.asarray(lengths)), log_norms)


def check_curve(name: str, curve: Any) -> None:
    """Refuses anything but a curve of log-norms, such as a whole carry of them."""
    wanted = "an array (time, *batch): one leaf of a carry, or joint_log_norms of all"
    check_array(name, curve, wanted)
    if curve.ndim == 0 or not jnp.issubdtype(curve.dtype, jnp.floating):
        raise TypeError(f"{name}: got {shown(curve)}; it must be {wanted}, floating")


def before_beginning(log_norms: LogNorms) -> Bool[Array, " time *batch"]:
    """Returns where a curve has been NaN so far: before its sequence began (`by_lag`).

    A curve of NaN alone never began: it is unknown, and none of it is left out.
    """
    known = ~jnp.isnan(log_norms)
    return (jnp.cumsum(known, axis=0) == 0) & jnp.any(known, axis=0, keepdims=True)


def _moved(curve: Array, lengths: Int[Array, "*batch"]) -> Array:
    """Returns the curve (time, *batch, ...) with every last step at the end."""
    if not jnp.issubdtype(curve.dtype, jnp.inexact):
        raise TypeError(f"log_norms: dtype is {curve.dtype}; it must be floating")
    time, axes = curve.shape[0], 1 + lengths.ndim
    lengths = jnp.clip(checked_lengths(lengths, curve.shape[:axes]), 0, time)
    steps = jnp.arange(time, dtype=lengths.dtype).reshape(-1, *[1] * lengths.ndim)
    source = steps - (time - lengths)[None]
    source = jnp.expand_dims(source, tuple(range(axes, curve.ndim)))
    moved = jnp.take_along_axis(curve, jnp.maximum(source, 0), axis=0)
    return jnp.where(source >= 0, moved, jnp.nan)
