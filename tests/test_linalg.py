"""QR decompositions and their derivatives, on stacks of matrices."""

from functools import partial

import jax
import numpy as np
from numpy.testing import assert_allclose
from problems import draw, in_float64

from lstm_jax.linalg import qr


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
