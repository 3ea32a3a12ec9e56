"""A whole sequence by Newton's method: what the scan gives, and when it is begun."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from numpy.testing import assert_allclose
from problems import draw, make_carry, slow_but

import lstm_jax as lj

TIME, BATCH, INPUT, HIDDEN = 12, 2, 2, 3
LENGTHS = jnp.array([TIME, 7])
LINEAR = lj.rnn("linear")


def problem(cell, time=TIME, **init):
    options = {"input_size": INPUT, "hidden_size": HIDDEN, "dtype": jnp.float64}
    params = jax.jit(partial(cell.init, **options, **init))(jax.random.key(0))
    return params, draw(time, BATCH, INPUT, seed=1)


def in_parallel(cell, method, **how):
    def run(params, xs, carry):
        given = {"method": method, "lengths": LENGTHS} | how
        return lj.parallel_unroll(cell, params, xs, carry, **given)[:2]

    return run


def by_scan(cell):
    return lambda *given: lj.unroll(cell, *given, lengths=LENGTHS)


def everything(run, given):
    """Values, gradients by all arguments, and a product with the second derivative."""

    def loss(*given):
        return sum(jnp.sum(jnp.sin(3 * leaf)) for leaf in jax.tree.leaves(run(*given)))

    @jax.jit
    def all_of(*given):
        gradients = jax.grad(loss, (0, 1, 2))
        ones = jax.tree.map(jnp.ones_like, given)
        return run(*given), *jax.jvp(gradients, given, ones)

    return ravel_pytree(all_of(*given))[0]


@pytest.mark.parametrize(
    ("cell", "method"),
    slow_but([(lj.GRU, "newton")], [(lj.GRU, "newton"), (lj.LSTM, "quasi_newton")]),
    ids=lambda of: getattr(of, "name", of),
)
def test_values_and_derivatives_are_those_of_the_scan(x64, cell, method):
    params, xs = problem(cell)
    # What lies beyond a sequence's length is not read.
    xs = np.array(xs)
    xs[7:, 1] = np.nan
    carry = make_carry(cell, params, (BATCH,))
    given = (params, xs, carry)
    got = everything(in_parallel(cell, method, tolerance=1e-15), given)
    # The gradient by an input that is not read is zero on both sides.
    assert_allclose(got, everything(by_scan(cell), given), rtol=1e-9, atol=1e-10)


def test_a_linear_recurrence_takes_one_iteration_and_its_exponent_is_known(x64):
    params, xs = problem(LINEAR, time=100, gain=0.9)  # an orthogonal W times 0.9
    _, ys, report = lj.parallel_unroll(LINEAR, params, xs)
    assert_allclose(ys, lj.unroll(LINEAR, params, xs)[1], rtol=1e-12)
    assert (int(report.iterations), bool(report.fell_back)) == (1, False)
    assert_allclose(report.exponent, np.log(0.9), rtol=1e-12)


def test_where_differences_grow_it_is_not_begun_unless_it_cannot_fail(x64):
    # Gaussian weights of gain 3: chaos, λ_1 near 0.3 for many units.
    w = draw(16, 16, seed=2, scale=3 / 4)
    params = lj.RNNParams(jnp.zeros((INPUT, 16)), w, jnp.zeros(16))
    given = params, np.zeros((60, 1, INPUT)), lj.RNNCarry(h=draw(1, 16, seed=3))
    wanted = lj.unroll(lj.RNN, *given)[1]
    _, ys, report = lj.parallel_unroll(lj.RNN, *given)
    assert report.exponent > 0
    assert (int(report.iterations), bool(report.fell_back)) == (0, True)
    assert_allclose(ys, wanted, rtol=1e-12, atol=1e-14)
    _, ys, report = lj.parallel_unroll(lj.RNN, *given, max_iterations=60)
    assert not report.fell_back
    assert 10 < report.iterations <= 60
    assert_allclose(ys, wanted, rtol=1e-9, atol=1e-12)


def test_what_is_not_reached_is_run_step_by_step(x64):
    params, xs = problem(lj.GRU, time=60)
    _, ys, report = lj.parallel_unroll(lj.GRU, params, xs, max_iterations=2)
    assert report.exponent < 0
    assert (int(report.iterations), bool(report.fell_back)) == (2, True)
    assert report.residual > 1e-12
    assert_allclose(ys, lj.unroll(lj.GRU, params, xs)[1], rtol=1e-15)


def test_a_batch_of_nothing_holds_its_carry(x64):
    params, xs = problem(lj.GRU)
    lengths = np.zeros(BATCH, int)
    carry, ys, report = lj.parallel_unroll(lj.GRU, params, xs, lengths=lengths)
    assert not np.any(ys)
    assert not np.any(carry.h)
    assert not report.fell_back


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"method": "deer"}, "method: got 'deer'; allowed: newton, quasi_newton"),
        ({"tolerance": -1.0}, "tolerance: got -1.0; it must be at least 0"),
        ({"max_iterations": 0}, "max_iterations: got 0; it must be at least 1"),
    ],
)
def test_refusals(how, message):
    params = lj.GRU.init(jax.random.key(0), INPUT, HIDDEN)
    with pytest.raises(ValueError, match=r".") as refused:
        lj.parallel_unroll(lj.GRU, params, jnp.zeros((4, INPUT)), **how)
    assert str(refused.value).startswith(message)


def test_a_carry_that_counts_is_refused():
    cell = lj.Cell(
        name="counting",
        init=lambda key, input_size, hidden_size: jnp.ones(()),
        init_carry=lambda params, batch_shape=(): jnp.zeros(batch_shape, int),
        step=lambda params, carry, x: (carry + 1, params * x),
    )
    with pytest.raises(ValueError, match="cell: 'counting' carries a counter"):
        lj.parallel_unroll(cell, jnp.ones(()), jnp.zeros((4, INPUT)))
