"""The cell of four gates: each alone, and all together."""

from typing import Any, NamedTuple

import by_hand
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import (
    SIZES,
    WRONG_WIDTH,
    as_jax,
    by_gate,
    make_params,
    make_problem,
)
from comparing import assert_close

import lstm_jax as lj

# ---------------------------------------------------------------------------
# The four gates
# ---------------------------------------------------------------------------


FOUR_GATES = {"kept": lj.FOUR_GATE, "ltm": lj.four_gate("ltm")}


class Moment(NamedTuple):
    """One step of the four-gate cell: its params, the memories it meets, its event."""

    params: Any
    carry: Any
    event: Any


def make_moment(**changes):
    """Draws a moment in float64; `changes` replace params."""
    problem = as_jax(make_problem(lj.FOUR_GATE, jnp.float64))
    return Moment(problem.params._replace(**changes), problem.carry, problem.xs[0])


def through_the_gates(params, carry, event, use_input):
    """The step, composed by hand of the four gates."""
    learned = lj.learn_gate(params, carry.stm, event)
    kept = lj.forget_gate(params, carry.ltm, carry.stm, event)
    ltm = lj.remember_gate(kept, learned)
    read = {"kept": kept, "ltm": ltm}[use_input]
    return lj.FourGateCarry(ltm=ltm, stm=lj.use_gate(params, read, carry.stm, event))


def test_each_gate_called_alone_gives_its_equation(x64):
    params, (ltm, stm), event = moment = make_moment()
    gates = by_hand.four_gates(*moment)
    used = np.tanh(gates.kept @ params.w_u + params.b_u) * gates.v
    assert_close(lj.learn_gate(params, stm, event), gates.n * gates.i)
    assert_close(lj.forget_gate(params, ltm, stm, event), gates.f * ltm)
    assert_close(lj.remember_gate(ltm, stm), ltm + stm)
    assert_close(lj.use_gate(params, jnp.asarray(gates.kept), stm, event), used)


def test_the_gates_of_the_lesson_say_what_their_equations_say(x64):
    params, (ltm, stm), event = moment = make_moment()
    by_equation = by_hand.four_gates(*moment)
    used = np.tanh(by_equation.kept @ params.w_u + params.b_u)
    said = lj.cells.lesson_gates(params, ltm, stm, event)
    wanted = (by_equation.n, by_equation.i, by_equation.f, used, by_equation.v)
    assert said._fields == ("new", "ignore", "forget", "used", "use")
    assert_close(tuple(said), wanted)


@pytest.mark.parametrize("use_input", FOUR_GATES)
def test_a_step_is_the_composition_of_the_four_gates(use_input):
    params, carry, xs, *_ = as_jax(make_problem(lj.FOUR_GATE))
    after, y = FOUR_GATES[use_input].step(params, carry, xs[0])
    composed = through_the_gates(params, carry, xs[0], use_input)
    assert_close((after, y), (composed, composed.stm))


def test_first_stm_is_zero_for_every_input_when_nothing_is_remembered(x64):
    params, carry, _ = make_moment(b_u=jnp.zeros(SIZES.hidden))
    empty = carry._replace(ltm=jnp.zeros_like(carry.ltm))
    for event in 10 * jax.random.normal(jax.random.key(3), (5, *SIZES[1:3])):
        after, y = lj.FOUR_GATE.step(params, empty, event)
        np.testing.assert_array_equal((after.stm, y), np.zeros_like((after.stm, y)))
        assert (after.ltm != 0).all()


def test_stm_is_tanh_of_the_ltm_without_what_was_just_learned(x64):
    """With W_u = I and b_u = 0: STM_t = V_t tanh(LTM_t - i_t N_t)."""
    problem = make_problem(lj.FOUR_GATE, jnp.float64)
    identity, zeros = np.eye(SIZES.hidden), np.zeros(SIZES.hidden)
    params = as_jax(problem.params._replace(w_u=identity, b_u=zeros))
    carry = as_jax(problem.carry)
    for event in as_jax(problem.xs):
        gates = by_hand.four_gates(params, carry, event)
        carry, _ = lj.FOUR_GATE.step(params, carry, event)
        wanted = gates.v * np.tanh(carry.ltm - gates.i * gates.n)
        assert_close(carry.stm, wanted)


@pytest.mark.parametrize("use_input", FOUR_GATES)
def test_what_is_learned_reaches_the_stm_a_step_later_or_at_once(use_input, x64):
    """dSTM_t/dN_t = 0 within a step, seen through b_n, which only N_t reads."""
    params, carry, event = make_moment()
    cell = FOUR_GATES[use_input]

    @jax.jit
    @jax.jacobian
    def memories(b_n):
        first, _ = cell.step(params._replace(b_n=b_n), carry, event)
        second, _ = cell.step(params, first, event)
        return first.stm, first.ltm, second.stm

    at_once, remembered, a_step_later = memories(params.b_n)
    assert (at_once == 0).all() == (use_input == "kept")
    assert (remembered != 0).any()
    assert (a_step_later != 0).any()


def test_four_gates_that_read_the_ltm_through_the_identity_are_an_lstm(x64):
    """N = g, i = i, f = f, V = o, LTM = c, STM = h; with W_u = I and b_u = 0."""
    params, carry, xs, *_ = as_jax(make_problem(lj.LSTM, jnp.float64))
    gates = {}
    for letter, w_ih, w_hh, b in by_gate(params):
        name = {"g": "n", "o": "v"}.get(letter, letter)
        gates[f"w_{name}"] = jnp.concatenate([w_hh, w_ih])
        gates[f"b_{name}"] = b
    gates |= {"w_u": jnp.eye(SIZES.hidden), "b_u": jnp.zeros(SIZES.hidden)}
    memories = lj.FourGateCarry(ltm=carry.c, stm=carry.h)
    final, ys = lj.unroll(lj.LSTM, params, xs, carry)
    (ltm, stm), shown = lj.unroll(
        lj.four_gate("ltm"), lj.FourGateParams(**gates), xs, memories
    )
    assert_close((ltm, stm, shown), (final.c, final.h, ys))


# ---------------------------------------------------------------------------
# Promises of every cell
# ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda lstm, four, memory, event: lj.lstm_gates(lstm, memory, event),
        lambda lstm, four, memory, event: lj.learn_gate(four, memory, event),
        lambda lstm, four, memory, event: lj.forget_gate(four, memory, memory, event),
        lambda lstm, four, memory, event: lj.use_gate(four, memory, memory, event),
    ],
    ids=["lstm_gates", "learn_gate", "forget_gate", "use_gate"],
)
def test_a_single_gate_refuses_an_event_of_another_width(call):
    lstm, four = make_params(lj.LSTM), make_params(lj.FOUR_GATE)
    with pytest.raises(ValueError, match=WRONG_WIDTH):
        call(lstm, four, jnp.ones(SIZES.hidden), jnp.ones(5))
