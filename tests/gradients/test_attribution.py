"""Integrated gradients: a dense reference, and the sum that has to come out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import compiled, draw, drawn_like, in_float64, make_params, slow_but

import lstm_jax as lj

TIME, BATCH, INPUT, HIDDEN = 5, 3, 3, 4
LINEN = lj.from_linen(nn.LSTMCell(HIDDEN, param_dtype=jnp.float64))
CELLS = {"lstm": lj.LSTM, "gru": lj.GRU, "four_gate": lj.FOUR_GATE, "linen": LINEN}


def params_of(name):
    if name != "linen":
        return make_params(CELLS[name], INPUT, HIDDEN)
    return drawn_like(LINEN.init(jax.random.key(0), INPUT, HIDDEN), scale=0.5)


def answer(ys):
    return jnp.sum(jnp.sin(ys[-1])) + jnp.sum(ys[2] ** 2)


@in_float64
@pytest.mark.parametrize("name", slow_but(["lstm"], CELLS))
def test_values_are_those_of_a_dense_sum_and_add_up(name):
    cell, params = CELLS[name], params_of(name)
    xs, start = draw(TIME, BATCH, INPUT, seed=1), draw(INPUT, seed=2)
    found = jax.jit(
        lambda xs, start: lj.gradients.integrated_gradients(
            cell, params, xs, answer, baseline=start
        )
    )(xs, start)

    @jax.jit
    def loss(xs):
        return answer(lj.unroll_reference(cell, params, xs)[1])

    xs, start = np.asarray(xs), np.asarray(start)
    middles = (np.arange(2000) + 0.5) / 2000
    path = start + middles[:, None, None, None] * (xs - start)
    gradients = jax.jit(lambda path: jax.lax.map(jax.grad(loss), path).mean(axis=0))
    # The midpoint sum misses by about 1e-7.
    assert_allclose(found.values, (xs - start) * gradients(path), rtol=0, atol=1e-6)
    change = loss(xs) - loss(np.broadcast_to(start, xs.shape))
    assert_allclose(found.values.sum(), change, rtol=0, atol=1e-10)
    assert_allclose(found.gap, np.zeros(BATCH), rtol=0, atol=1e-10)


@in_float64
def test_one_point_is_exact_where_the_network_is_linear():
    cell = lj.rnn("linear")
    params, xs = make_params(cell, INPUT, HIDDEN), np.asarray(draw(TIME, INPUT, seed=1))
    loss = lambda ys: ys[-1].sum()
    measure = compiled(
        lj.gradients.integrated_gradients, cell, loss_fn=loss, num_points=1
    )
    found = measure(params, xs)
    power = np.stack([np.linalg.matrix_power(params.w_hh, k) for k in range(TIME)])
    wanted = xs * (np.asarray(params.w_ih) @ power[::-1]).sum(axis=-1)
    assert_allclose(found.values, wanted, rtol=0, atol=1e-13)
    # And the bias is in the baseline's answer too, so nothing is missing.
    assert_allclose(found.gap, 0, atol=1e-13)


@in_float64
def test_the_gap_says_that_points_are_missing():
    params, xs = make_params(lj.LSTM, INPUT, HIDDEN), 9 * draw(TIME, 2, INPUT, seed=1)
    gap = jax.jit(
        lambda xs, number: (
            lj.gradients.integrated_gradients(
                lj.LSTM, params, xs, answer, num_points=number
            ).gap
        ),
        static_argnums=1,
    )
    gaps = [np.abs(gap(xs, number)).max() for number in (2, 128)]
    assert gaps[0] > 1e-3
    assert gaps[1] < 1e-8


@pytest.mark.slow
@in_float64
def test_each_sequence_has_its_own_values_whatever_stands_in_the_padding():
    params, xs = make_params(lj.GRU, INPUT, HIDDEN), draw(TIME, 2, INPUT, seed=1)
    lengths = np.array([TIME, 3])
    padded = xs.at[3:, 1].set(jnp.nan)
    loss = lambda ys: jnp.sum(lj.last_step(ys, lengths) ** 2)
    found = lj.gradients.integrated_gradients(
        lj.GRU, params, padded, loss, lengths=lengths
    )
    for index, length in enumerate(lengths):
        alone = lj.gradients.integrated_gradients(
            lj.GRU, params, xs[:length, index], lambda ys: jnp.sum(ys[-1] ** 2)
        )
        assert_allclose(found.values[:length, index], alone.values, atol=1e-12)
        assert_allclose(found.gap[index], alone.gap, atol=1e-12)
    assert (np.asarray(found.values[3:, 1]) == 0).all()


BAD = {
    "xs": ({"xs": 3}, TypeError, "xs: got 3; it must be a floating array"),
    "baseline": (
        {"baseline": np.ones(4)},
        ValueError,
        r"baseline: shape is \(4,\); it must broadcast to \(5, 3\), the shape of xs",
    ),
    "num_points": ({"num_points": 0}, ValueError, "num_points: got 0; "),
    "loss_fn": ({"loss_fn": 3}, TypeError, "loss_fn: got 3; it must be a function"),
    "a loss of several numbers": (
        {"loss_fn": lambda ys: ys[-1]},
        ValueError,
        "loss_fn: it returned float32",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_end_in_one_line(case):
    changed, kind, message = BAD[case]
    given = {"xs": jnp.ones((TIME, INPUT)), "loss_fn": lambda ys: ys.sum()} | changed
    params = lj.LSTM.init(jax.random.key(0), INPUT, HIDDEN)
    with pytest.raises(kind, match=message):
        lj.gradients.integrated_gradients(lj.LSTM, params, **given)
