"""coRNN: damped oscillators, whose volumes shrink by the damping and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close
from problems import make_carry, make_params

import lstm_jax as lj
from lstm_jax.cells import CO_RNN, CoRNNCarry, co_rnn

in_float64 = pytest.mark.usefixtures("x64")


def jacobian_of(cell, params, carry):
    return np.asarray(lj.step_jacobians(cell, params, jnp.ones((1, 3)), carry)[0])


@in_float64
def test_oscillators_that_nothing_drives_have_the_eigenvalues_of_the_docstring():
    dt, gamma, epsilon = 0.1, 4.0, 0.5
    cell = co_rnn(dt, gamma, epsilon)
    params = jax.tree.map(jnp.zeros_like, make_params(cell))
    found = np.linalg.eigvals(jacobian_of(cell, params, make_carry(cell, params)))
    assert_close(np.abs(found), np.full(8, np.sqrt(1 - dt * epsilon)))
    assert_close(found.real, np.full(8, 1 - (dt * epsilon + dt**2 * gamma) / 2))


@in_float64
def test_volumes_shrink_by_the_damping_whatever_is_read():
    params = make_params(CO_RNN)._replace(w_zh=jnp.zeros((4, 4)))
    carry = make_carry(CO_RNN, params)
    volume = np.linalg.det(jacobian_of(CO_RNN, params, carry))
    assert_close(volume, (1 - 0.042 * 4.7) ** 4)


@in_float64
def test_without_damping_an_oscillator_swings_for_ever():
    """γ y² - Δt γ y z + z² is what it was, to rounding, after 10,000 steps."""
    dt, gamma = 0.1, 4.0
    cell = co_rnn(dt, gamma, epsilon=0)
    params = jax.tree.map(jnp.zeros_like, make_params(cell))
    start = make_carry(cell, params)
    end, _ = lj.unroll(cell, params, jnp.ones((10_000, 3)), start)

    def energy(carry: CoRNNCarry):
        y, z = carry
        return np.asarray(gamma * y**2 - dt * gamma * y * z + z**2)

    np.testing.assert_allclose(energy(end), energy(start), rtol=1e-10)
    assert not np.allclose(end.y, start.y)
