"""Gradients of inputs, and the influence of every step on every output."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import slow_but

import lstm_jax as lj
from lstm_jax.gradients.influence import influence, input_influence
from lstm_jax.gradients.inputs import input_gradients, log_input_gradient_norms

TIME, BATCH, INPUT, HIDDEN = 6, 2, 3, 4


@pytest.fixture
def sequence(key, x64):
    key_params, key_xs = jax.random.split(key)
    xs = jax.random.normal(key_xs, (TIME, BATCH, INPUT), jnp.float64)
    params = lj.LSTM.init(key_params, INPUT, HIDDEN, dtype=jnp.float64)
    return params, xs


def loss(ys):
    return jnp.sum(ys[-1] ** 2) + jnp.sum(jnp.sin(ys[2]))


MASKS = {
    "plain": {},
    "reverse": {"reverse": True},
    "lengths": {"lengths": np.array([TIME, 3])},
    "resets": {"resets": np.arange(TIME)[:, None] == np.array([2, 4])},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_but(["reverse"], MASKS))
def test_input_gradients_are_those_of_the_python_loop(sequence, name):
    (params, xs), masks = sequence, MASKS[name]

    @jax.jit
    def measure(params, xs):
        def by_loop(xs):
            return loss(lj.unroll_reference(lj.LSTM, params, xs, **masks)[1])

        return (
            jax.grad(by_loop)(xs),
            input_gradients(lj.LSTM, params, xs, loss, **masks),
            log_input_gradient_norms(lj.LSTM, params, xs, loss, **masks),
        )

    wanted, found, logs = measure(params, xs)
    assert_allclose(found, wanted, rtol=0, atol=1e-14)
    assert_allclose(jnp.exp(logs), jnp.linalg.norm(wanted, axis=-1), rtol=1e-12)


@pytest.mark.slow
def test_input_gradients_pass_over_nan_in_the_padding(sequence):
    params, xs = sequence
    lengths = np.array([TIME, 3])
    clean = input_gradients(lj.LSTM, params, xs, loss, lengths=lengths)
    dirty = input_gradients(
        lj.LSTM, params, xs.at[3:, 1].set(jnp.nan), loss, lengths=lengths
    )
    np.testing.assert_array_equal(dirty, clean)
    assert np.all(clean[3:, 1] == 0)


@pytest.mark.slow
def test_input_gradients_of_keyed_inputs(sequence, key):
    params, xs = sequence
    cell = lj.zoneout(lj.LSTM, 0.3)
    keyed = lj.with_keys(key, xs)
    found = input_gradients(cell, params, keyed, loss)
    wanted = jax.grad(
        lambda xs: loss(lj.unroll(cell, params, lj.with_keys(key, xs))[1])
    )(xs)
    assert_allclose(found, wanted, rtol=0, atol=1e-14)


def test_log_input_norms_go_on_where_float32_ends(key):
    """ln 0.5 per step of lag: 1e-602 at the first of 2000 steps."""
    params = lj.RNNParams(jnp.eye(2), 0.5 * jnp.eye(2), jnp.zeros(2))
    xs = jnp.zeros((2000, 2))
    logs = jax.jit(
        lambda params, xs: log_input_gradient_norms(
            lj.rnn("linear"), params, xs, lambda ys: jnp.sum(ys[-1])
        )
    )(params, xs)
    wanted = np.arange(1999, -1, -1) * np.log(0.5) + 0.5 * np.log(2)
    assert_allclose(logs, wanted, rtol=1e-6)


@pytest.fixture
def jacobians(sequence):
    """(batch, t, output, s, input) and (batch, t, output, s, state), by jacrev."""
    params, xs = sequence

    def run(xs, probes):
        def step(carry, at_t):
            x, probe = at_t
            return lj.LSTM.step(params, jax.tree.map(jnp.add, carry, probe), x)

        start = lj.LSTM.init_carry(params)
        return jax.lax.scan(step, start, (xs, probes))[1]

    probes = jax.tree.map(
        lambda leaf: jnp.zeros((TIME, *leaf.shape)), lj.LSTM.init_carry(params)
    )
    return jax.jit(jax.vmap(jax.jacrev(run, (0, 1)), (1, None)))(xs, probes)


@pytest.mark.slow
def test_influence_is_the_norm_of_the_jacobian_of_every_pair(sequence, jacobians):
    params, xs = sequence
    of_inputs, of_carries = jacobians

    def norms(jacobian):
        return jnp.moveaxis(jnp.linalg.norm(jacobian, axis=(-3, -1)), 0, -1)

    found, of_xs = jax.jit(
        lambda p, xs: (influence(lj.LSTM, p, xs), input_influence(lj.LSTM, p, xs))
    )(params, xs)
    assert_allclose(jnp.exp(found.h), norms(of_carries.h), rtol=1e-12, atol=0)
    assert_allclose(jnp.exp(found.c), norms(of_carries.c), rtol=1e-12, atol=0)
    found = of_xs
    assert_allclose(jnp.exp(found), norms(of_inputs), rtol=1e-12, atol=0)
    later = np.triu_indices(TIME, 1)
    assert np.all(np.asarray(found)[later] == -np.inf)


@pytest.mark.slow
def test_few_probes_are_right_on_average(sequence, key):
    params, xs = sequence
    exact = jnp.exp(2 * input_influence(lj.LSTM, params, xs))[4, 1, 0]
    estimates = jax.jit(
        lambda keys: jax.lax.map(
            lambda k: input_influence(lj.LSTM, params, xs, num_probes=2, key=k), keys
        )
    )(jax.random.split(key, 400))
    squares = np.exp(2 * estimates[:, 4, 1, 0])
    error = squares.std() / np.sqrt(len(squares))
    assert abs(squares.mean() - exact) < 4 * error
    assert error < 0.05 * exact


@pytest.mark.parametrize("bad", [0, HIDDEN + 1])
def test_a_wrong_number_of_probes_is_refused(sequence, bad):
    params, xs = sequence
    with pytest.raises(ValueError, match=rf"num_probes: got {bad}; .*\[1, {HIDDEN}\]"):
        influence(lj.LSTM, params, xs, num_probes=bad)


def test_random_probes_need_a_key(sequence):
    params, xs = sequence
    with pytest.raises(ValueError, match="key: got None"):
        influence(lj.LSTM, params, xs, num_probes=2)
