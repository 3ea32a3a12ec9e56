"""The cells that are linear in their memory: closed forms, and what they can keep."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close

import lstm_jax as lj

in_float64 = pytest.mark.usefixtures("x64")
RINGS = [(0.0, 0.9), (0.5, 0.99), (0.9, 0.999)]


def bits(time):
    return jnp.asarray(np.random.default_rng(0).integers(0, 2, (time, 1)), float)


def without_weights(cell, hidden, input_size=1, **options):
    params = cell.init(jax.random.key(0), input_size, hidden, **options)
    return jax.tree.map(jnp.zeros_like, params)


# ---------------------------------------------------------------------------
# LRU
# ---------------------------------------------------------------------------


@in_float64
@pytest.mark.parametrize(("r_min", "r_max"), RINGS)
def test_white_noise_in_an_lru_grows_as_its_ring_says(r_min, r_max):
    """E|h|² / E|x B|² = Σ_n |λ|^2n, in the mean over the ring."""
    init = partial(lj.cells.LRU.init, r_min=r_min, r_max=r_max, dtype=jnp.float64)
    params = init(jax.random.key(0), 1, 200_000)
    squares = jnp.exp(-2 * jnp.exp(params.nu_log))
    plain = jnp.mean(1 / (1 - squares))
    wanted = lj.theory.lru_ring_variance(r_min, r_max)
    np.testing.assert_allclose(plain, wanted, rtol=0.03)
    normalised = jnp.exp(2 * params.gamma_log) / (1 - squares)
    np.testing.assert_allclose(normalised, 1, rtol=1e-9)


@in_float64
def test_the_memory_of_an_lru_decays_and_turns():
    """h_t = λ^t h_0 without input."""
    params = lj.cells.LRU.init(jax.random.key(0), 2, 3, dtype=jnp.float64)
    start = lj.cells.LRUCarry(re=jnp.ones((3,)), im=jnp.zeros((3,)))
    final, _ = lj.unroll(lj.cells.LRU, params, jnp.zeros((50, 2)), start)
    exponents = -np.exp(params.nu_log) + 1j * np.exp(params.theta_log)
    wanted = np.exp(50 * exponents)
    assert_close(tuple(final), (wanted.real, wanted.imag))


@pytest.mark.parametrize(
    "options", [{"r_min": 1.0}, {"r_max": 1.5}, {"max_phase": 0.0}], ids=str
)
def test_a_ring_that_is_none_is_refused(options):
    ((name, _),) = options.items()
    with pytest.raises(ValueError, match=f"{name}: got"):
        lj.cells.LRU.init(jax.random.key(0), 1, 2, **options)


# ---------------------------------------------------------------------------
# minGRU, minLSTM
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [lj.cells.min_gru, lj.cells.min_lstm])
def test_the_memory_of_the_log_space_form_is_positive(cell):
    cell = cell(log_space=True)
    params = cell.init(jax.random.key(0), 2, 5)
    xs = jax.random.normal(jax.random.key(1), (30, 4, 2))
    assert bool((lj.unroll(cell, params, xs)[1] > 0).all())


@in_float64
def test_a_min_lstm_keeps_a_mean_also_where_both_gates_are_shut():
    """f and i of e^-1000 make shares of one half."""
    cell = lj.cells.MIN_LSTM
    params = without_weights(cell, 1, dtype=jnp.float64)
    params = params._replace(b=jnp.array([-1000.0, -1000.0, 3.0]))
    carry = lj.cells.GRUCarry(h=jnp.array([1.0]))
    assert_close(cell.step(params, carry, jnp.zeros(1))[1], jnp.array([2.0]))


@in_float64
def test_a_signed_min_gru_keeps_parity_at_any_length():
    """h = 1 - h at every one: a = -1, z n = 1; h = h at a zero: a = 1, z n = 0."""
    cell = lj.cells.SIGNED_MIN_GRU
    params = without_weights(cell, 1, dtype=jnp.float64)._replace(
        w_ih=jnp.array([[-80.0, 0.0, 2.0]]), b=jnp.array([40.0, 0.0, 0.0])
    )
    xs = bits(10_000)
    for implementation in ("auto", "associative"):
        _, ys = lj.unroll(cell, params, xs, implementation=implementation)
        np.testing.assert_allclose(ys, jnp.cumsum(xs, axis=0) % 2, atol=1e-9)


@in_float64
@pytest.mark.parametrize("weights", range(3))
def test_positive_factors_forget_the_parity_of_what_is_far(weights):
    """Long runs of ones of either parity end in one state: h cannot tell them apart."""
    cell = lj.cells.MIN_GRU
    params = cell.init(jax.random.key(weights), 1, 8, dtype=jnp.float64)
    ends = [lj.unroll(cell, params, jnp.ones((n, 1)))[1][-1] for n in (2000, 2001)]
    np.testing.assert_allclose(*ends, atol=1e-12)


@in_float64
def test_one_reflection_keeps_parity_at_any_length():
    """β = 2 at a one turns the sign of h_1, β = 0 at a zero leaves it."""
    cell = lj.cells.delta_product(1)
    params = without_weights(cell, 2, dtype=jnp.float64)._replace(
        w_beta=jnp.array([[80.0]]), b_beta=jnp.array([-40.0]), b_v=jnp.array([1.0, 0.0])
    )
    start = lj.cells.GRUCarry(h=jnp.array([1.0, 0.0]))
    xs = bits(10_000)
    for implementation in ("auto", "associative"):
        run = partial(lj.unroll, cell, implementation=implementation)
        _, ys = run(params, xs, start)
        wanted = 1 - 2 * (jnp.cumsum(xs[:, 0]) % 2)
        np.testing.assert_allclose(ys[:, 0], wanted, atol=1e-9)


@in_float64
def test_a_min_gru_is_a_flip_flop_by_its_gate():
    """z = 1 writes the bit, z = 0 keeps it: right at any length."""
    cell, time = lj.cells.MIN_GRU, 10_000
    params = without_weights(cell, 1, input_size=2, dtype=jnp.float64)._replace(
        w_ih=jnp.array([[80.0, 0.0], [0.0, 1.0]]), b=jnp.array([-40.0, 0.0])
    )
    writes, values = bits(time) * (bits(time)[::-1]), bits(time)[::-1]
    writes = writes.at[0].set(1)
    xs = jnp.concatenate([writes, values], axis=-1)
    _, ys = lj.unroll(cell, params, xs, implementation="associative")
    last = jax.lax.cummax(jnp.where(writes[:, 0] > 0, jnp.arange(time), 0))
    np.testing.assert_allclose(ys[:, 0], values[last, 0], atol=1e-9)


# ---------------------------------------------------------------------------
# Selective SSM
# ---------------------------------------------------------------------------


@in_float64
@pytest.mark.parametrize("signed", [False, True])
def test_the_factors_of_a_selective_ssm_lie_in_their_range(signed):
    cell = lj.cells.selective_ssm(3, (-1, 1) if signed else (0, 1))
    params = cell.init(jax.random.key(0), 2, 4, dtype=jnp.float64)
    long, short = params._replace(b_delta=jnp.full(4, 50.0)), params
    xs = jnp.zeros((1, 2))
    carry = lj.cells.GRUCarry(h=jnp.ones((4, 3)))
    lowest = lj.unroll(cell, long, xs, carry)[0].h
    np.testing.assert_allclose(lowest, -1.0 if signed else 0.0, atol=1e-12)
    factors = lj.unroll(cell, short, xs, carry)[0].h
    assert bool((factors > (-1 if signed else 0)).all() and (factors < 1).all())


def test_a_selective_ssm_starts_with_the_time_steps_of_mamba():
    params = lj.cells.SELECTIVE_SSM.init(jax.random.key(0), 2, 1000)
    steps = jax.nn.softplus(params.b_delta)
    assert 0.00099 < steps.min() < 0.0012 and 0.08 < steps.max() < 0.101
    np.testing.assert_allclose(jnp.median(steps), 0.01, rtol=0.2)
    np.testing.assert_allclose(jnp.exp(params.a_log)[0], jnp.arange(1, 17), rtol=1e-6)


# ---------------------------------------------------------------------------
# What can't be
# ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: lj.cells.delta_product(0), "num_factors: got 0; it must be"),
        (
            lambda: lj.cells.delta_product(beta_range=(0, 3)),
            r"beta_range: got \(0, 3\); allowed: \(0, 1\), \(0, 2\)",
        ),
        (
            lambda: lj.cells.selective_ssm(eigenvalues=(0, 2)),
            r"eigenvalues: got \(0, 2\); allowed: \(0, 1\), \(-1, 1\)",
        ),
        (lambda: lj.cells.selective_ssm(0), "state_size: got 0; it must be"),
    ],
)
def test_wirings_that_no_cell_has_are_refused(make, line):
    with pytest.raises(ValueError, match=line):
        make()
