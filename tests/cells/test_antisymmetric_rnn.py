"""The antisymmetric RNN: it turns at rest, and shrinks by its diffusion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close
from problems import make_params

import lstm_jax as lj

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
@pytest.mark.parametrize(("gamma", "epsilon"), [(0.0, 0.1), (0.5, 0.2)])
def test_the_antisymmetric_rnn_turns_at_rest_and_shrinks_by_its_diffusion(
    gamma, epsilon
):
    """At h = 0, x = 0: J = I + ε A, and J + Jᵀ = 2 (1 - ε γ) I for every W_hh."""
    cell = lj.cells.antisymmetric_rnn(gamma, epsilon)
    params = make_params(cell, 2, 5)._replace(b=np.zeros(5))
    step = lambda h: cell.step(params, lj.RNNCarry(h=h), jnp.zeros(2))[1]
    jacobian = np.asarray(jax.jit(jax.jacobian(step))(np.zeros(5)))
    assert_close(jacobian + jacobian.T, 2 * (1 - epsilon * gamma) * np.eye(5))
    turning = np.linalg.eigvals(jacobian).imag
    modulus = np.hypot(1 - epsilon * gamma, turning)
    assert_close(np.sort(np.abs(np.linalg.eigvals(jacobian))), np.sort(modulus))
    assert np.abs(turning).max() > 0.1 * epsilon
