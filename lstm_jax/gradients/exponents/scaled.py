"""Arrays with a separate integer exponent, so that nothing underflows.

A gradient that fades by 0.5 per step is 1e-3010 after 10 000 steps, far below the
smallest float64. `Scaled` keeps value = mantissa * 2**exponent with one exponent per
batch element. Rescaling is by powers of two only and exponents are counted as integers:
both are exact, where a running sum of float32 logarithms drifts.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lstm_jax.types import at_least_float32

# The exponent of zero: below any other, and far enough from the ends of int32 that a
# difference of two exponents cannot overflow.
ZERO_EXPONENT = -(2**30)


class Scaled(NamedTuple):
    """mantissa * 2**exponent; the largest entry of a mantissa is near 1 or 2, or 0."""

    mantissa: Array
    exponent: Int[Array, "*batch"]


def rescale(values: Array, exponent: Int[Array, "*batch"]) -> Scaled:
    """Returns values * 2**exponent, with a mantissa (*batch, ...) of order 1."""
    rest = tuple(range(exponent.ndim, values.ndim))
    largest = jnp.max(jnp.abs(values), axis=rest)
    # 2**±limit are normal numbers: subnormal ones are flushed to zero on some devices.
    limit = -int(jnp.finfo(largest.dtype).minexp)
    shift = jnp.clip(floor_log2(largest), -limit, limit)
    return Scaled(
        mantissa=times_power(values, -shift),
        exponent=jnp.where(largest == 0, ZERO_EXPONENT, exponent + shift),
    )


def floor_log2(magnitude: Array) -> Int[Array, "*shape"]:
    """Returns the whole part of log2; 0 for zero, NaN and inf."""
    usable = (magnitude > 0) & jnp.isfinite(magnitude)
    wide = magnitude.astype(at_least_float32(magnitude.dtype))
    return jnp.floor(jnp.log2(jnp.where(usable, wide, 1))).astype(jnp.int32)


def add(terms: Sequence[Scaled]) -> Scaled:
    """Returns the sum, aligned to the largest exponent of each batch element."""
    exponent = jnp.max(jnp.stack([term.exponent for term in terms]), axis=0)
    aligned = [over_power(term, exponent) for term in terms]
    return rescale(jax.tree.reduce(jnp.add, aligned), exponent)


def over_power(value: Scaled, exponent: Int[Array, "*batch"]) -> Array:
    """Returns value / 2**exponent."""
    return times_power(value.mantissa, value.exponent - exponent)


def log_norm(value: Scaled) -> Float[Array, "*batch"]:
    """Returns ln ||value|| over the axes after the batch axes; -inf for zero."""
    mantissa, exponent = value
    rest = tuple(range(exponent.ndim, mantissa.ndim))
    magnitude = jnp.abs(mantissa)
    wide = magnitude.astype(at_least_float32(magnitude.dtype))
    squares = jnp.sum(wide**2, axis=rest)
    ln2 = jnp.log(jnp.asarray(2, wide.dtype))
    finite = (
        0.5 * jnp.log(jnp.where(squares == 0, 1, squares))
        + exponent.astype(wide.dtype) * ln2
    )
    return jnp.where(squares == 0, -jnp.inf, finite)


def times_power(values: Array, power: Int[Array, "*batch"]) -> Array:
    """Returns values * 2**power; zero where 2**power is not a normal number."""
    real = jnp.finfo(values.dtype).dtype
    smallest = int(jnp.finfo(real).minexp)
    factor = jnp.ldexp(jnp.ones((), real), jnp.maximum(power, smallest))
    factor = jnp.where(power < smallest, 0, factor).astype(values.dtype)
    return values * jnp.expand_dims(factor, tuple(range(power.ndim, values.ndim)))
