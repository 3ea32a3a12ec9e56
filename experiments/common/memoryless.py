"""Layers without memory, as cells: what stands before and between those with one."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import lstm_jax as lj
from lstm_jax import initializers


class DenseParams(NamedTuple):
    """Weights of a layer without memory."""

    w: Float[Array, "input hidden"]
    b: Float[Array, " hidden"]


def memoryless(name: str, activation: Callable[[Array], Array]) -> lj.Cell:
    """Returns the cell that shows activation(x W + b) and keeps nothing."""

    # A stack hands its options to every layer; here there are none to take.
    def init(key, input_size, hidden_size, **_):
        shape = input_size, hidden_size
        w = initializers.glorot(key, shape, jnp.float32)
        return DenseParams(w=w, b=jnp.zeros(hidden_size, jnp.float32))

    def init_carry(params, batch_shape=()):
        return jnp.zeros((*batch_shape, 0), params.b.dtype)

    def step(params, carry, x):
        return carry, activation(x @ params.w + params.b)

    return lj.Cell(name=name, init=init, init_carry=init_carry, step=step)


EMBEDDING = memoryless("embedding", lambda v: v)
DENSE = memoryless("dense", jax.nn.gelu)
