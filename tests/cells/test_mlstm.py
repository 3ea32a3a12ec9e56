"""mLSTM: a matrix memory behind a normaliser, and a stabiliser nobody sees."""

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from comparing import assert_close
from problems import make_params

import lstm_jax as lj

pytestmark = pytest.mark.usefixtures("x64")
CELL = lj.cells.MLSTM
XS = np.random.default_rng(0).standard_normal((10, 3))
# They hold what NumPy made.
MLSTMCarry: Any = lj.cells.MLSTMCarry
EMPTY = MLSTMCarry(c=np.zeros((4, 4)), n=np.zeros(4), m=np.zeros(1))
unroll = jax.jit(partial(lj.unroll, CELL))
step = jax.jit(CELL.step)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_stabilised_equals_the_plain_equations():
    params = jax.tree.map(np.asarray, make_params(CELL))
    c, n = np.zeros((4, 4)), np.zeros(4)
    ys = np.asarray(unroll(params, XS, EMPTY)[1])
    heavy = 0
    for x, y in zip(XS, ys, strict=True):
        i, f = x @ params.w_if + params.b_if
        q, k, v = x @ params.w_q, x @ params.w_k / 2, x @ params.w_v
        f, i = sigmoid(f), np.exp(i)
        c, n = f * c + i * np.outer(v, k), f * n + i * k
        o = sigmoid(x @ params.w_o + params.b_o)
        assert_close(y, o * (c @ q) / max(abs(n @ q), 1))
        heavy += int(abs(n @ q) > 1)
    assert 0 < heavy < len(XS)  # both sides of the maximum


def test_the_output_does_not_depend_on_the_stabiliser():
    """C and n over e^m by any other m, such as m + 3, give the same y."""
    params = make_params(CELL)
    carry = jax.tree.map(np.asarray, unroll(params, XS, EMPTY)[0])
    less = np.exp(-3.0)
    moved = MLSTMCarry(c=carry.c * less, n=carry.n * less, m=carry.m + 3)
    ys, others = (unroll(params, -XS, of)[1] for of in (carry, moved))
    np.testing.assert_allclose(ys, others, rtol=1e-12)


def test_gates_of_a_thousand_leave_everything_finite():
    """ĩ = 1000 x_0 + ..., of either sign, whose exponential no float holds."""
    params = make_params(CELL)
    w_if = np.array(params.w_if)
    w_if[0, 0] = 1000.0
    gradient = jax.jit(jax.grad(lambda p: lj.unroll(CELL, p, XS)[1].sum()))
    grads = gradient(params._replace(w_if=w_if))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


def test_a_large_input_gate_overwrites_all_that_was_kept():
    """i of e^50 makes C q / |nᵀq| the last value, times the sign of kᵀq."""
    params = jax.tree.map(np.asarray, make_params(CELL))
    params = params._replace(w_if=np.zeros((3, 2)), b_if=np.array([50.0, 3.0]))
    before, _ = unroll(params._replace(b_if=np.zeros(2)), XS, EMPTY)
    x = XS[5]
    _, y = step(params, before, x)
    o = sigmoid(x @ params.w_o + params.b_o)
    sign = np.sign((x @ params.w_k) @ (x @ params.w_q))
    np.testing.assert_allclose(y, sign * o * (x @ params.w_v), rtol=1e-12)


def test_no_gradient_flows_through_the_stabiliser():
    params = make_params(CELL)
    carry, _ = unroll(params, XS, EMPTY)
    shown = lambda m: CELL.step(params, carry._replace(m=m), XS[5])[1].sum()
    np.testing.assert_array_equal(jax.jit(jax.grad(shown))(carry.m), 0)


def test_it_starts_with_the_biases_of_its_authors_and_keys_of_any_size():
    init = partial(CELL.init, input_size=2, hidden_size=3, key_size=5)
    params = jax.jit(init)(jax.random.key(0))
    assert params.w_k.shape == (2, 5)
    assert float(params.b_if[1]) == 3.0 and 0 < abs(float(params.b_if[0])) < 0.5
