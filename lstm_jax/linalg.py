"""QR, inverse and exponential of a matrix, under `vmap` and with derivatives."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

MOST_SQUARINGS = 8


@jax.custom_jvp
def qr(
    matrix: Float[Array, "*batch n k"],
) -> tuple[Float[Array, "*batch n k"], Float[Array, "*batch k k"]]:
    """Returns Q with orthonormal columns and upper triangular R, matrix = Q R.

    Rows of very different size each keep their precision: those of saturated units are
    tens of nats smaller than others. For that the largest come first, which changes
    nothing but the order of the rows of Q.

    References:
      Higham (2002), Accuracy and Stability of Numerical Algorithms, section 19.4
    """
    factor = _one_qr
    for _ in matrix.shape[:-2]:
        factor = jax.vmap(factor)
    return factor(matrix)


# Not one batched LAPACK call: see `_qr` in `lstm_jax.initializers`.
@jax.custom_batching.sequential_vmap
def _one_qr(matrix: Array) -> tuple[Array, Array]:
    order = jnp.argsort(-jnp.max(jnp.abs(matrix), axis=1))
    q, r = jnp.linalg.qr(matrix[order])
    return q.at[order].set(q), r


# By hand, because JAX can't differentiate `sequential_vmap` in reverse mode.
@qr.defjvp
def _qr_jvp(primals, tangents):
    """Returns Q, R and their tangents, with A = matrix.

    dQ = Q (Ω - M) + dA R⁻¹ and dR = (M - Ω) R, with M = Qᵀ dA R⁻¹ and Ω the
    antisymmetric matrix whose part below the diagonal is that of M.
    """
    (matrix,), (change,) = primals, tangents
    q, r = qr(matrix)
    whole = jax.lax.linalg.triangular_solve(r, change, left_side=False)
    inside = q.mT @ whole
    below = jnp.tril(inside, -1)
    turn = below - below.mT
    return (q, r), (q @ (turn - inside) + whole, (inside - turn) @ r)


@jax.custom_jvp
def inverse(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Returns A⁻¹; its derivative is of products alone, dX = -X dA X."""
    return _one_inverse(matrix)


# As `_one_qr`: neither one batched call nor the derivative of `sequential_vmap`.
@jax.custom_batching.sequential_vmap
def _one_inverse(matrix: Array) -> Array:
    return jnp.linalg.inv(matrix)


@inverse.defjvp
def _inverse_jvp(primals, tangents):
    found = inverse(*primals)
    return found, -_times(_times(found, *tangents), found)


def _times(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def expm(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Returns e^A, by scaling and squaring of its power series.

        e^A = (e^{A / 2^s})^{2^s},    s the least with ||A / 2^s||_1 <= 1/2

    Of products alone, because a batched LAPACK call may never return (see `_qr` in
    `lstm_jax.initializers`), as that of `jax.scipy.linalg.expm` would be under `vmap`.
    Norms above 2^7 lose digits: no more than 8 squarings are made.

    References:
      Higham (2008), Functions of Matrices, section 10.3
    """
    eye = jnp.eye(len(matrix), dtype=matrix.dtype)
    norm = jax.lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(matrix), axis=0)))
    squarings = jnp.clip(jnp.ceil(jnp.log2(norm)) + 1, 0, MOST_SQUARINGS)
    reduced = matrix * 2.0**-squarings

    power = eye
    for order in range(_num_terms(matrix.dtype), 0, -1):
        power = eye + _times(reduced, power) / order

    def square(done, power):
        return jnp.where(done < squarings, _times(power, power), power)

    return jax.lax.fori_loop(0, MOST_SQUARINGS, square, power)


def _num_terms(dtype: Any) -> int:
    """Returns how many terms of e^{1/2} it takes until the next is below rounding."""
    term, order = 0.5, 1
    while term > jnp.finfo(dtype).eps:
        order += 1
        term *= 0.5 / order
    return order
