"""How much of a network a sequence saturates: sums at which an activation is flat.

On raw data, say passengers in hundreds, every gate is 0 or 1 whatever the weights. What
the gradient then does says little about the network on data of the usual scale.
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

FLAT = 0.01  # of the steepest slope: |z| > 6.0 for a logistic, 3.0 for a tanh
MUCH = 0.25  # the share of the sums from which the scale of the columns is to blame
SLOPES = {"logistic": lambda y: 4 * y * (1 - y), "tanh": lambda y: 1 - y**2}

Sequence = Float[Array, "time *batch input"]


class Saturation(NamedTuple):
    """The share of the activated sums whose slope is below 1 % of the steepest.

    Attributes:
      given: on the sequence as it is.
      standardised: on its columns with mean 0 and variance 1. A forget gate biased for
        a long lag is flat on these too.
    """

    given: Float[Array, ""]
    standardised: Float[Array, ""]


def saturation(cell: lj.Cell, params: Params, xs: Sequence) -> Saturation:
    """Returns how much of a network a sequence saturates, starting from empty memory.

    Every `logistic` and `tanh` in the cell's step counts, over steps, batch and units;
    NaN if it has none.
    """
    both = jnp.stack([xs, standardised(xs)])
    shares = jax.lax.map(lambda xs: _saturated_share(cell, params, xs), both)
    return Saturation(*shares)


def standardised(xs: Sequence) -> Sequence:
    """Returns the columns with mean 0 and variance 1; a constant one becomes zero."""
    others = tuple(range(xs.ndim - 1))
    largest = jnp.max(jnp.abs(xs), others)
    xs = xs / jnp.where(largest > 0, largest, 1)  # 1e30 squared overflows float32
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
    """Returns the verdict's line on saturation, and the remedy if the columns cause it.

    `given` and `standardised` are the saturated shares of `Saturation` on `xs`.
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
        f"{line}, which are then 0 or ±1 whatever is remembered: "
        f"--scale=standardize, (x - mean) / standard deviation, saturates {after:.0%}"
    ]
