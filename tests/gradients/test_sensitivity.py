"""Sensitivities to parameters, against all derivatives at once and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import LINEAR, draw, in_float64, make_cell, make_params

import lstm_jax as lj
from lstm_jax import theory
from lstm_jax.gradients.sensitivity import sensitivities

TIME, INPUT, HIDDEN, LENGTHS = 4, 2, 3, np.array([4, 2])


@in_float64
def test_they_are_the_mean_squares_of_all_derivatives():
    """An LSTM with a learned first carry, and a sequence that ends early."""
    cell = lj.learned_carry(lj.LSTM)
    params = make_params(cell, INPUT, HIDDEN)
    xs = draw(TIME, 2, INPUT, seed=100)

    @jax.jit
    def both(params):
        ys = lambda params: lj.unroll(cell, params, xs, lengths=LENGTHS)[1]
        found = sensitivities(cell, params, xs, lengths=LENGTHS, runs_at_once=25)
        return found, jax.jacfwd(ys)(params)

    found, slopes = both(params)
    numbers = HIDDEN * np.array([2, 2, 1, 1])  # of both sequences, then of the first
    assert jax.tree.structure(found) == jax.tree.structure(params)
    for ours, slope in zip(*map(jax.tree.leaves, (found, slopes)), strict=True):
        squares = (np.asarray(slope) ** 2).sum((1, 2))
        wanted = (squares.T / numbers).T
        assert_allclose(ours, wanted, rtol=1e-12, atol=1e-15)
        assert wanted[-1].max() > 1e-6


@in_float64
def test_a_linear_unit_has_the_variances_of_the_closed_forms():
    """White inputs: Σ over impulses at each step, one a sequence, is the variance."""
    time, decay = 200, 0.8
    params = lj.RNNParams(jnp.ones((1, 1)), jnp.full((1, 1), decay), jnp.zeros(1))
    impulses = jnp.eye(time)[:, :, None]
    found = sensitivities(LINEAR, params, impulses)
    by_decay, by_weight = found.w_hh[-1, 0, 0], found.w_ih[-1, 0, 0]
    assert_allclose(time * by_decay, theory.sensitivity_variance(decay), rtol=1e-12)
    assert_allclose(time * by_weight, theory.memory_variance(decay), rtol=1e-12)
    assert_allclose(found.b[-1], [1 / (1 - decay) ** 2], rtol=1e-12)


@in_float64
def test_a_function_of_any_params_and_a_carry_that_is_given():
    """h <- a h + b x: from h = 1 on, with x = 0, dh_t/da = t a^(t-1)."""

    def step(params, h, x):
        h = params["a"][0] * h + params["b"] * x
        return h, (h, params["count"])

    cell = make_cell(lambda params, batch=(): jnp.zeros((*batch, 1)), step)
    params = {"a": [jnp.float64(0.5)], "b": jnp.float64(2.0), "count": jnp.int32(3)}
    found = sensitivities(cell, params, jnp.zeros((3, 1)), jnp.ones(1), of="a")
    assert found["b"] is None and found["count"] is None
    assert_allclose(found["a"][0], [1, (2 * 0.5) ** 2, (3 * 0.25) ** 2], rtol=1e-12)


PARAMS = {"weights": [jnp.ones(2), jnp.ones(2)], "count": jnp.int32(1), "z": 1j}


@pytest.mark.parametrize(
    ("of", "line"),
    [
        ("w", "of: got 'w'; allowed: count, weights.0, weights.1, z"),
        (("weights", 3), "of: got 3; allowed: count, weights.0, weights.1, z"),
        ((), "of: got (); it must name one of count, weights.0, weights.1, z"),
        (3, "of: got 3; it must be a name of a leaf, or several"),
        ("count", "of: leaf count is int32; it must be floating"),
        (None, "of: leaf z is complex64; it must be floating"),
    ],
)
def test_leaves_that_are_not_there_or_have_no_slope_are_refused(of, line):
    cell = make_cell(lambda params, batch=(): jnp.zeros(batch), lambda _, h, x: (h, h))
    with pytest.raises((TypeError, ValueError)) as refused:
        sensitivities(cell, PARAMS, jnp.zeros((2, 1)), of=of)
    assert str(refused.value) == line


def test_a_cell_that_shows_no_floating_number_is_refused():
    step = lambda _, h, x: (h, jnp.int32(1))
    cell = make_cell(lambda params, batch=(): jnp.zeros(batch), step)
    with pytest.raises(ValueError, match=r"^cell: its output has no floating number; "):
        sensitivities(cell, jnp.ones(1), jnp.zeros((2, 1)))
