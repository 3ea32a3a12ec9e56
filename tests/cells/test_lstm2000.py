"""The LSTM of 2000: blocks that forget, and errors through the forget gates alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import GATES_BIASED, SIZES, float64_problem
from comparing import assert_close

import lstm_jax as lj
from lstm_jax.cells.lstm2000 import LSTM2000, LSTM2000Params, lstm2000

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
def test_the_lstm_of_2000_is_the_lstm_with_half_of_what_g_reads():
    """2 σ(z) - 1 = tanh(z / 2), so g and c are twice those of the LSTM, and no b_g."""
    problem = float64_problem(LSTM2000)
    w_ih, w_hh, b = problem.params
    n = SIZES.hidden

    def as_ifgo(leaf):
        i, f, o, g = jnp.split(leaf, 4, axis=-1)
        return jnp.concatenate([i, f, g / 2, o], axis=-1)

    b = jnp.concatenate([b[: 2 * n], jnp.zeros(n), b[2 * n :]])
    params = lj.LSTMParams(w_ih=as_ifgo(w_ih), w_hh=as_ifgo(w_hh), b=b)
    half = problem.carry._replace(c=problem.carry.c / 2)
    final, ys = lj.unroll(lj.LSTM, params, problem.xs, half)
    got = lj.unroll(LSTM2000, problem.params, problem.xs, problem.carry)
    assert_close(got, (final._replace(c=2 * final.c), ys))


@in_float64
def test_blocks_of_2000_that_never_forget_are_those_of_1997():
    """f = 1, where no unit of 1997 reads a gate; two cells share each gate."""
    cell, old = lstm2000(block_size=2), GATES_BIASED[1]
    problem = float64_problem(old)
    w_ih, w_hh, b = problem.params
    blocks = SIZES.hidden // 2

    def with_forget_gate(leaf, fill=0.0):
        i, rest = leaf[..., :blocks], leaf[..., blocks:]
        return jnp.concatenate([i, jnp.full_like(i, fill), rest], axis=-1)

    deaf = problem.params._replace(w_hh=w_hh.at[: 2 * blocks].set(0))
    params = LSTM2000Params(
        w_ih=with_forget_gate(w_ih),
        w_hh=with_forget_gate(deaf.w_hh[2 * blocks :]),
        b=with_forget_gate(b, fill=800.0),
    )
    carry = lj.LSTMCarry(h=problem.carry.h, c=problem.carry.c)
    got = lj.unroll(cell, params, problem.xs, carry)
    final, ys = lj.unroll(old, deaf, problem.xs, problem.carry)
    assert_close(got, (lj.LSTMCarry(h=final.h, c=final.c), ys))


@in_float64
def test_truncated_errors_of_2000_travel_through_the_forget_gates_alone():
    cell = lstm2000(2, truncated=True)
    params, carry, xs, *_ = float64_problem(cell)
    memories = lambda carry: lj.unroll_reference(cell, params, xs, carry)[0].c
    pull = lambda carry: jax.vjp(memories, carry)[1](jnp.ones_like(carry.c))
    (back,) = jax.jit(pull)(carry)
    np.testing.assert_array_equal(back.h, np.zeros_like(back.h))
    kept = 1.0
    step, params = jax.jit(cell.step), jax.tree.map(np.asarray, params)
    for x in np.asarray(xs):
        gates = x @ params.w_ih[:, :6] + carry.h @ params.w_hh[:, :6] + params.b
        kept = kept / (1 + np.exp(-np.asarray(gates)[:, 2:4]))
        carry = jax.tree.map(np.asarray, step(params, carry, x)[0])
    assert_close(back.c, np.repeat(kept, 2, axis=-1))


@pytest.mark.slow
def test_blocks_of_2000_begin_with_their_biases_and_orthogonal_gate_by_gate(key):
    steps = jnp.array([0.5, 1.0, 1.5, 2.0])
    biases = {"input_bias": -steps, "forget_bias": steps, "output_bias": -2 * steps}
    params = lstm2000(2).init(key, 7, 8, **biases)
    np.testing.assert_array_equal(params.b, jnp.concatenate([*biases.values()]))
    _, w_hh, b = lstm2000(2).init(key, 7, 8)
    np.testing.assert_array_equal(b, np.repeat([0, 1, 0], 4))
    for group in np.split(w_hh, [4, 8, 12], axis=-1):
        assert_close(jnp.asarray(group.T @ group), np.eye(group.shape[1]))
