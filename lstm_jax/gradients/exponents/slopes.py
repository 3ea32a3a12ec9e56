"""Activations whose derivatives stay accurate when they are small.

JAX computes the slope of tanh from its value, 1 - y²: zero in float32 for |z| above 9,
where it is 1e-8. Here it is computed from the pre-activation, so it is right as long as
it is a normal number. The activations are found in the traced step, whoever wrote it;
`wide_vjp` handles slopes too small for a float.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.engine.programs import Op, evaluate, interpreted
from lstm_jax.gradients.exponents import scaled, wide
from lstm_jax.masking import Steps


def with_exact_slopes(steps: Steps) -> Steps:
    """Returns the same steps, with derivatives that are right for saturated units."""
    return replace(steps, step=_exact_step(steps.step), idle=_exact_step(steps.idle))


# Cached, so that equal cells give one function and are compiled once.
@cache
def _exact_step(step: Callable) -> Callable:
    return interpreted(step, _exactly)


def _exactly(op: Op, values: dict[int, Any]) -> list[Any]:
    complex_ = any(jnp.iscomplexobj(values[number]) for number in op.reads)
    if op.name not in wide.SLOPES or complex_:
        return evaluate(op, values)

    @jax.custom_jvp
    def activation(z):
        return evaluate(op, {number: z for number in op.reads})[0]

    @activation.defjvp
    def rule(primals, tangents):
        (z,), (d,) = primals, tangents
        return activation(z), _slope(op.name, z) * d

    return [activation(values[number]) for number in op.reads]


def _slope(name: str, z: Array) -> Array:
    mantissa, exponent = wide.SLOPES[name](z)
    return scaled.times_power(mantissa, exponent)
