"""The parts of a carry that have a gradient, and the carry as one vector of reals.

Integer and key leaves are carried along but left out of gradients, norms and vectors.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.masking import Steps, over_time, unless_idle
from lstm_jax.types import Carry


def is_inexact(leaf: Any) -> bool:
    """Whether a leaf has a gradient: integers and keys have none."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def inexact_leaves(carry: Carry) -> list[Array]:
    """Returns the leaves that have a gradient, in the order of the pytree."""
    return [leaf for leaf in jax.tree.leaves(carry) if is_inexact(leaf)]


def with_inexact_leaves(carry: Carry, leaves: list[Array]) -> Carry:
    """Returns the carry with other inexact leaves; the rest stays."""
    inexact = iter(leaves)
    return jax.tree.map(lambda leaf: next(inexact) if is_inexact(leaf) else leaf, carry)


def inexact_structure(carry: Carry, leaves: list[Any]) -> Carry:
    """Returns the leaves in the structure of the carry, None in place of the rest."""
    inexact = iter(leaves)
    return jax.tree.map(lambda leaf: next(inexact) if is_inexact(leaf) else None, carry)


def state_vector(carry: Carry, batch_axes: int) -> Float[Array, "*batch state"]:
    """Returns the inexact leaves, ravelled after the batch axes, as one real vector.

    A complex leaf counts as its real parts, then its imaginary parts.
    """
    if not inexact_leaves(carry):
        raise ValueError("carry: it has no floating leaf; a state vector needs one")
    parts = [
        part.reshape(*part.shape[:batch_axes], -1)
        for leaf in inexact_leaves(carry)
        for part in _real_parts(leaf)
    ]
    return jnp.concatenate(parts, axis=-1)


def with_state_vector(carry: Carry, vector: Float[Array, "*batch state"]) -> Carry:
    """Returns the carry whose `state_vector` is `vector`; the rest stays."""
    leaves, start = [], 0
    for leaf in inexact_leaves(carry):
        parts = []
        for part in _real_parts(leaf):
            size = part.size // math.prod(vector.shape[:-1])
            piece = vector[..., start : start + size].reshape(part.shape)
            parts.append(piece.astype(part.dtype))
            start += size
        leaves.append(parts[0] if len(parts) == 1 else jax.lax.complex(*parts))
    return with_inexact_leaves(carry, leaves)


@jax.jit
def entering_carries(steps: Steps) -> tuple[Carry, Any]:
    """Returns the carry that enters each step and the outputs, leaves (time, ...)."""

    def run(steps):
        def showing_entry(shared, carry, inputs):
            after, y = steps.step(shared, carry, inputs)
            return after, (carry, y)

        return over_time(steps, showing_entry, steps.inputs)[1]

    return unless_idle(steps, run)


@jax.jit
def pulled_back(pullback: Callable, cotangents: Any) -> Any:
    """Returns the first result of a pullback, compiled once per pullback."""
    return pullback(cotangents)[0]


def _real_parts(leaf: Array) -> tuple[Array, ...]:
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        return leaf.real, leaf.imag
    return (leaf,)
