"""Where the laboratory meets what is too small, too large, ragged, or no answer."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax import theory
from lstm_jax.gradients.units import log_gradients

LINEAR = lj.rnn("linear")


def scaling_net(factor):
    return lj.RNNParams(jnp.eye(2), factor * jnp.eye(2), jnp.zeros(2))


OMEGA_AND_GRADIENT = jax.jit(
    jax.value_and_grad(
        lambda p, xs: lj.gradients.omega(LINEAR, p, xs, lambda ys: jnp.sum(ys[-1]))
    )
)


@pytest.mark.parametrize("factor", [2.0, 0.5, 0.1])
def test_omega_of_a_net_beyond_float32(factor):
    """Ω = (T - 1)(s - 1)² also where the adjoints are s^200."""
    xs = jnp.zeros((200, 2))
    value, gradient = OMEGA_AND_GRADIENT(scaling_net(factor), xs)
    assert_allclose(value, 199 * (factor - 1) ** 2, rtol=1e-4)
    # dΩ/dW = 2 (T - 1)(s - 1) u uᵀ, u the direction of the adjoint.
    assert_allclose(jnp.trace(gradient.w_hh), 398 * (factor - 1), rtol=1e-4)


@pytest.fixture
def ragged(key):
    params = lj.LSTM.init(key, 3, 4)
    xs = jax.random.normal(key, (8, 3, 3))
    lengths = jnp.array([0, 5, 8])

    def loss(ys):
        return jnp.sum(ys[lengths - 1, jnp.arange(3)])

    @jax.jit
    def measure(params, xs):
        norms = lj.log_gradient_norms(lj.LSTM, params, xs, loss, lengths=lengths)
        alone = lj.log_gradient_norms(
            lj.LSTM, params, xs[:5, 1], lambda ys: jnp.sum(ys[-1])
        )
        return norms.c, alone.c

    return measure(params, xs)


def test_a_curve_that_ends_earlier_is_read_from_its_own_end(ragged):
    norms, alone = ragged
    assert_allclose(lj.log_shares(norms)[:5, 1], lj.log_shares(alone), atol=1e-5)
    assert np.all(lj.log_shares(norms)[5:, 1] == -np.inf)
    for fraction in (0.5, 0.9):
        found = lj.horizon(norms, fraction)
        assert_allclose(found[1], lj.horizon(alone, fraction), rtol=1e-4)
        assert np.isnan(found[0])


def test_one_step_has_no_slope():
    assert np.isnan(lj.decay_rate(jnp.zeros((1, 3)))).all()


@pytest.mark.parametrize(("factor", "steps"), [(0.3, 60), (3.0, 50)])
def test_first_step_signal_where_squares_leave_float32(key, factor, steps):
    xs = jax.random.normal(key, (steps, 16, 1))

    @jax.jit
    def found(xs):
        return lj.gradients.first_step_signal(
            LINEAR,
            lj.RNNParams(
                w_ih=jnp.eye(1, dtype=xs.dtype),
                w_hh=factor * jnp.eye(1, dtype=xs.dtype),
                b=jnp.zeros(1, xs.dtype),
            ),
            xs,
            lambda ys, target: ys[-1, 0] * (1 + 0 * target),
            jnp.ones(16, xs.dtype),
            4,
        )

    single = found(xs)
    with jax.enable_x64(True):
        xs = xs.astype(jnp.float64)
        assert_allclose(single, found(xs), rtol=1e-3)
    assert single.resolution > 0


BAD_SIGNALS: dict[str, tuple[dict[str, Any], str]] = {
    "one example": ({"xs": jnp.ones((5, 1, 1)), "targets": jnp.ones(1)}, "xs: shape"),
    "one step": ({"xs": jnp.ones((1, 4, 1))}, "xs: shape"),
    "no batch": ({"batch_size": 0}, "batch_size: got 0"),
    "vector": ({"loss_fn": lambda ys, target: ys[-1]}, "loss_fn: it returned"),
    "nan": ({"loss_fn": lambda ys, target: jnp.nan * ys.sum()}, "loss_fn: it returned"),
}


@pytest.mark.parametrize(("wrong", "message"), BAD_SIGNALS.values(), ids=BAD_SIGNALS)
def test_first_step_signal_refuses(wrong, message):
    arguments = {
        "xs": jnp.ones((5, 4, 1)),
        "loss_fn": lambda ys, target: jnp.sum(ys),
        "targets": jnp.ones(4),
        "batch_size": 4,
        **wrong,
    }
    params = LINEAR.init(jax.random.key(0), 1, 2)
    with pytest.raises(ValueError, match=message):
        lj.gradients.first_step_signal(LINEAR, params, **arguments)


@pytest.mark.parametrize(
    "loss", [lambda ys: (ys.sum(), 1), lambda ys: None, lambda ys: jnp.inf * ys.sum()]
)
@pytest.mark.parametrize(
    "measure", [lj.carry_gradients, lj.log_gradient_norms, log_gradients]
)
def test_a_loss_that_is_no_number_is_refused_by_name(measure, loss):
    params = LINEAR.init(jax.random.key(0), 1, 2)
    with pytest.raises(ValueError, match="loss_fn: it returned"):
        measure(LINEAR, params, jnp.ones((3, 1)), loss)


def test_outputs_may_be_a_pytree(key):
    params = lj.LSTM.init(key, 3, 4)
    xs = jax.random.normal(key, (5, 3))

    def step(params, carry, x):
        carry, y = lj.LSTM.step(params, carry, x)
        return carry, {"h": y, "c": carry.c}

    cell = lj.from_function(step, lj.LSTM.init_carry)

    def loss(ys):
        return jnp.sum(ys["h"][-1] + ys["c"][2])

    logs, plain = jax.jit(
        lambda p, xs: (
            lj.log_gradient_norms(cell, p, xs, loss),
            lj.gradient_norms(cell, p, xs, loss),
        )
    )(params, xs)
    assert_allclose(jnp.exp(logs.c), plain.c, rtol=1e-5)


class Leak:
    """A step that can be compared and has no hash."""

    def __init__(self, rate):
        self.rate = rate

    def __eq__(self, other):
        return self.rate == other.rate

    def __call__(self, params, carry, x):
        return self.rate * carry, carry


@pytest.mark.parametrize("name", ["step", "init_carry", "init"])
def test_a_function_without_a_hash_is_refused(name):
    functions: dict[str, Any] = {
        "step": lj.RNN.step,
        "init_carry": lj.RNN.init_carry,
        name: Leak(0.5),
    }
    with pytest.raises(ValueError, match=f"^{name}: got a Leak, which has no hash;"):
        lj.from_function(**functions)


def test_effective_window_of_what_is_unknown_or_padded():
    inf, nan = jnp.inf, jnp.nan
    curves = jnp.array([[0, nan, 1], [0, inf, 1], [0, 0, -inf], [-inf, -inf, -inf]]).T
    assert_array_equal(lj.gradients.effective_window(curves), [-1, -1, 2, 0])


@pytest.mark.parametrize("size", [2, 3, 8])
def test_kreiss_bound_of_orthogonal_matrices_is_one(size):
    for seed in range(5):
        drawn = np.random.default_rng(seed).normal(size=(size, size))
        assert 0.5 < lj.theory.kreiss_bound(np.linalg.qr(drawn)[0]) <= 1.001


def test_growth_without_end_is_infinite():
    assert lj.theory.transient_growth(np.array([[3.0]]), max_power=2000).norm == np.inf
    growing = np.array([[3.0, 1.0], [0.0, 2.0]])
    assert lj.theory.transient_growth(growing, max_power=700).norm == np.inf
    with pytest.raises(ValueError, match="matrix: found nan"):
        lj.theory.transient_growth(np.array([[np.nan]]), max_power=2)


@pytest.mark.parametrize("excess", [1e-5, 1e-7, 1e-9, 1e-12])
def test_mean_field_just_above_the_onset(excess):
    """q = g - 1 to first order."""
    assert_allclose(theory.mean_field_variance(1 + excess), excess, rtol=1e-3)
