"""Which steps and inputs the answer came from, by integrated gradients."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes

import lstm_jax as lj
from experiments.common.records import Quantity, Record, take
from experiments.common.report import INITIAL, TRAINED
from experiments.explain import network
from experiments.explain.network import Network, Weights
from lstm_jax import plots
from lstm_jax.types import Carry

NUM_POINTS = 128  # of the path; a long sequence through full gates needs them
PARTS = (0.5, 0.9)  # of the answer, for which the steps are counted
LEAST = 1e-6  # float32 can't say less of a sum
NAMED = 3  # inputs that the verdict names


class Answer(NamedTuple):
    """Where the answers came from, by integrated gradients from inputs of zero.

    An answer is a vector; each is measured along itself, so the values of a sequence
    add up to its length less what no input would give along it.
    """

    by_lag: Float[Array, "lag examples"]  # sum over the inputs of a step
    by_input: Float[Array, "examples input"]  # sum of |values| over the steps
    missed: Float[Array, " examples"]  # share of the sum that the points miss


def answer(
    of: Network,
    params: Weights,
    inputs: Float[Array, "time examples input"],
    read: Callable[[Array], Array],
    carry: Carry,
) -> Answer:
    """Returns where the last answers came from; can be traced.

    Args:
      of: the network.
      params: of all its cells.
      inputs: without the warm-up.
      read: `output -> answer`, the readout.
      carry: that enters the first of these steps, of the lowest block.
    """
    first, width = of[0], inputs.shape[-1]
    xs = network.entering(first, inputs)
    ys = lj.unroll(first.cell, params[0], xs, carry)[1]
    own = read(network.last_output(of, params, ys))
    along = own / jnp.maximum(jnp.linalg.norm(own, axis=-1, keepdims=True), 1e-30)
    values, gap = lj.gradients.integrated_gradients(
        first.cell,
        params[0],
        xs,
        lambda ys: jnp.sum(read(network.last_output(of, params, ys)) * along),
        num_points=NUM_POINTS,
        carry=carry,
    )
    if first.both:  # an input is read twice, and counts with both
        values = values[..., :width] + values[::-1, ..., width:]
    by_lag = values.sum(axis=-1)[::-1]
    size = jnp.maximum(jnp.abs(by_lag).sum(axis=0), 1e-30)
    return Answer(by_lag, jnp.abs(values).sum(axis=0), jnp.abs(gap) / size)


def quantities(stages: list[Answer]) -> dict[str, Quantity]:
    """Returns the arrays of a record."""
    found = jax.tree.map(lambda *of: np.stack(of), *stages)
    by_lag, axes = found.by_lag.swapaxes(1, 2), ("stage", "example")
    return {
        "attribution": Quantity(by_lag, (*axes, "lag"), "answer"),
        "input_attribution": Quantity(found.by_input, (*axes, "input"), "answer"),
        "attribution_missed": Quantity(found.missed, axes, "1"),
    }


def lines(
    found: Answer, columns: tuple[str, ...], horizon: int | float, ends: bool
) -> list[str]:
    """Says how far back the steps lie that made the answer, and which inputs.

    Args:
      found: of the trained network.
      columns: what its inputs are called.
      horizon: steps back to which the gradient on the inputs themselves reaches.
      ends: whether the steps are counted from both ends of the sequence.
    """
    shares = _shares(np.asarray(found.by_lag).T)
    share = np.cumsum(_from_both_ends(shares) if ends else shares, axis=-1)
    reach = [np.median(1 + (share < part).sum(axis=-1)) for part in PARTS]
    half, most = (f"{steps:.0f}" for steps in reach)
    beyond = (
        f"  answer:   steps beyond {horizon:.0f}, where the gradient on this data ends,"
        " count on the way from inputs of zero, on which this network forgets less"
    )
    missed = max(float(np.max(found.missed)), LEAST)
    which = "first and the last" if ends else "last"
    steps = (
        f"half of it comes from the {which} {half} steps, 90% from the {which} {most}"
    )
    checked = f"the parts miss their sum by at most {missed:.1g}"
    told = [f"  answer:   compared with inputs of zero, {steps}; {checked}"]
    told += [beyond] * bool(reach[-1] > horizon)
    return told + _of_inputs(found, columns)


def half_reach(found: Answer) -> np.ndarray:
    """Returns the quartiles of the steps that half of an answer comes from."""
    share = np.cumsum(_shares(np.asarray(found.by_lag).T), axis=-1)
    return np.quantile(1 + (share < PARTS[0]).sum(axis=-1), (0.25, 0.75))


def _from_both_ends(shares: np.ndarray) -> np.ndarray:
    """Returns the shares of the first and the last step, the second and so on."""
    half = -(-shares.shape[-1] // 2)
    both = shares + shares[..., ::-1]
    both[..., half - 1] /= 1 + shares.shape[-1] % 2  # the middle one is only one
    return both[..., :half]


def _of_inputs(found: Answer, columns: tuple[str, ...]) -> list[str]:
    by_input = np.asarray(found.by_input).mean(axis=0)
    if len(by_input) < 2 or not by_input.sum():
        return []
    shares = by_input / by_input.sum()
    first = np.argsort(-shares, kind="stable")[:NAMED]
    named = [f"{columns[at]} {shares[at]:.0%}" for at in first]
    return [f"  inputs:   the answer is made of {', '.join(named)}"]


def names(columns: tuple[str, ...] | None, width: int) -> tuple[str, ...]:
    """Returns what the inputs are called: the columns of a table, or their numbers."""
    return (
        tuple(map(repr, columns)) if columns else tuple(f"x{k}" for k in range(width))
    )


def plot(axes: Axes, record: Record) -> None:
    """Draws how much of the answer the last steps made, against their number."""
    lag = record.config["lag"]
    steps = 1 + np.arange(lag + 1)
    for stage in record.axes["stage"]:
        share = _shares(take(record, "attribution", stage=stage))
        curve = np.median(np.cumsum(share, axis=-1), axis=0)
        style: dict[str, Any] = {"color": plots.GREY, "linewidth": 0.9}
        if stage == TRAINED:
            style = {"color": plots.colour_of(record.config["cell"])}
        label = "before\ntraining" if stage == INITIAL else ""
        axes.plot(steps, curve, label=label, **style)
    axes.set_xlim(1, lag + 1)
    axes.set_ylim(0, 1.02)
    axes.axhline(PARTS[0], color=plots.GREY, linewidth=0.6, label="half")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_title("Where the answer came from")
    axes.set_xlabel("last steps of the sequence")
    axes.set_ylabel("share of the answer they made")
    plots.label_ends(axes)


def _shares(by_lag: np.ndarray) -> np.ndarray:
    """Returns |values| as shares of their sum over the last axis."""
    size = np.abs(by_lag)
    return size / np.maximum(size.sum(axis=-1, keepdims=True), 1e-30)
