"""QR, inverses and exponentials with their derivatives, on stacks of matrices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import draw, in_float64
from scipy.linalg import expm as peer
from scipy.linalg import expm_frechet

from lstm_jax.linalg import expm, inverse, qr


@in_float64
def test_qr_and_its_derivative_on_a_stack_of_tall_matrices():
    matrix, change, size = draw(2, 5, 3), draw(2, 5, 3, seed=1), 1e-6
    factor = jax.jit(qr)
    (q, r), (dq, dr) = jax.jit(partial(jax.jvp, qr))((matrix,), (change,))
    assert_allclose(q @ r, matrix, atol=1e-14)
    assert_allclose(q.mT @ q, np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-14)
    ahead, behind = factor(matrix + size * change), factor(matrix - size * change)
    assert_allclose(dq, (ahead[0] - behind[0]) / 2 / size, atol=1e-8)
    assert_allclose(dr, (ahead[1] - behind[1]) / 2 / size, atol=1e-8)


@in_float64
def test_the_inverse_of_a_stack_has_derivatives_of_any_order():
    matrix, change = draw(3, 4, 4) + 4 * jnp.eye(4), draw(3, 4, 4, seed=1)
    slope = lambda m: jax.jvp(jax.vmap(inverse), (m,), (change,))
    (found, first), (_, second) = jax.jit(lambda m: jax.jvp(slope, (m,), (change,)))(
        matrix
    )
    x = np.linalg.inv(matrix)
    assert_allclose(found, x, atol=1e-13)
    assert_allclose(first, -x @ change @ x, atol=1e-13)
    assert_allclose(second, 2 * x @ change @ x @ change @ x, atol=1e-12)


@in_float64
@pytest.mark.parametrize("norm", [0.0, 1e-3, 0.4, 1.0, 3.0, 100.0])
def test_the_exponential_of_a_skew_matrix_is_orthogonal_and_that_of_scipy(norm):
    skew = draw(5, 5) - draw(5, 5).T
    skew = skew * norm / np.abs(skew).sum(0).max()
    found = jax.jit(expm)(skew)
    assert_allclose(found, peer(np.asarray(skew)), atol=1e-13)
    assert_allclose(found @ found.T, np.eye(5), atol=1e-13)


@in_float64
def test_the_exponential_of_a_stack_has_derivatives():
    matrix, change = 2 * draw(3, 4, 4), draw(3, 4, 4, seed=1)
    _, found = jax.jit(partial(jax.jvp, jax.vmap(expm)))((matrix,), (change,))
    for place in range(3):
        _, wanted = expm_frechet(np.asarray(matrix[place]), np.asarray(change[place]))
        assert_allclose(found[place], wanted, rtol=1e-10, atol=1e-11)
    weights = draw(3, 4, 4, seed=2)
    loss = jax.jit(jax.grad(lambda m: jnp.sum(weights * jax.vmap(expm)(m))))
    assert_allclose(
        jnp.vdot(loss(matrix), change), jnp.vdot(weights, found), rtol=1e-11
    )


def test_the_exponential_in_float32():
    skew = np.asarray(draw(20, 20), np.float32)
    skew = jnp.asarray(skew - skew.T)
    found = jax.jit(expm)(skew)
    assert found.dtype == jnp.float32
    assert_allclose(found @ found.T, np.eye(20), atol=2e-5)
