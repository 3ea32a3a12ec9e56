"""Whole figures in one call, for a notebook: a gradient's decay, a trace of gates."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from lstm_jax.gradients.alignment import by_lag, check_curve
from lstm_jax.gradients.decay import log_shares
from lstm_jax.plots.curves import log_axis, share_curve
from lstm_jax.plots.heatmaps import heat_map
from lstm_jax.plots.style import styled

MEMORIES = ("h", "c", "g", "n", "carry")
"""What may be negative; everything else in a trace is a gate in [0, 1]."""


@styled
def decay(log_norms: Any, *, lengths: Any = None, cell: str = "lstm") -> Figure:
    """Draws how much of a gradient is left at every lag: median and quartiles.

        norms = lj.log_gradient_norms(cell, params, xs, loss_fn)
        lj.plots.decay(lj.joint_log_norms(norms))

    Args:
      log_norms: (time, *batch), one leaf of a carry, or `joint_log_norms` of all.
      lengths: (*batch,) integers, if the sequences end at different steps.
      cell: gives the colour.

    Raises:
      TypeError: log_norms are no floating array.
      ValueError: lengths that do not fit.

    Example:
      >>> norms = -0.5 * jnp.arange(30.0)[::-1, None] * jnp.ones(4)
      >>> lj.plots.decay(norms).axes[0].get_ylabel()
      'share of the gradient left'
    """
    check_curve("log_norms", log_norms)
    curves = log_norms if lengths is None else by_lag(log_norms, lengths)
    shares = np.asarray(log_shares(jnp.asarray(curves)), np.float64)[::-1]
    shares = shares.reshape(len(shares), -1)
    known = shares[~np.isnan(shares).all(axis=1)]
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    axes = figure.subplots()
    share_curve(axes, np.nanpercentile(known, (25, 50, 75), axis=1), cell, "")
    log_axis(axes, max(1, len(known) - 1), "How much of the gradient is left")
    axes.set_ylabel("share of the gradient left")
    return figure


@styled
def trace(values: dict[str, Any], *, example: int = 0) -> Figure:
    """Draws what `lj.trace` returns: every gate and memory, units by steps.

        lj.plots.trace(lj.trace(lj.LSTM, params, xs))

    Gates run from white, 0, to black, 1; memories and candidates keep their sign.

    Args:
      values: leaves (time, *batch, hidden), by name.
      example: which sequence, if there are several.

    Raises:
      ValueError: there is nothing in it, or no such example.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> figure = lj.plots.trace(lj.trace(lj.LSTM, params, jnp.ones((5, 2, 3))))
      >>> sorted(axes.get_ylabel() for axes in figure.axes if axes.get_ylabel())
      ['c', 'f', 'g', 'h', 'i', 'o']
    """
    if not values:
        raise ValueError("values: got nothing; it must be what lj.trace returns")
    figure = Figure(figsize=(6.4, 0.9 + 0.8 * len(values)), layout="constrained")
    rows = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, of_name) in zip(rows, values.items(), strict=True):
        signed = name.rpartition(".")[2] in MEMORIES
        heat_map(axes, _of_example(np.asarray(of_name), example), name, signed=signed)
    rows[-1].tick_params(bottom=True, labelbottom=True)
    rows[-1].set_xlabel("step")
    return figure


def _of_example(values: np.ndarray, example: int) -> np.ndarray:
    """Returns one sequence, (time, hidden)."""
    time, *batch, _ = values.shape
    number = math.prod(batch)
    if not 0 <= example < number:
        raise ValueError(f"example: got {example}; it must be in [0, {number - 1}]")
    return values.reshape(time, number, -1)[:, example]
