"""How much of a network a sequence saturates: sums that its activations leave no slope.

On raw data, passengers in hundreds, every gate is 0 or 1 whatever the weights are. What
a gradient then does says little about the network on data as it was made for.
"""

import math
from typing import NamedTuple, SupportsFloat

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

import lstm_jax as lj
from lstm_jax.engine import programs
from lstm_jax.types import Params

FLAT = 0.01  # of the steepest slope: beyond |z| = 6.0 of a logistic, 3.0 of a tanh
MUCH = 0.25  # more than this of the sums is saturated only because of the columns
SLOPES = {"logistic": lambda y: 4 * y * (1 - y), "tanh": lambda y: 1 - y**2}

Sequence = Float[Array, "time *batch input"]


class Saturation(NamedTuple):
    """The share of the activated sums whose slope is below 1 % of the steepest.

    Attributes:
      given: on the sequence as it is.
      standardised: on its columns with mean 0 and variance 1. A forget gate made for a
        long lag is flat on these too.
    """

    given: Float[Array, ""]
    standardised: Float[Array, ""]


def saturation(cell: lj.Cell, params: Params, xs: Sequence) -> Saturation:
    """Returns how much of a network a sequence saturates, from an empty memory on.

    Counted are all `logistic` and `tanh` of the step of any cell, over steps, batch and
    units; NaN where it has none.
    """
    both = jnp.stack([xs, standardised(xs)])
    shares = jax.lax.map(lambda xs: _saturated_share(cell, params, xs), both)
    return Saturation(*shares)


def standardised(xs: Sequence) -> Sequence:
    """Returns the columns with mean 0 and variance 1; a constant one is zero."""
    others = tuple(range(xs.ndim - 1))
    largest = jnp.max(jnp.abs(xs), others)
    xs = xs / jnp.where(largest > 0, largest, 1)  # squares of 1e30 are no float32
    deviation = jnp.std(xs, others)
    return (xs - jnp.mean(xs, others)) / jnp.where(deviation > 0, deviation, 1)


def _saturated_share(cell: lj.Cell, params: Params, xs: Sequence) -> Float[Array, ""]:
    carry = cell.init_carry(params, xs.shape[1:-1])
    program = programs.trace(cell.step, params, carry, xs[0])
    given = [*jax.tree.leaves(params), *program.closed_over]

    def step(carry, x):
        flat = []

        def watched(op, values):
            outputs = programs.evaluate(op, values)
            if op.name in SLOPES:
                slopes = SLOPES[op.name](outputs[0].astype(jnp.float32))
                flat.append(jnp.ravel(slopes < FLAT))
            return outputs

        carry, _ = programs.run_step(program, given, carry, [x], watched)
        return carry, jnp.mean(jnp.concatenate(flat)) if flat else jnp.nan

    _, shares = jax.lax.scan(step, jax.tree.leaves(carry), xs)
    return jnp.mean(shares)


def in_words(
    given: SupportsFloat, standardised: SupportsFloat, xs: NDArray[np.floating]
) -> list[str]:
    """Returns the line of a verdict, and what helps where the columns are to blame.

    Args:
      given: share of the sums that is saturated by the sequence.
      standardised: by its standardised columns.
      xs: the sequence.
    """
    share, after = float(given), float(standardised)
    if math.isnan(share):
        return []
    line = (
        f"  inputs:   up to {np.abs(xs).max():.3g}; they saturate {share:.0%} of the "
        "gates and units"
    )
    if share <= after + MUCH:
        return [line]
    return [
        f"{line}, which are then 0 or ±1 whatever is remembered: standardise the "
        f"columns, (x - mean) / standard deviation, which saturate {after:.0%}"
    ]
