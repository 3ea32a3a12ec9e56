"""The cells that are linear in their memory: closed forms, and what they can keep."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close
from problems import draw, make_params

import lstm_jax as lj

# They hold what NumPy made.
GRUCarry: Any = lj.cells.GRUCarry
RotationRNNCarry: Any = lj.cells.RotationRNNCarry
LRUCarry: Any = lj.cells.LRUCarry
unroll = jax.jit(lj.unroll, static_argnames="implementation")
in_float64 = pytest.mark.usefixtures("x64")
RINGS = [(0.0, 0.9), (0.5, 0.99), (0.9, 0.999)]


def bits(time):
    return np.random.default_rng(0).integers(0, 2, (time, 1)).astype(float)


def begun(cell, input_size, hidden_size, **options):
    """Initial params, of one program; NumPy arrays, of which all else is NumPy's."""
    sizes = {"input_size": input_size, "hidden_size": hidden_size}
    init = jax.jit(partial(cell.init, **sizes, **options))
    return jax.tree.map(np.asarray, init(jax.random.key(0)))


def without_weights(cell, hidden, input_size=1):
    """Params of zeros, in float64."""
    params = make_params(cell, input_size, hidden)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape), params)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softplus(z):
    return np.log1p(np.exp(z))


# ---------------------------------------------------------------------------
# LRU
# ---------------------------------------------------------------------------


@jax.jit
def of_the_ring(r_min, r_max):
    """What an LRU of many numbers has of its ring; its matrices would fill a disk."""
    init = partial(lj.cells.LRU.init, r_min=r_min, r_max=r_max, dtype=jnp.float64)
    params = init(jax.random.key(0), 1, 200_000)
    return params.nu_log, params.gamma_log


@in_float64
@pytest.mark.parametrize(("r_min", "r_max"), RINGS)
def test_white_noise_in_an_lru_grows_as_its_ring_says(r_min, r_max):
    """E|h|² / E|x B|² = Σ_n |λ|^2n, in the mean over the ring."""
    nu_log, gamma_log = map(np.asarray, of_the_ring(r_min, r_max))
    squares = np.exp(-2 * np.exp(nu_log))
    plain = np.mean(1 / (1 - squares))
    wanted = lj.theory.lru_ring_variance(r_min, r_max)
    np.testing.assert_allclose(plain, wanted, rtol=0.03)
    normalised = np.exp(2 * gamma_log) / (1 - squares)
    np.testing.assert_allclose(normalised, 1, rtol=1e-9)


@in_float64
def test_the_memory_of_an_lru_decays_and_turns():
    """h_t = λ^t h_0 without input."""
    params = begun(lj.cells.LRU, 2, 3, dtype=jnp.float64)
    start = LRUCarry(re=np.ones((3,)), im=np.zeros((3,)))
    final, _ = unroll(lj.cells.LRU, params, np.zeros((50, 2)), start)
    exponents = -np.exp(params.nu_log) + 1j * np.exp(params.theta_log)
    wanted = np.exp(50 * exponents)
    assert_close(tuple(final), (wanted.real, wanted.imag))


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (lj.cells.LRU, {"r_min": 1.0}),
        (lj.cells.LRU, {"max_phase": 0.0}),
        (lj.cells.RG_LRU, {"r_max": 1.5}),
        (lj.cells.ROTATION_RNN, {"max_phase": 0.0}),
    ],
    ids=str,
)
def test_a_ring_that_is_none_is_refused(cell, options):
    ((name, _),) = options.items()
    with pytest.raises(ValueError, match=f"{name}: got"):
        cell.init(jax.random.key(0), 1, 2, **options)


# ---------------------------------------------------------------------------
# minGRU, minLSTM
# ---------------------------------------------------------------------------


@in_float64
@pytest.mark.parametrize("cell", [lj.cells.min_gru, lj.cells.min_lstm])
def test_the_memory_of_the_log_space_form_is_positive(cell):
    cell = cell(log_space=True)
    params, xs = make_params(cell, 2, 5), draw(30, 4, 2)
    assert (np.asarray(unroll(cell, params, xs)[1]) > 0).all()


@in_float64
def test_a_min_lstm_keeps_a_mean_also_where_both_gates_are_shut():
    """f and i of e^-1000 make shares of one half."""
    cell = lj.cells.MIN_LSTM
    params = without_weights(cell, 1)
    params = params._replace(b=np.array([-1000.0, -1000.0, 3.0]))
    carry = GRUCarry(h=np.array([1.0]))
    y = jax.jit(cell.step)(params, carry, np.zeros(1))[1]
    assert_close(y, np.array([2.0]))


@in_float64
def test_a_signed_min_gru_keeps_parity_at_any_length():
    """h = 1 - h at every one: a = -1, z n = 1; h = h at a zero: a = 1, z n = 0."""
    cell = lj.cells.SIGNED_MIN_GRU
    params = without_weights(cell, 1)._replace(
        w_ih=np.array([[-80.0, 0.0, 2.0]]), b=np.array([40.0, 0.0, 0.0])
    )
    xs = bits(10_000)
    for implementation in ("auto", "associative"):
        _, ys = unroll(cell, params, xs, implementation=implementation)
        np.testing.assert_allclose(ys, np.cumsum(xs, axis=0) % 2, atol=1e-9)


@in_float64
@pytest.mark.parametrize("weights", range(3))
def test_positive_factors_forget_the_parity_of_what_is_far(weights):
    """Long runs of ones of either parity end in one state: h cannot tell them apart."""
    cell = lj.cells.MIN_GRU
    params = make_params(cell, 1, 8)
    params = jax.tree.map(lambda leaf: (1 + weights) / 2 * np.asarray(leaf), params)
    ys = np.asarray(unroll(cell, params, np.ones((2001, 1)))[1])
    np.testing.assert_allclose(*ys[-2:], atol=1e-12)


@in_float64
def test_one_reflection_keeps_parity_at_any_length():
    """β = 2 at a one turns the sign of h_1, β = 0 at a zero leaves it."""
    cell = lj.cells.delta_product(1)
    params = without_weights(cell, 2)._replace(
        w_beta=np.array([[80.0]]), b_beta=np.array([-40.0]), b_v=np.array([1.0, 0.0])
    )
    start = GRUCarry(h=np.array([1.0, 0.0]))
    xs = bits(10_000)
    for implementation in ("auto", "associative"):
        _, ys = unroll(cell, params, xs, start, implementation=implementation)
        wanted = 1 - 2 * (np.cumsum(xs[:, 0]) % 2)
        np.testing.assert_allclose(np.asarray(ys)[:, 0], wanted, atol=1e-9)


@in_float64
def test_a_min_gru_is_a_flip_flop_by_its_gate():
    """z = 1 writes the bit, z = 0 keeps it: right at any length."""
    cell, time = lj.cells.MIN_GRU, 10_000
    params = without_weights(cell, 1, input_size=2)._replace(
        w_ih=np.array([[80.0, 0.0], [0.0, 1.0]]), b=np.array([-40.0, 0.0])
    )
    writes, values = bits(time) * (bits(time)[::-1]), bits(time)[::-1]
    writes[0] = 1
    xs = np.concatenate([writes, values], axis=-1)
    _, ys = unroll(cell, params, xs, implementation="associative")
    last = np.maximum.accumulate(np.where(writes[:, 0] > 0, np.arange(time), 0))
    np.testing.assert_allclose(np.asarray(ys)[:, 0], values[last, 0], atol=1e-9)


# ---------------------------------------------------------------------------
# Selective SSM
# ---------------------------------------------------------------------------


@in_float64
@pytest.mark.parametrize("signed", [False, True])
def test_the_factors_of_a_selective_ssm_lie_in_their_range(signed):
    cell = lj.cells.selective_ssm(3, (-1, 1) if signed else (0, 1))
    params = begun(cell, 2, 4, dtype=jnp.float64)
    long, short = params._replace(b_delta=np.full(4, 50.0)), params
    start = GRUCarry(h=np.ones((4, 3))), np.zeros(2)
    lowest, factors = (jax.jit(cell.step)(of, *start)[0].h for of in (long, short))
    np.testing.assert_allclose(lowest, -1.0 if signed else 0.0, atol=1e-12)
    factors = np.asarray(factors)
    assert (factors > (-1 if signed else 0)).all() and (factors < 1).all()


def test_a_selective_ssm_starts_with_the_time_steps_of_mamba():
    params = begun(lj.cells.SELECTIVE_SSM, 2, 1000)
    steps = softplus(params.b_delta)
    assert 0.00099 < steps.min() < 0.0012 and 0.08 < steps.max() < 0.101
    np.testing.assert_allclose(np.median(steps), 0.01, rtol=0.2)
    np.testing.assert_allclose(np.exp(params.a_log)[0], np.arange(1, 17), rtol=1e-6)


# ---------------------------------------------------------------------------
# Rotation RNN
# ---------------------------------------------------------------------------


def turning_by(angle, cell=lj.cells.ROTATION_RNN):
    """Writes (1, 0) at the first of two inputs, turns by the angle at the second."""
    eye, nothing = np.eye(1), np.zeros((1, 1))
    return without_weights(cell, 1, input_size=2)._replace(
        w_ih=np.array([[0.0, 80.0, 1.0, 0.0], [angle, 0.0, 0.0, 0.0]]),
        b=np.array([0.0, -40.0, 0.0, 0.0]),
        c_p=eye,
        c_q=nothing,
    )


@in_float64
@pytest.mark.parametrize("modulus", [3, 7])
def test_a_rotation_counts_at_any_length(modulus):
    """p = cos(2π n/m) after n ones, read from the tree and step by step."""
    cell, ones = lj.cells.ROTATION_RNN, bits(10_000)
    ones[0] = 0
    xs = np.concatenate([np.arange(10_000)[:, None] == 0, ones], axis=-1)
    counts = np.cumsum(ones, axis=0) % modulus
    params = turning_by(2 * np.pi / modulus)
    for implementation in ("auto", "associative"):
        _, ys = unroll(cell, params, xs, implementation=implementation)
        wanted = np.cos(2 * np.pi * counts / modulus)
        np.testing.assert_allclose(ys, wanted, atol=1e-9)


@in_float64
def test_a_block_is_a_rotation_times_what_is_kept():
    """det A = (1 - z)², Aᵀ A = (1 - z)² I; with z = 0 the length stays."""
    cell = lj.cells.ROTATION_RNN
    params, x = make_params(cell, 2, 5), draw(2, seed=100)
    params = jax.tree.map(np.asarray, params)
    start = RotationRNNCarry(p=np.zeros(5), q=np.zeros(5))
    (p, q), _ = jax.jit(jax.jacobian(cell.step, 1))(params, start, x)
    parts = [[np.diagonal(part) for part in row] for row in (p, q)]
    blocks = np.moveaxis(np.asarray(parts), -1, 0)
    kept = sigmoid(-(x @ params.w_ih[:, 5:10] + params.b[5:10]))
    np.testing.assert_allclose(np.linalg.det(blocks), kept**2, rtol=1e-12)
    squares = blocks.mT @ blocks
    wanted = np.asarray(kept**2)[:, None, None] * np.eye(2)
    np.testing.assert_allclose(squares, wanted, atol=1e-12)


@in_float64
def test_a_forget_bias_is_what_a_pair_keeps_of_its_length():
    """σ(b) a step without input, all of it at 1000."""
    cell, time, biases = lj.cells.ROTATION_RNN, 300, np.array([2.5, 3, 4, 5, 1000.0])
    params = begun(cell, 2, 5, forget_bias=biases, dtype=jnp.float64)
    start = RotationRNNCarry(p=np.ones(5), q=np.ones(5))
    final, _ = unroll(cell, params, np.zeros((time, 2)), start)
    p, q = map(np.asarray, final)
    kept = 2 * sigmoid(biases) ** (2 * time)
    np.testing.assert_allclose(p**2 + q**2, kept, rtol=1e-12)


@in_float64
def test_no_pair_gets_longer_than_the_longest_value():
    cell = lj.cells.ROTATION_RNN
    params = jax.tree.map(np.asarray, make_params(cell, 2, 5))
    xs = np.asarray(draw(300, 2, seed=100))
    p, q = np.split(xs @ params.w_ih[:, 10:] + params.b[10:], 2, axis=-1)
    read = params._replace(c_p=np.eye(5), c_q=np.zeros((5, 5)))
    start = RotationRNNCarry(p=np.zeros(5), q=np.zeros(5))
    _, ys = unroll(cell, read, xs, start)
    assert (np.abs(ys) <= np.sqrt(p**2 + q**2).max(axis=0)).all()


# ---------------------------------------------------------------------------
# RG-LRU
# ---------------------------------------------------------------------------


@in_float64
def test_an_rg_lru_starts_on_its_ring():
    """Without input r = 1/2: h_t = ρ^4t h_0, ρ² uniform on [r_min², r_max²]."""
    cell = lj.cells.RG_LRU
    params = begun(cell, 2, 10_000, dtype=jnp.float64)
    start = GRUCarry(h=np.ones(10_000))
    h = unroll(cell, params, np.zeros((3, 2)), start)[0].h
    squares = np.asarray(h) ** (1 / 6)  # h = ρ^12
    assert 0.9**2 < squares.min() < 0.811 and 0.997 < squares.max() < 0.999**2
    np.testing.assert_allclose(squares.mean(), (0.9**2 + 0.999**2) / 2, atol=0.002)


@in_float64
def test_white_noise_leaves_an_rg_lru_as_strong_as_it_enters():
    """Σ_k (a^k sqrt(1 - a²))² = 1, of an impulse whose gates are open."""
    cell = lj.cells.RG_LRU
    params = without_weights(cell, 1)._replace(
        w_ih=np.array([[0.0, 0.0, 1.0]]), b=np.array([0.3, 50.0, 0.0])
    )
    impulse = (np.arange(400) == 0).astype(float)[:, None]
    run = lambda xs: np.asarray(unroll(cell, params, xs)[1])
    np.testing.assert_allclose(np.sum(run(impulse) ** 2), 1, rtol=1e-12)
    a = 2 ** (-8 * sigmoid(0.3))
    constant = run(np.ones((400, 1)))
    np.testing.assert_allclose(constant.max(), np.sqrt((1 + a) / (1 - a)), rtol=1e-12)


@jax.jit
def kept_and_slopes(params, start):
    """What an RG-LRU keeps for 20 steps, and its derivatives."""
    xs = jnp.ones((20, 2), jnp.float32)
    kept = lambda params: lj.unroll(lj.cells.RG_LRU, params, xs, start)[0].h
    return kept(params), jax.jacobian(kept)(params)


@in_float64  # to draw in; it runs in float32
@pytest.mark.parametrize("shut", [-100.0, -1000.0])
def test_a_shut_gate_of_an_rg_lru_keeps_all_and_has_a_slope(shut):
    """r = 0 by rounding: h stays, and no slope is NaN, though that of sqrt is not."""
    cell = lj.cells.RG_LRU
    params = jax.tree.map(
        lambda leaf: np.asarray(leaf, np.float32), make_params(cell, 2, 3)
    )
    params.b[:3] = shut
    start = GRUCarry(h=np.arange(1, 4, dtype=np.float32))
    after, slopes = kept_and_slopes(params, start)
    np.testing.assert_allclose(after, start.h, rtol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in slopes)


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
