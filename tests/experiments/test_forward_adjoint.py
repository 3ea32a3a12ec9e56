"""The adjoint run forwards, small: exact where it can be, lost where it must be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from experiments import forward_adjoint
from experiments.common import forwards
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.forward_adjoint import Config


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("forward_adjoint")


@pytest.fixture(scope="module")
def short_run():
    """Four steps of a GRU, its Jacobians, g_0 ... g_4, and dL/dh_0 by autodiff."""
    cell, key = lj.GRU, jax.random.key(0)
    with jax.enable_x64(True):
        params = cell.init(key, 2, 3, dtype=jnp.float64)
        xs, direct = jax.random.normal(key, (4, 2)), jax.random.normal(key, (5, 3))

        def loss(h):
            _, ys = lj.unroll(cell, params, xs, cell.init_carry(params)._replace(h=h))
            return jnp.sum(direct[0] * h) + jnp.sum(direct[1:] * ys)

        start = jnp.zeros(3)
        jacobians = lj.step_jacobians(cell, params, xs)
        of = forwards.Run(lambda t: jacobians[t], lambda t: direct[t], 4)
        yield of, jax.grad(loss)(start)


def test_both_ways_give_the_gradient_over_a_few_steps(short_run):
    of, wanted = short_run
    with jax.enable_x64(True):
        first = forwards.backwards(of)
        assert_allclose(first, wanted, rtol=1e-12)
        assert_allclose(forwards.warmed_up(of), wanted, rtol=1e-10)
        last = forwards.forwards(of, first)
        assert_allclose(last, of.direct(4), rtol=1e-10)


@pytest.mark.slow
def test_the_forward_gradient_of_weights_is_that_of_autodiff():
    config = Config(num_units=3)
    with jax.enable_x64(True):
        key = jax.random.key(1)
        of = forward_adjoint.linear_run(config, key, 0.8, 6, jnp.complex128, 6)
        inputs = jax.random.normal(key, (7, 3, 1), jnp.complex128)
        eigenvalues = of.jacobian(0)[:, 0]

        def loss(weights):
            h, total = jnp.zeros_like(eigenvalues), 0.0
            weights = weights.astype(h.dtype)
            for t in range(1, 7):
                h = eigenvalues * h + weights * inputs[t]
                total = total + jnp.sum((of.direct(t) * h).real)
            return total

        right, found = forwards.gradients(of, lambda t: inputs[t])
        wanted = jax.grad(loss)(jnp.ones((3, 1)))
        assert_allclose(right.real, wanted, rtol=1e-12)
        assert_allclose(found, right, rtol=1e-9)
        assert_allclose(forwards.alignment(right, found), 1, rtol=1e-12)
        assert forwards.alignment(right, found * jnp.nan) == 0


def test_the_smallest_modulus_is_that_of_the_flag():
    with jax.enable_x64(True):
        found = forward_adjoint.layer(Config(), jax.random.key(0), 0.7, jnp.complex128)
    moduli = np.abs(found[:, 0, 0])
    assert_allclose([moduli.min(), moduli.max()], [0.7, 1])


@pytest.mark.slow
def test_stretches_average_to_the_exponents_of_the_library():
    cell, size, key = lj.RNN, 3, jax.random.key(2)
    with jax.enable_x64(True):
        jacobians = forwards.cell_jacobians(
            cell, size, forward_adjoint.LONGEST + 1, key
        )
        params = cell.init(key, size, size, dtype=jnp.float64)
        xs = jax.random.normal(jax.random.fold_in(key, 1), (len(jacobians), size))
        wanted = lj.lyapunov_exponents(cell, params, xs, burn_in=100)
    found = forwards.log_stretches(np.asarray(jacobians)[None])
    assert_allclose(found[0, 100:].mean(0), wanted, atol=1e-9)


@pytest.mark.slow
def test_the_error_grows_as_fast_as_the_network_forgets(record):
    rates = take(record, "error_rate")
    assert rates.shape == (2, 2, 3)  # precision, modulus, seed
    assert_allclose(rates.mean(-1), [-np.log([0.5, 0.7])] * 2, rtol=0.05)
    # In float32 the error starts at the rounding of one number.
    starts = take(record, "error_start", precision="float32").mean(-1)
    assert np.all((starts > np.log(2**-25)) & (starts < np.log(2**-18)))
    assert [check.holds for check in forward_adjoint.checks(record)] == [True] * 5


def test_a_longer_sequence_needs_units_that_forget_less(record):
    quality = take(record, "alignment").mean(-1)
    assert (quality[:, 0] < 0.5).all() and (quality[:, -1] > 0.999).all()
    short, long = take(record, "least_modulus")
    assert 0.5 < short < long < 1


def test_its_figure_states_the_finding(record):
    figure = forward_adjoint.plot(record)
    assert len(figure.axes) == 3
    assert "as fast as the network forgets" in figure.get_suptitle().replace("\n", " ")
    assert len(record.verdict) == 6


def test_a_modulus_of_one_forgets_nothing_and_is_refused():
    with pytest.raises(ConfigError, match=r"moduli: got \(1.0,\)"):
        Config(moduli=(1.0,))
