"""Numbers with an exponent each: what one step does to a gradient, beyond a float.

    value = mantissa * 2**exponent,    both of one shape

The slope of a saturated activation is below the smallest float32: tanh'(80) is 1e-69.
Within one step a gradient meets several such factors, different for every unit, so here
each number has its own exponent. Exponents are integers and exact.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int

from lstm_jax.gradients.exponents.scaled import (
    ZERO_EXPONENT,
    Scaled,
    floor_log2,
    rescale,
    times_power,
)
from lstm_jax.types import at_least_float32


class Wide(NamedTuple):
    """mantissa * 2**exponent, number by number."""

    mantissa: Array
    exponent: Int[Array, "*shape"]


def widened(values: Array) -> Wide:
    """Returns the values with mantissas in [1, 2), or zero."""
    magnitude = jnp.abs(values)
    log2 = floor_log2(magnitude)
    exponent = jnp.where(magnitude == 0, ZERO_EXPONENT, log2)
    return Wide(times_power(values, -log2), exponent)


def times(wide: Wide, factor: Wide) -> Wide:
    """Returns the product, number by number."""
    return Wide(
        wide.mantissa * factor.mantissa,
        jnp.maximum(wide.exponent + factor.exponent, ZERO_EXPONENT),
    )


def plus(first: Wide, second: Wide) -> Wide:
    """Returns the sum, number by number."""
    exponent = jnp.maximum(first.exponent, second.exponent)
    return Wide(over_power(first, exponent) + over_power(second, exponent), exponent)


def over_power(wide: Wide, exponent: Int[Array, "*shape"]) -> Array:
    """Returns value / 2**exponent, for exponents not below those of the values.

    Zeros may have any exponent.
    """
    return times_power(wide.mantissa, jnp.minimum(wide.exponent - exponent, 0))


def top_exponent(wide: Wide, axes: tuple[int, ...]) -> Int[Array, "*shape"]:
    """Returns the largest exponent along axes, which are kept with size 1."""
    exponent = jnp.where(wide.mantissa == 0, ZERO_EXPONENT, wide.exponent)
    return jnp.max(exponent, axis=axes, keepdims=True, initial=ZERO_EXPONENT)


def per_element(wide: Wide, batch_axes: int) -> Scaled:
    """Returns the values with one exponent for each element of the batch."""
    rest = tuple(range(batch_axes, wide.mantissa.ndim))
    top = top_exponent(wide, rest)
    return rescale(over_power(wide, top), jnp.squeeze(top, rest))


def tanh_slope(z: Array) -> Wide:
    """Returns tanh'(z) = 4 e^{-2|z|} / (1 + e^{-2|z|})²."""
    mantissa, exponent = _exponential(-2 * jnp.abs(z))
    return Wide(4 * mantissa / (1 + jnp.exp(-2 * jnp.abs(z))) ** 2, exponent)


def logistic_slope(z: Array) -> Wide:
    """Returns σ'(z) = e^{-|z|} / (1 + e^{-|z|})²."""
    mantissa, exponent = _exponential(-jnp.abs(z))
    return Wide(mantissa / (1 + jnp.exp(-jnp.abs(z))) ** 2, exponent)


SLOPES = {"tanh": tanh_slope, "logistic": logistic_slope}
"""By the names of JAX's primitives."""


def _exponential(y: Array) -> Wide:
    """Returns e^y for y <= 0 as 2^k e^{y - k ln 2}, k the whole part of y / ln 2."""
    wide = jnp.where(jnp.isfinite(y), y, 0).astype(at_least_float32(y.dtype))
    ln2 = jnp.log(jnp.asarray(2, wide.dtype))
    k = jnp.floor(wide / ln2)
    mantissa = jnp.where(jnp.isneginf(y), 0, jnp.exp(wide - k * ln2))
    mantissa = jnp.where(jnp.isnan(y), y, mantissa.astype(y.dtype))
    return Wide(mantissa, jnp.maximum(k, ZERO_EXPONENT).astype(jnp.int32))
