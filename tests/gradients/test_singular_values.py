"""Singular values of a whole run, against spectra that are known beforehand.

J_t = Q_{t+1} D_t Q_tᵀ with random rotations Q and diagonal D has the product
Q_T (D_{T-1} ... D_0) Q_0ᵀ, whose singular values are exact whatever their size.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import slow_but

import lstm_jax as lj
from lstm_jax.gradients.exponents import graded, scaled

INPUT, HIDDEN, BATCH = 2, 3, (2,)
in_float64 = pytest.mark.usefixtures("x64")


def rotations(random, count, size):
    return np.linalg.qr(random.normal(size=(count, size, size)))[0]


def run_of(diagonals, seed=0):
    """Jacobians (time, n, n) of a product with the singular values Π |diagonals|."""
    turned = rotations(
        np.random.default_rng(seed), len(diagonals) + 1, len(diagonals.T)
    )
    return turned[1:] @ (diagonals[..., None] * turned[:-1].mT)


def step(jacobians, h, x):
    """h <- J_t h, with t as the input."""
    h = h @ jacobians[x[..., 0].astype(jnp.int32)].mT
    return h, h


def start(jacobians, batch_shape):
    return jnp.zeros((*batch_shape, jacobians.shape[-1]), jacobians.dtype)


GIVEN = lj.from_function(step, start)


@partial(jax.jit, static_argnames=("num_values", "num_sweeps", "dtype"))
def spectrum_of(jacobians, dtype=jnp.float64, **options):
    jacobians = jacobians.astype(dtype)
    xs = jnp.arange(len(jacobians), dtype=dtype)[:, None]
    return lj.gradients.product_singular_values(GIVEN, jacobians, xs, **options)


@jax.jit
def linear_spectrum(params, xs):
    return lj.gradients.product_singular_values(lj.rnn("linear"), params, xs)


def errors(found, exact):
    found, exact = np.asarray(found, float), np.asarray(exact, float)
    same = found == exact
    return np.where(
        same, 0, np.abs(np.where(same, 0, found) - np.where(same, 0, exact))
    )


SPECTRA = {
    "drawn": lambda random, time, n: random.normal(size=(time, n)),
    "all equal": lambda random, time, n: np.full((time, n), 0.9),
    "nearly equal": lambda random, time, n: 1 - 1e-4 * random.uniform(size=(time, n)),
    "a pair of nearly equal ones": lambda random, time, n: np.broadcast_to(
        np.r_[1, 0.999, np.linspace(0.5, 0.1, n - 2)], (time, n)
    ),
    "pairs at every distance": lambda random, time, n: np.exp(
        -np.repeat(np.arange(n), 2)[:n] - 10.0 ** -np.arange(n) / time
    ),
    "over seventy orders of magnitude": lambda random, time, n: np.exp(
        -6 * random.uniform(size=(time, n)) * np.arange(n) / (n - 1)
    ),
}


@in_float64
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("n", slow_but([5], [5, 6]))
def test_all_values_are_exact_and_the_bound_bounds(name, n):
    for seed in range(4):
        diagonals = np.broadcast_to(
            SPECTRA[name](np.random.default_rng(seed), 12, n), (12, n)
        )
        exact = np.sort(np.log(np.abs(diagonals)).sum(0))[::-1]
        found = spectrum_of(run_of(diagonals, seed))
        error = errors(found.log_singular_values, exact)
        assert error.max() < 1e-11
        assert np.all(found.reached) and np.all(found.bound < 1e-10)
        assert np.all(error <= found.bound)
        assert np.all(found.change <= found.bound)


@in_float64
def test_values_beyond_what_a_float_can_hold_have_digits_of_their_own():
    diagonals = np.broadcast_to([1.0, 0.1, 0.01, 0.0099], (2_000, 4))
    found = spectrum_of(run_of(diagonals))
    exact = 2_000 * np.log([1.0, 0.1, 0.01, 0.0099])  # 1, 1e-2000, 1e-4000, 1e-4009
    assert_allclose(found.log_singular_values, exact, atol=1e-8)
    assert np.all(errors(found.log_singular_values, exact) <= found.bound)
    assert np.all(found.reached)


@pytest.mark.slow
@in_float64
def test_in_float32_the_bound_knows_of_rounding():
    worst = 0
    for seed in range(8):
        random = np.random.default_rng(seed)
        # Far from normal: rounding grows, and differently in the two directions.
        jacobians = np.eye(5) + 2 * np.triu(random.normal(size=(25, 5, 5)))
        exact = spectrum_of(jacobians.astype(np.float32))
        found = spectrum_of(jacobians, jnp.float32)
        assert found.log_singular_values.dtype == jnp.float32
        error = errors(found.log_singular_values, exact.log_singular_values)
        assert np.all(error <= np.asarray(found.bound))
        assert_array_equal(found.reached, np.asarray(found.bound) <= 1e-3)
        worst = max(worst, error.max())
    assert worst > 1e-5


@in_float64
@pytest.mark.parametrize("values", slow_but([2], [1, 2]))
def test_the_largest_are_iterated_to_the_tolerance_and_the_bound_bounds(values):
    reached = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        distances = 10 ** random.uniform(-3, 0, size=12)
        diagonals = np.broadcast_to(np.exp(-np.cumsum(distances)), (6, 12))
        exact = 6 * np.log(diagonals[0, :values])
        for tolerance in (1e-2, 1e-6):
            jacobians = run_of(diagonals, seed)
            found = spectrum_of(jacobians, num_values=values, tolerance=tolerance)
            error = errors(found.log_singular_values, exact)
            assert np.all(error <= found.bound)
            assert_array_equal(found.reached, np.asarray(found.bound) <= tolerance)
            reached.append(bool(np.all(found.reached)))
    assert np.mean(reached) > 0.8


@pytest.mark.slow
@in_float64
def test_what_was_not_reached_is_said():
    """Eleven values close to the largest: five directions can't tell them apart."""
    diagonals = np.broadcast_to(np.r_[1, np.full(11, 0.9999)], (6, 12))
    jacobians = run_of(diagonals)
    one = spectrum_of(jacobians, num_values=1, num_sweeps=3, tolerance=1e-6)
    assert not one.reached[0]
    assert abs(one.log_singular_values[0]) <= one.bound[0]
    whole = spectrum_of(jacobians, tolerance=1e-6)
    assert np.all(whole.reached)
    assert_allclose(whole.log_singular_values, 6 * np.log(diagonals[0]), atol=1e-12)


@pytest.mark.slow
@in_float64
def test_more_sweeps_and_a_smaller_tolerance_come_nearer():
    diagonals = np.broadcast_to(np.r_[1, np.linspace(0.97, 0.5, 11)], (3, 12))
    jacobians = run_of(diagonals)
    errors = [
        -float(spectrum_of(jacobians, num_values=1, **options).log_singular_values[0])
        for options in (
            {"num_sweeps": 2},
            {"num_sweeps": 4},
            {"tolerance": 1e-4},
            {"tolerance": 1e-9},
        )
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 1e-5 > 1e-4 * errors[2] and errors[3] < 1e-10


@partial(jax.jit, static_argnames=("num_values", "reverse"))
def lstm_spectrum(params, xs, **options):
    return lj.gradients.product_singular_values(lj.LSTM, params, xs, **options)


def lstm_run():
    random = np.random.default_rng(9)
    params = jax.tree.map(
        lambda leaf: 0.5 * random.normal(size=leaf.shape),
        jax.eval_shape(lambda: lj.LSTM.init(jax.random.key(0), INPUT, HIDDEN)),
    )
    return params, random.normal(size=(4, *BATCH, INPUT))


condition_number = jax.jit(lj.gradients.log_condition_number)
OPTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "the largest": {"num_values": 3, "tolerance": 1e-7},
    "in reverse": {"reverse": True},
}


@in_float64
@pytest.mark.parametrize("case", slow_but(["in reverse"], OPTIONS))
def test_singular_values_are_those_of_the_product(case):
    options = OPTIONS[case]
    params, xs = lstm_run()
    masks: Any = {
        "lengths": np.array([4, 3]),
        "resets": np.zeros((4, *BATCH), bool),
        "reverse": options.get("reverse", False),
    }
    found = lstm_spectrum(params, xs, **masks | options)
    jacobians = jax.jit(partial(lj.step_jacobians, lj.LSTM, **masks))(params, xs)
    product = np.eye(2 * HIDDEN)
    for jacobian in np.asarray(jacobians)[:: -1 if masks["reverse"] else 1]:
        product = jacobian @ product
    svd = np.linalg.svd(product, compute_uv=False)
    count = options.get("num_values", 2 * HIDDEN)
    assert svd.max() / svd.min() < 1e10  # the oracle has digits left
    assert_allclose(found.log_singular_values, np.log(svd)[:, :count], atol=1e-6)
    assert np.all(found.reached)
    condition = condition_number(found.log_singular_values)
    assert_allclose(condition, np.log(svd[:, 0] / svd[:, count - 1]), atol=1e-6)


@pytest.mark.slow
def test_singular_values_at_1e_minus_3000_in_float32():
    """Powers of a symmetric matrix: ln σ_i = T ln |eig_i|; κ = e^4055 here."""
    time = 10_000
    scales = np.array([0.5, -0.45, 0.4, 1 / 3])
    (turn,) = rotations(np.random.default_rng(0), 1, 4)
    w = jnp.asarray(turn @ np.diag(scales) @ turn.T, jnp.float32)
    exact = np.log(np.abs(np.linalg.eigvalsh(np.asarray(w, np.float64))))
    params = lj.RNNParams(w_ih=jnp.zeros((1, 4)), w_hh=w.T, b=jnp.zeros(4))
    found = linear_spectrum(params, jnp.zeros((time, 1)))
    rates = np.asarray(found.log_singular_values, np.float64) / time
    assert_allclose(rates, np.sort(exact)[::-1], atol=1e-6)
    assert found.log_singular_values[0] < -6900  # 10^-3010, and the last 10^-4771
    condition = condition_number(found.log_singular_values)
    assert_allclose(condition, time * np.log(1.5), rtol=1e-5)


@in_float64
def test_zeros_are_minus_infinity_and_known_to_be():
    resets = np.array([[False, False], [True, True], [False, False], [False, False]])
    masks: Any = {"lengths": np.array([4, 3]), "reverse": True}
    found = lstm_spectrum(*lstm_run(), resets=resets, **masks)
    assert_array_equal(found.log_singular_values, np.full((2, 2 * HIDDEN), -np.inf))
    assert_array_equal(found.change, np.zeros((2, 2 * HIDDEN)))
    assert np.all(found.reached)
    kept = np.array([0.9, 0.8, 0.5, 0.25])
    dead = np.diag([0.5, 0.0, 0.25, 0.9, 0.8])  # a unit that is switched off
    found = np.asarray(spectrum_of(np.stack([dead] * 12)).log_singular_values)
    assert_allclose(found[:4], 12 * np.log(kept), atol=1e-12)
    assert found[4] < -60


@pytest.mark.slow
@in_float64
def test_runs_side_by_side_do_not_see_one_another():
    diagonals = [np.full((6, 4), 0.5), np.exp(-np.arange(24.0).reshape(6, 4))]
    jacobians = jnp.stack([run_of(one) for one in diagonals])
    for options in ({}, {"num_values": 1, "tolerance": 1e-9}):
        together = jax.vmap(partial(spectrum_of, **options))(jacobians)
        for k in range(2):
            alone = spectrum_of(jacobians[k], **options)
            exact = np.sort(np.log(diagonals[k]).sum(0))[::-1][: len(alone.bound)]
            for found in (alone.log_singular_values, together.log_singular_values[k]):
                assert_allclose(found, exact, atol=1e-9)


@pytest.mark.slow
@in_float64
@pytest.mark.parametrize("size", slow_but([3], [1, 3, 8]))
def test_graded_rows_are_multiplied_and_decomposed_like_any_matrix(size):
    random = np.random.default_rng(size)
    left, right = random.normal(size=(2, 3, size, size))
    right[:, -1] = 0  # the last of the triangles has a row of zeros
    rows = scaled.rescale(jnp.asarray(right), jnp.zeros((3, size), jnp.int32))
    product = jax.jit(graded.times)(jnp.asarray(left), rows)
    found = np.ldexp(product.mantissa, product.exponent[..., None])
    assert_allclose(found, left @ right, atol=1e-12)
    svd = np.linalg.svd(left @ right, compute_uv=False)[:, : size - 1]
    logs = jax.jit(graded.log_singular_values)(product)
    assert_allclose(logs[:, : size - 1], np.log(svd), atol=1e-12)
    assert np.all(logs[:, size - 1] < -30)
    zeros = scaled.rescale(jnp.zeros((size, size)), jnp.zeros(size, jnp.int32))
    assert np.all(jax.jit(graded.log_singular_values)(zeros) == -np.inf)
