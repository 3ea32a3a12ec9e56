"""Transitions: what a step that is linear in its state multiplies the state by.

    state_t = A_t state_{t-1} + u_t            A_t and u_t depend on x_t alone

Such steps compose, (A_2, u_2) after (A_1, u_1) being (A_2 A_1, A_2 u_1 + u_2), so that
`unroll(..., implementation="associative")` runs a whole sequence as a tree. A cell
declares its transition once, `(params, x) -> (A, u)` with u in the structure of its
carry, and its step is made of it by `advanced`.

What a scan keeps must not grow: `closed` gives the form in which products stay as large
as their factors.
"""

from typing import Any, NamedTuple, Self, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.types import Carry


class Diagonal(NamedTuple):
    """Every number of the state times its own factor.

    Attributes:
      factors: in the structure and shapes of the carry.
    """

    factors: Carry

    def on(self, state: Carry) -> Carry:
        """Returns A state."""
        return jax.tree.map(jnp.multiply, self.factors, state)

    def after(self, earlier: Self) -> Self:
        """Returns the product A earlier."""
        return type(self)(self.on(earlier.factors))

    def identity(self) -> Self:
        """Returns the transition that changes nothing."""
        return jax.tree.map(jnp.ones_like, self)

    def closed(self) -> Self:
        """Returns itself: a product of diagonals is one."""
        return self


class Rotation(NamedTuple):
    """Every pair (a, b) of a state of two leaves times the number re + i im.

    Attributes:
      re: (*batch, units), r cos φ.
      im: (*batch, units), r sin φ.
    """

    re: Float[Array, "*batch units"]
    im: Float[Array, "*batch units"]

    def on(self, state: Carry) -> Carry:
        """Returns A state."""
        (a, b), structure = jax.tree.flatten(state)
        turned = self.re * a - self.im * b, self.re * b + self.im * a
        return structure.unflatten(turned)

    def after(self, earlier: Self) -> Self:
        """Returns the product A earlier."""
        return self.on(earlier)

    def identity(self) -> Self:
        """Returns the transition that changes nothing."""
        return type(self)(jnp.ones_like(self.re), jnp.zeros_like(self.im))

    def closed(self) -> Self:
        """Returns itself: a product of rotations is one."""
        return self


class Dense(NamedTuple):
    """A state of one leaf, a vector, times a matrix of its own.

    Attributes:
      matrix: (*batch, units, units).
    """

    matrix: Float[Array, "*batch units units"]

    def on(self, state: Carry) -> Carry:
        """Returns A state."""
        return jax.tree.map(
            lambda leaf: jnp.einsum("...ij,...j->...i", self.matrix, leaf), state
        )

    def after(self, earlier: Self) -> Self:
        """Returns the product A earlier."""
        return type(self)(self.matrix @ earlier.matrix)

    def identity(self) -> Self:
        """Returns the transition that changes nothing."""
        eye = jnp.eye(self.matrix.shape[-1], dtype=self.matrix.dtype)
        return type(self)(jnp.broadcast_to(eye, self.matrix.shape))

    def closed(self) -> Self:
        """Returns itself: a product of matrices is one."""
        return self


class Reflections(NamedTuple):
    """A state of one leaf, a vector, times a product of Householder factors.

        A = α (I - β_k v_k v_kᵀ) ... (I - β_1 v_1 v_1ᵀ)         |v_j| = 1

    β = 1 projects v_j out, β = 2 reflects, β = 0 changes nothing; with n units det A =
    α^n Π (1 - β_j).

    Attributes:
      strengths: β, (*batch, factors).
      directions: v, (*batch, factors, units), the first acts first.
      scale: α, (*batch,); None for 1.
    """

    strengths: Float[Array, "*batch factors"]
    directions: Float[Array, "*batch factors units"]
    scale: Float[Array, "*batch"] | None = None

    def on(self, state: Carry) -> Carry:
        """Returns A state."""
        return jax.tree.map(self._on_vector, state)

    def _on_vector(self, vector: Array) -> Array:
        for place in range(self.strengths.shape[-1]):
            v = self.directions[..., place, :]
            along = self.strengths[..., place] * jnp.sum(v * vector, axis=-1)
            vector = vector - along[..., None] * v
        return vector if self.scale is None else self.scale[..., None] * vector

    def closed(self) -> Dense:
        """Returns the product as a matrix."""
        eye = jnp.eye(self.directions.shape[-1], dtype=self.directions.dtype)
        columns = jax.vmap(self._on_vector, in_axes=0, out_axes=-1)(
            jnp.broadcast_to(
                eye.reshape(len(eye), *(1 for _ in self.strengths.shape[1:]), -1),
                (len(eye), *self.strengths.shape[:-1], len(eye)),
            )
        )
        return Dense(columns)


Transition: TypeAlias = Diagonal | Rotation | Reflections | Dense
"""A, by its form."""


def advanced(a: Transition, u: Carry, state: Carry) -> Carry:
    """Returns A state + u."""
    return jax.tree.map(jnp.add, a.on(state), u)


def composed(first: Any, then: Any) -> Any:
    """Returns one step (A, u) that does what two do, one after the other."""
    (a, u), (a_then, u_then) = first, then
    return a_then.after(a), advanced(a_then, u_then, u)
