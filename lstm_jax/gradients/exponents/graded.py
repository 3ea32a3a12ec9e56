"""Graded matrices: rows that differ by more than a float can hold, and their SVD.

A product of many Jacobians has rows of size 1 beside rows of size 1e-3000. Here it is
kept as `Scaled` rows, mantissa (*batch, k, n) and exponent (*batch, k), multiplied, and
decomposed into singular values that are all accurate to their own last digits.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.scaled import ZERO_EXPONENT, Scaled

MOST_PASSES = 30  # through all pairs of rows; 2 to 6 are enough


def times(matrix: Float[Array, "*batch k k"], rows: Scaled) -> Scaled:
    """Returns the product of a matrix with rows."""
    of_row = rows.exponent[..., None, :]
    largest = jnp.max(jnp.where(matrix == 0, ZERO_EXPONENT, of_row), axis=-1)
    # At most 0 where the matrix is not zero; elsewhere any number will do.
    power = jnp.minimum(of_row - largest[..., None], 0)
    weights = scaled.times_power(matrix, power)
    return scaled.rescale(weights @ rows.mantissa, largest)


def log_singular_values(rows: Scaled) -> Float[Array, "*batch k"]:
    """Returns ln of the singular values, descending, by one-sided Jacobi rotations.

    Rows are made orthogonal, pair by pair, until all are; their lengths are then the
    singular values. The longer row a and the shorter one ρ b of a pair, ρ a power of
    two, are turned by

        Δ = |a|² - ρ² |b|²,    τ = -2 (a · b) / (Δ + sqrt(Δ² + 4 ρ² (a · b)²))
        a <- a - ρ² τ b,       b <- b + τ a

    times a common factor; no number here is far from 1, however small ρ is. So the
    smallest singular value has as many digits as the largest, and equal ones are no
    harder than others.

    References:
      Demmel, Gu, Eisenstat, Slapničar, Veselić & Drmač (1999), Computing the singular
      value decomposition with high relative accuracy, Linear Algebra and its
      Applications 299
    """
    of_one = jnp.vectorize(_of_one_matrix, signature="(k,n),(k)->(k)")
    return of_one(*rows)


def _of_one_matrix(
    mantissa: Float[Array, "k n"], exponent: Int[Array, " k"]
) -> Float[Array, " k"]:
    count = len(exponent)
    odd = count % 2  # a row of zeros makes the pairs even
    mantissa = jnp.pad(mantissa, ((0, odd), (0, 0)))
    exponent = jnp.pad(exponent, (0, odd), constant_values=ZERO_EXPONENT)
    pairs = (count + odd) // 2
    orthogonal = 4 * jnp.finfo(mantissa.dtype).eps * count**0.5

    def through_all_pairs(state):
        rows, _, passes = state
        rows, cosines = jax.lax.scan(
            lambda rows, _: _turn(rows), rows, length=2 * pairs - 1
        )
        return rows, jnp.max(cosines), passes + 1

    def unfinished(state):
        _, cosine, passes = state
        return (cosine > orthogonal) & (passes < MOST_PASSES)

    rows = Scaled(mantissa.reshape(2, pairs, -1), exponent.reshape(2, pairs))
    state = rows, jnp.ones((), mantissa.dtype), jnp.zeros((), jnp.int32)
    rows, _, _ = jax.lax.while_loop(unfinished, through_all_pairs, state)
    return -jnp.sort(-scaled.log_norm(rows).reshape(-1))[:count]


def _turn(rows: Scaled) -> tuple[Scaled, Float[Array, ""]]:
    """Returns pairs of rows, (2, pairs, ...), turned; and the largest cosine before.

    Then all rows but one move on, so that 2 pairs - 1 calls pair each with each.
    """
    (a, b), power = rows.mantissa, rows.exponent[1] - rows.exponent[0]
    # Mantissas differ by less than 2**20: beyond it exponents alone decide.
    b_is_longer = scaled.times_power(_squared(b), 2 * jnp.clip(power, -20, 20))
    b_is_longer = b_is_longer > _squared(a)
    (a, b), exponent = (_swapped(leaf, b_is_longer) for leaf in rows)
    ratio = scaled.times_power(jnp.ones_like(a[:, 0]), exponent[1] - exponent[0])
    aa, bb, ab = _squared(a), _squared(b), jnp.sum(a * b, axis=-1)
    difference = aa - ratio**2 * bb
    below = difference + jnp.hypot(difference, 2 * ratio * ab)
    tau = jnp.where(ab == 0, 0, -2 * ab / jnp.where(ab == 0, 1, below))
    factor = (1 + (ratio * tau) ** 2) ** -0.5
    turned = scaled.rescale(
        factor[None, :, None]
        * jnp.stack([a - (ratio**2 * tau)[:, None] * b, b + tau[:, None] * a]),
        exponent,
    )
    moved = [_moved_on(_swapped(leaf, b_is_longer)) for leaf in turned]
    cosine = jnp.abs(ab) / jnp.sqrt(jnp.where(ab == 0, 1, aa * bb))
    return Scaled(*moved), jnp.max(cosine)


def _squared(rows: Float[Array, "pairs n"]) -> Float[Array, " pairs"]:
    return jnp.sum(rows**2, axis=-1)


def _swapped(leaf: Array, which: Bool[Array, " pairs"]) -> Array:
    which = jnp.expand_dims(which, (0, *range(2, leaf.ndim)))
    return jnp.where(which, leaf[::-1], leaf)


def _moved_on(leaf: Array) -> Array:
    first, second = leaf
    if len(first) == 1:
        return leaf
    upper = jnp.concatenate([first[:1], second[:1], first[1:-1]])
    return jnp.stack([upper, jnp.concatenate([second[1:], first[-1:]])])
