"""The carousel, and time constants, against the gates and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import HIDDEN, INPUT
from gradients.path_problems import BATCH, TIME
from numpy.testing import assert_allclose, assert_array_equal
from problems import draw, every_output_counts, in_float64, make_carry, make_params

import lstm_jax as lj
from lstm_jax.gradients.carousel import (
    forget_factors,
    log_carousel_norms,
    time_constants,
    unit_time_constants,
)


def last_output(ys):
    return jnp.sum(ys[-1])


# ---------------------------------------------------------------------------
# the carousel
# ---------------------------------------------------------------------------


@in_float64
def test_the_carousel_is_the_product_of_the_forget_gates():
    params, xs = make_params(lj.LSTM), draw(TIME, BATCH, INPUT, seed=100)
    lengths = jnp.array([TIME, TIME - 2])

    @jax.jit
    def measured():
        arguments = lj.LSTM, params, xs
        carries, _ = lj.unroll_carries(*arguments, lengths=lengths)
        before = jnp.concatenate([jnp.zeros((1, BATCH, HIDDEN)), carries.h[:-1]])
        return (
            lj.lstm_gates(params, before, xs).f,
            lj.carry_gradients(*arguments, every_output_counts, lengths=lengths).c,
            forget_factors(*arguments, lengths=lengths),
            log_carousel_norms(*arguments, every_output_counts, lengths=lengths),
        )

    gates, total, factors, norms = measured()
    counts = np.arange(TIME)[:, None] < np.asarray(lengths)
    gates = np.where(counts[..., None], gates, 1)
    assert_allclose(factors, gates, rtol=1e-13)
    for example, length in enumerate(lengths.tolist()):
        carousel = np.array(total[:, example])
        for t in reversed(range(length - 1)):
            carousel[t] = gates[t, example] * carousel[t + 1]
        rest = total[:, example] - carousel
        expected = total[:, example], carousel, rest
        for found, part in zip(norms, expected, strict=True):
            norm = np.linalg.norm(part, axis=-1)
            assert_allclose(np.exp(found[:, example]), norm, 1e-11, 1e-13)
        assert np.linalg.norm(rest[0]) > 1e-3


@in_float64
def test_forget_factors_are_the_gate_that_each_cell_keeps_with():
    xs = draw(1, BATCH, INPUT, seed=100)
    params = make_params(lj.GRU)
    carry = make_carry(lj.GRU, params, (BATCH,))
    z = xs[0] @ params.w_ih + carry.h @ params.w_hh + params.b
    expected = jax.nn.sigmoid(z[:, HIDDEN : 2 * HIDDEN])
    found = forget_factors(lj.GRU, params, xs, carry)
    assert_allclose(found[0], expected, rtol=1e-13)
    never = forget_factors(lj.cells.LSTM97, make_params(lj.cells.LSTM97), xs)
    assert_array_equal(never, 1)


@pytest.mark.slow
def test_nothing_underflows_on_the_carousel():
    """Zero weights and b_f = -1: the adjoint of c shrinks by σ(-1), to 1e-283."""
    time = 500
    zeros = jax.tree.map(jnp.zeros_like, lj.LSTM.init(jax.random.key(0), 1, HIDDEN))
    params = zeros._replace(b=zeros.b.at[HIDDEN : 2 * HIDDEN].set(-1.0))
    xs = jnp.zeros((time, 1))
    norms = jax.jit(lambda: log_carousel_norms(lj.LSTM, params, xs, last_output))()
    # At the last step c gets o = σ(0) of the output's 1, times f as at every other.
    steps = np.arange(time, 0, -1)
    expected = np.log(0.5 * np.sqrt(HIDDEN)) - steps * np.log1p(np.exp(1.0))
    assert expected[0] < np.log(1e-280)
    assert_allclose(norms.total, expected, rtol=1e-5)
    assert_allclose(norms.carousel, expected, rtol=1e-5)
    assert_array_equal(norms.rest, -np.inf)


@pytest.mark.slow
def test_a_reset_stops_the_carousel_and_a_hole_does_not():
    params = lj.LSTM.init(jax.random.key(0), INPUT, HIDDEN)
    factors = forget_factors(
        lj.LSTM,
        params,
        jnp.ones((3, INPUT)),
        mask=jnp.array([True, False, True]),
        resets=jnp.array([False, False, True]),
    )
    assert np.all((factors[0] > 0) & (factors[0] < 1))
    assert_array_equal(factors[1], 1)
    assert_array_equal(factors[2], 0)


def test_a_cell_without_a_kept_memory_is_refused():
    params = lj.RNN.init(jax.random.key(0), INPUT, HIDDEN)
    with pytest.raises(ValueError, match="cell: got 'rnn'; it must be one that keeps"):
        forget_factors(lj.RNN, params, jnp.ones((2, INPUT)))


# ---------------------------------------------------------------------------
# time constants
# ---------------------------------------------------------------------------


@in_float64
def test_a_memory_has_lost_all_but_1_over_e_after_its_time_constant():
    factors = jnp.array([0.1, 0.5, 0.9, 0.999, 1 - 1e-12])
    assert_allclose(factors ** time_constants(factors), np.exp(-1), rtol=1e-9)
    assert_array_equal(time_constants(jnp.array([0.0, 1.0])), [0, np.inf])


@in_float64
def test_a_units_time_constant_is_that_of_its_whole_product():
    factors = jax.nn.sigmoid(draw(TIME, BATCH, HIDDEN))
    kept = np.prod(np.asarray(factors), axis=(0, 1))
    expected = -TIME * BATCH / np.log(kept)
    assert_allclose(unit_time_constants(factors), expected, rtol=1e-12)
    never = unit_time_constants(jnp.ones((TIME, 2)).at[0, 1].set(0.0))
    assert_array_equal(never, [np.inf, 0])


@pytest.mark.parametrize("wrong", [-0.1, 1.1])
def test_factors_outside_0_and_1_are_refused(wrong):
    with pytest.raises(ValueError, match=r"factors: got an array with .*\[0, 1\]"):
        time_constants(jnp.array([0.5, wrong]))
