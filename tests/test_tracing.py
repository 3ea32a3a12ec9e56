"""The values of gates and memories along a run."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from gradients.loops import HIDDEN, INPUT
from gradients.path_problems import BATCH, OWN, TIME, own_params
from numpy.testing import assert_allclose, assert_array_equal
from problems import draw, in_float64, make_carry, make_params

import lstm_jax as lj


def traced(cell, *given):
    """As one program, and as NumPy arrays."""
    return jax.tree.map(np.asarray, jax.jit(partial(lj.trace, cell))(*given))


@in_float64
def test_the_trace_of_an_lstm_is_its_gates_and_its_memory():
    params, xs = make_params(lj.LSTM), draw(TIME, BATCH, INPUT, seed=100)
    carry = make_carry(lj.LSTM, params, (BATCH,))

    @jax.jit
    def run(params, xs, carry):
        carries, _ = lj.unroll_carries(lj.LSTM, params, xs, carry)
        before = jnp.concatenate([carry.h[None], carries.h[:-1]])
        gates = lj.lstm_gates(params, before, xs)
        return lj.trace(lj.LSTM, params, xs, carry), gates, carries

    values, gates, carries = run(params, xs, carry)
    assert set(values) == {*"ifgohc"}
    for name, expected in (gates._asdict() | carries._asdict()).items():
        assert_allclose(values[name], expected, rtol=1e-14, atol=1e-15)


@in_float64
def test_the_trace_of_other_cells():
    """GRU: z from its equation; the LSTM of 1997: g in (-2, 2), its gates the carry's;
    the lesson: gates of one activation; a stack: each layer's."""
    params, xs = make_params(lj.GRU), draw(1, BATCH, INPUT, seed=100)
    carry = make_carry(lj.GRU, params, (BATCH,))
    values = traced(lj.GRU, params, xs, carry)
    assert set(values) == {*"rznh"}
    params, xs, carry = jax.tree.map(np.asarray, (params, xs, carry))
    z = 1 / (1 + np.exp(-(xs @ params.w_ih + carry.h @ params.w_hh + params.b)))
    assert_allclose(values["r"], z[..., :HIDDEN], rtol=1e-14)
    assert_allclose(values["z"], z[..., HIDDEN : 2 * HIDDEN], rtol=1e-14)
    h = values["z"] * carry.h + (1 - values["z"]) * values["n"]
    assert_allclose(values["h"], h, rtol=1e-14)
    params = make_params(lj.cells.LSTM97)
    values = traced(lj.cells.LSTM97, params, xs)
    assert set(values) == {*"iogch"}
    assert_allclose(values["c"], values["i"] * values["g"], rtol=1e-14)
    cell = lj.cells.LESSON_PEEPHOLE_LSTM
    params = make_params(cell)
    carry = make_carry(cell, params, (BATCH,))
    values = traced(cell, params, xs, carry)
    ltm = values["f"] * carry.ltm + values["i"] * values["n"]
    assert_allclose(values["ltm"], ltm, rtol=1e-14)
    assert_allclose(values["stm"], values["u"] * values["v"], rtol=1e-14)
    cell = lj.stack(lj.LSTM, lj.RNN)
    params = make_params(lj.LSTM), make_params(lj.RNN, HIDDEN)
    values = traced(cell, params, xs)
    assert set(values) == {*(f"0.{name}" for name in "ifgohc"), "1.h"}


@in_float64
def test_the_trace_of_a_cell_without_names_is_its_pre_activations():
    params, xs = own_params(), draw(TIME, BATCH, INPUT, seed=100)
    values = lj.trace(OWN, params, xs)
    assert set(values) == {"sigmoid 0", "tanh 1", "carry"}
    before = jnp.concatenate([jnp.zeros((1, BATCH, HIDDEN)), values["carry"][:-1]])
    expected = xs @ params["w_f"] + before @ params["u_f"]
    assert_allclose(values["sigmoid 0"], expected, rtol=1e-13, atol=1e-14)
    f, g = jax.nn.sigmoid(values["sigmoid 0"]), jnp.tanh(values["tanh 1"])
    assert_allclose(values["carry"], f * before + (1 - f) * g, rtol=1e-13)


@in_float64
def test_at_a_step_that_does_not_count_the_memory_stays_and_gates_are_silent():
    params, xs = make_params(lj.LSTM), draw(3, INPUT, seed=100)
    mask, nothing = np.array([[True, False, True], [False] * 3])
    trace = jax.jit(partial(lj.trace, lj.LSTM, params, xs), static_argnames="reverse")
    values = jax.tree.map(np.asarray, trace(mask=mask, reverse=True))
    assert_array_equal(values["c"][1], values["c"][2])
    assert not np.any(values["f"][1]) and np.all(values["f"][::2])
    idle = trace(mask=nothing)
    assert not any(np.any(value) for value in idle.values())
