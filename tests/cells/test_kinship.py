"""Cells that are other cells, once a part of them is silent or tied."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import SIZES, float64_problem
from comparing import assert_close

import lstm_jax as lj

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
def test_without_peepholes_the_vanilla_lstm_is_the_lstm():
    problem = float64_problem(lj.LSTM)
    silent = jnp.zeros(3 * SIZES.hidden)
    params = lj.cells.PeepholeLSTMParams(*problem.params, p=silent)
    wanted = lj.unroll(lj.LSTM, problem.params, problem.xs, problem.carry)
    got = lj.unroll(lj.cells.PEEPHOLE_LSTM, params, problem.xs, problem.carry)
    assert_close(got, wanted)
    assert lj.cells.peephole_lstm("NP").step is lj.LSTM.step


@in_float64
def test_full_gate_recurrence_without_its_nine_matrices_is_the_vanilla_lstm():
    problem = float64_problem(lj.cells.PEEPHOLE_LSTM)
    none = jnp.zeros((3 * SIZES.hidden, 3 * SIZES.hidden))
    params = lj.cells.FullGateLSTMParams(*problem.params, w_gates=none)
    h, c = problem.carry
    full = lj.cells.FullGateLSTMCarry(h=h, c=c, i=h, f=c, o=h)
    final, ys = lj.unroll(lj.cells.peephole_lstm("FGR"), params, problem.xs, full)
    wanted = lj.unroll(
        lj.cells.PEEPHOLE_LSTM, problem.params, problem.xs, problem.carry
    )
    assert_close((lj.LSTMCarry(h=final.h, c=final.c), ys), wanted)


@pytest.mark.parametrize(("variant", "missing"), [("NIG", "i"), ("NFG", "f")])
@in_float64
def test_a_missing_gate_is_one_that_stands_wide_open(variant, missing):
    """V with that gate's weights at 0 and its bias at 800, where σ is 1 exactly."""
    problem = float64_problem(lj.cells.peephole_lstm(variant))
    present = "ifgo".replace(missing, "")

    def completed(leaf, letters, shape, fill=0.0):
        parts = dict(zip(letters, jnp.split(leaf, len(letters), axis=-1), strict=True))
        parts[missing] = jnp.full(shape, fill)
        everything = "ifgo" if "g" in letters else "ifo"
        return jnp.concatenate([parts[k] for k in everything], axis=-1)

    w_ih, w_hh, b, p = problem.params
    n = SIZES.hidden
    params = lj.cells.PeepholeLSTMParams(
        w_ih=completed(w_ih, present, (SIZES.input, n)),
        w_hh=completed(w_hh, present, (n, n)),
        b=completed(b, present, (n,), fill=800.0),
        p=completed(p, present.replace("g", ""), (n,)),
    )
    wanted = lj.unroll(lj.cells.PEEPHOLE_LSTM, params, problem.xs, problem.carry)
    got = lj.unroll(
        lj.cells.peephole_lstm(variant), problem.params, problem.xs, problem.carry
    )
    assert_close(got, wanted)


@in_float64
def test_without_a_forget_gate_all_of_the_long_term_memory_is_kept():
    """NFG with nothing recurrent: dc_T/dc_0 is the identity."""
    cell = lj.cells.peephole_lstm("NFG")
    params, carry, xs, *_ = float64_problem(cell)
    params = params._replace(w_hh=0 * params.w_hh, p=0 * params.p)
    final = lambda c: lj.unroll_reference(cell, params, xs, carry._replace(c=c))[0].c
    moved = jax.jvp(final, (carry.c,), (jnp.ones_like(carry.c),))[1]
    assert_close(moved, np.ones_like(carry.c))


@in_float64
def test_cifg_is_an_lstm_with_minus_the_weights_of_its_forget_gate():
    problem = float64_problem(lj.cells.CIFG_LSTM)

    def four(leaf):
        f, g, o = jnp.split(leaf, 3, axis=-1)
        return jnp.concatenate([-f, f, g, o], axis=-1)

    params = lj.LSTMParams(*map(four, problem.params))
    wanted = lj.unroll(lj.LSTM, params, problem.xs, problem.carry)
    got = lj.unroll(lj.cells.CIFG_LSTM, problem.params, problem.xs, problem.carry)
    assert_close(got, wanted)


@in_float64
def test_the_lesson_peephole_lstm_that_does_not_look_is_the_four_gate_cell():
    params, carry, xs, *_ = float64_problem(lj.cells.LESSON_PEEPHOLE_LSTM)
    n = SIZES.hidden
    blind = params._replace(w_ifv=params.w_ifv.at[:n].set(0))
    w_i, w_f, w_v = jnp.split(blind.w_ifv[n:], 3, axis=-1)
    b_i, b_f, b_v = jnp.split(blind.b_ifv, 3)
    four = lj.FourGateParams(
        w_n=params.w_n, b_n=params.b_n,
        w_i=w_i, b_i=b_i,
        w_f=w_f, b_f=b_f,
        w_u=params.w_u, b_u=params.b_u,
        w_v=w_v, b_v=b_v,
    )  # fmt: skip
    wanted = lj.unroll(lj.FOUR_GATE, four, xs, carry)
    assert_close(lj.unroll(lj.cells.LESSON_PEEPHOLE_LSTM, blind, xs, carry), wanted)
    seeing = lj.cells.LESSON_PEEPHOLE_LSTM.step(params, carry, xs[0])[0]
    for a, b in zip(seeing, lj.FOUR_GATE.step(four, carry, xs[0])[0], strict=True):
        assert (a != b).all(), "the long-term memory had no say"
