"""QR of one matrix or a stack of them, under `vmap` and with derivatives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


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
