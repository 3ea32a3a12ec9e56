"""The adjoint of a run, backwards as ever or forwards, by inverse Jacobians.

d_t = J_tᵀ d_{t+1} + g_t backwards is d_{t+1} = J_t⁻ᵀ (d_t - g_t) forwards. A first pass
from d'_0 = 0 gives d_0 = J_0ᵀ J_1ᵀ ... J_{T-1}ᵀ (g_T - d'_T), which the second needs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import lstm_jax as lj
from lstm_jax.types import PRNGKey


class Run(NamedTuple):
    """A run whose adjoint is wanted; T may be traced.

    Attributes:
      jacobian: t -> J_t, (*batch, n, n).
      direct: t -> g_t, (*batch, n).
      last: T.
    """

    jacobian: Callable[[Any], Array]
    direct: Callable[[Any], Array]
    last: Any


def backwards(of: Run) -> Array:
    """Returns d_0 by the usual recursion."""

    def step(k, adjoint):
        t = of.last - 1 - k
        return _times(of.jacobian(t).mT, adjoint) + of.direct(t)

    return jax.lax.fori_loop(0, of.last, step, of.direct(of.last))


def forwards(of: Run, first: Array) -> Array:
    """Returns d_T by inverse Jacobians from d_0 = `first`."""

    def step(t, adjoint):
        return _solve(of.jacobian(t).mT, adjoint - of.direct(t))

    return jax.lax.fori_loop(0, of.last, step, first)


def warmed_up(of: Run) -> Array:
    """Returns d_0 from a forward pass that starts at d'_0 = 0."""
    nothing = jnp.zeros_like(of.direct(0))
    unity = jnp.broadcast_to(jnp.eye(nothing.shape[-1]), of.jacobian(0).shape)

    def step(t, product):
        # Not by a dot: XLA's is slow on many small matrices.
        return jnp.sum(product[..., None] * of.jacobian(t).mT[..., None, :, :], -2)

    product = jax.lax.fori_loop(0, of.last, step, unity.astype(nothing.dtype))
    return _times(product, of.direct(of.last) - forwards(of, nothing))


def _times(matrix: Array, vector: Array) -> Array:
    return jnp.sum(matrix * vector[..., None, :], -1)


def _solve(matrix: Array, vector: Array) -> Array:
    if matrix.shape[-1] == 1:
        return vector / matrix[..., 0]
    return jnp.linalg.solve(matrix, vector[..., None])[..., 0]


def norm(values: Array) -> Array:
    """Returns the norm, without overflow of the squares."""
    sizes = jnp.abs(values).astype(jnp.float64)
    largest = jnp.max(sizes)
    return largest * jnp.sqrt(jnp.sum((sizes / largest) ** 2))


def last_error(of: Run, first: Array) -> Array:
    """Returns ln of the relative error of d_T, which is g_T."""
    right = of.direct(of.last)
    return jnp.log(norm(forwards(of, first) - right) / norm(right))


def gradients(of: Run, inputs: Callable[[Any], Array]) -> tuple[Array, Array]:
    """Returns Σ_t x_t d_t, backwards and forwards, x_t broadcast against d_t."""

    def back(k, carried):
        adjoint, total = carried
        t = of.last - k
        total = total + inputs(t) * adjoint
        before = _times(of.jacobian(t - 1).mT, adjoint) + of.direct(t - 1)
        return before, total

    def ahead(t, carried):
        adjoint, total = carried
        after = _solve(of.jacobian(t).mT, adjoint - of.direct(t))
        return after, total + inputs(t + 1) * after

    zero = jnp.zeros_like(of.direct(0))
    last = of.direct(of.last)
    _, right = jax.lax.fori_loop(0, of.last, back, (last, zero))
    _, found = jax.lax.fori_loop(0, of.last, ahead, (warmed_up(of), zero))
    return right, found


def alignment(right: Array, found: Array) -> Array:
    """Returns the cosine of two gradients; 0 if one is not finite."""
    right, found = (of.astype(jnp.complex128) for of in (right, found))
    cosine = jnp.sum((right.conj() * found).real) / (norm(right) * norm(found))
    return jnp.where(jnp.isfinite(cosine), cosine, 0)


def cell_jacobians(cell: lj.Cell, size: int, num_steps: int, key: PRNGKey) -> Array:
    """Returns the Jacobians of a run on white noise, (time, state, state)."""
    params = cell.init(key, size, size, dtype=jnp.float64)
    noise = jax.random.normal(jax.random.fold_in(key, 1), (num_steps, size))
    return lj.step_jacobians(cell, params, noise)


def log_stretches(jacobians: np.ndarray) -> np.ndarray:
    """Returns what exponents average: ln|R_ii| of J_t Q = Q' R, (seed, time, state)."""
    frame, found = np.eye(jacobians.shape[-1]), []
    for step in np.moveaxis(jacobians, 1, 0):
        frame, stretch = np.linalg.qr(step @ frame)
        found.append(np.log(np.abs(np.diagonal(stretch, axis1=-2, axis2=-1))))
    return np.stack(found, axis=1)
