"""unroll, unroll_carries and scan: the rules for time, for every cell."""

import dataclasses
from functools import partial
from itertools import product
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close, equations_of, programs_in
from masked_batch import (
    BATCH,
    CELLS,
    COUNTS,
    EVERY_CELL,
    EVERYTHING,
    HIDDEN,
    LEAKY,
    LENGTHS,
    MASK,
    RESETS,
    TIME,
    assert_equal,
    differentiate,
    for_every_cell,
    gradients_of_run,
    leaky_step,
    make_setting,
    masks,
    only,
    run,
    run_carries,
)
from problems import slow_but

import lstm_jax as lj

# ---------------------------------------------------------------------------
# The loop is the meaning
# ---------------------------------------------------------------------------


LOOPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lengths": {"lengths": LENGTHS},
    "mask": {"mask": MASK},
    "resets": {"resets": RESETS},
    "everything": EVERYTHING,
    "reverse": {"reverse": True},
    "everything in reverse": EVERYTHING | {"reverse": True},
}


@pytest.mark.parametrize("name", slow_but(["resets", "everything in reverse"], LOOPS))
@for_every_cell
def test_values_equal_those_of_the_python_loop(cell, name):
    options = LOOPS[name]

    @jax.jit
    def both(*given):
        runs = lj.unroll, lj.unroll_reference
        return [run(cell, *given, **options) for run in runs]

    params, carry, xs = make_setting(cell)
    assert_close(*both(params, xs, carry))


@for_every_cell
def test_the_carry_is_fresh_unless_one_is_given(cell):
    params, _, xs = make_setting(cell)
    fresh = cell.init_carry(params, (BATCH,))
    assert_close(run(cell, params, xs, None, {}), run(cell, params, xs, fresh, {}))


@for_every_cell
def test_steps_per_iteration_change_nothing(cell):
    params, carry, xs = make_setting(cell)
    by_three = partial(lj.unroll, cell, scan_unroll=3, **EVERYTHING)
    got = jax.jit(by_three)(params, xs, carry)
    assert_close(got, run(cell, params, xs, carry, EVERYTHING))


def test_steps_per_iteration_change_no_carries():
    params, carry, xs = make_setting(lj.RNN)
    by_three = partial(lj.unroll_carries, lj.RNN, scan_unroll=3, **EVERYTHING)
    got = jax.jit(by_three)(params, xs, carry)
    assert_close(got, run_carries(lj.RNN, params, xs, carry, EVERYTHING))


@pytest.mark.parametrize(
    ("cell", "reverse"),
    slow_but([(lj.LSTM, True), (LEAKY, False)], [*product(EVERY_CELL, (False, True))]),
    ids=lambda of: getattr(of, "name", {True: "in reverse", False: "forwards"}.get(of)),
)
def test_gradients_equal_those_of_the_python_loop(cell, reverse):
    params, carry, xs = make_setting(cell)
    loop = partial(lj.unroll_reference, cell, **EVERYTHING, reverse=reverse)
    got = gradients_of_run(cell, params, xs, carry, EVERYTHING, reverse=reverse)
    assert_close(got, jax.jit(partial(differentiate, loop))(params, xs, carry))


@for_every_cell
def test_reverse_is_the_flipped_sequence(cell):
    params, carry, xs = make_setting(cell)
    final, ys = run(cell, params, xs, carry, masks(mask=MASK), reverse=True)
    flipped = run(cell, params, xs[::-1], carry, masks(mask=MASK[::-1]))
    assert_close((final, ys[::-1]), flipped)


@pytest.mark.slow
@pytest.mark.parametrize("batch_shape", [(), (2, 3)])
@pytest.mark.parametrize(
    "cell", slow_but([LEAKY], [lj.LSTM, LEAKY]), ids=lambda cell: cell.name
)
def test_any_number_of_batch_axes(cell, batch_shape):
    params, carry, xs = make_setting(cell, batch_shape)
    options = {
        "lengths": np.full(batch_shape, 3, np.int32),
        "mask": np.random.default_rng(4).random((TIME, *batch_shape)) < 0.7,
        "resets": np.random.default_rng(5).random((TIME, *batch_shape)) < 0.3,
    }
    arguments = (cell, params, xs, carry)
    got = lj.unroll(*arguments, **options)
    assert_close(got, lj.unroll_reference(*arguments, **options))


def test_scan_equals_that_of_jax():
    def step(params, carry, x):
        (a, b), (c,) = carry, x["c"]
        return (b, params * a + c), (a + b,)

    carry = (jnp.array(1.0), jnp.array(2.0))
    xs = {"c": (jnp.arange(5.0),)}
    for options in [{}, {"reverse": True}, {"unroll": 2}]:
        got = lj.scan(step, jnp.array(0.5), carry, xs, **options)
        wanted = jax.lax.scan(partial(step, jnp.array(0.5)), carry, xs, **options)
        assert_close(got, wanted)


@pytest.mark.parametrize("cell", slow_but([lj.LSTM], CELLS), ids=lambda cell: cell.name)
def test_nothing_that_comes_later_moves_an_output(cell):
    """Nor does anything earlier in reverse; and the input of a step moves its own."""
    params, carry, xs = make_setting(cell)
    for reverse in (False, True):
        ys = np.asarray(run(cell, params, xs, carry, {}, reverse=reverse)[1])
        for t in range(TIME):
            other = xs + (np.arange(TIME) == t)[:, None, None].astype(np.float32)
            moved = np.asarray(run(cell, params, other, carry, {}, reverse=reverse)[1])
            before = slice(t + 1, None) if reverse else slice(t)
            assert_equal(moved[before], ys[before])
            assert (moved[t] != ys[t]).any()


@for_every_cell
def test_examples_of_a_batch_do_not_see_one_another(cell):
    params, carry, xs = make_setting(cell)
    _, ys = run(cell, params, xs, carry, {})
    _, moved = run(cell, params, xs.at[:, 0].add(1), carry, {})
    assert_equal(moved[:, 1:], ys[:, 1:])
    assert (moved[:, 0] != ys[:, 0]).any()


# ---------------------------------------------------------------------------
# The carry of every step
# ---------------------------------------------------------------------------


@for_every_cell
def test_carries_are_those_of_the_running_prefixes(cell):
    params, carry, xs = make_setting(cell)
    carries, ys = run_carries(cell, params, xs, carry, EVERYTHING)
    assert_close(ys, run(cell, params, xs, carry, EVERYTHING)[1])
    for t in range(TIME):
        prefix = EVERYTHING | {"lengths": np.minimum(LENGTHS, t + 1)}
        prefix |= {"resets": RESETS & (np.arange(TIME)[:, None] <= t)}
        wanted, _ = run(cell, params, xs, carry, prefix)
        assert_close(jax.tree.map(itemgetter(t), carries), wanted)


@for_every_cell
def test_carries_in_reverse_stay_in_time_order(cell):
    params, carry, xs = make_setting(cell)
    carries, ys = run_carries(cell, params, xs, carry, masks(), reverse=True)
    flipped = run_carries(cell, params, xs[::-1], carry, masks())
    assert_close(jax.tree.map(lambda leaf: leaf[::-1], (carries, ys)), flipped)


# ---------------------------------------------------------------------------
# A user's cell
# ---------------------------------------------------------------------------


def test_a_counter_in_the_carry_counts_the_steps_that_count():
    params, _, xs = make_setting(LEAKY)
    final, ys = run(LEAKY, params, xs, None, masks(lengths=LENGTHS, mask=MASK))
    assert_equal(final.steps, COUNTS.sum(0))
    assert ys.shape == (TIME, BATCH, 1)


def test_a_counter_in_the_carry_starts_again_at_every_reset():
    params, carry, xs = make_setting(LEAKY)
    carry = carry._replace(steps=jnp.full(BATCH, 10))
    carries, _ = run_carries(LEAKY, params, xs, carry, masks(resets=only(2)))
    assert_equal(carries.steps[:, 0], np.array([11, 12, 1, 2, 3]))


def test_a_learned_start_gets_gradient_from_every_sequence_that_begins():
    params, carry, xs = make_setting(LEAKY)

    @jax.jit
    @jax.grad
    def gradient(start, masks):
        renewed = params._replace(start=start)
        return run(LEAKY, renewed, xs, carry, masks)[0].level.sum()

    assert (gradient(params.start, masks()) == 0).all()
    got = gradient(params.start, masks(resets=only(2)))
    assert_close(got, np.full(HIDDEN, BATCH * params.decay**3))


# ---------------------------------------------------------------------------
# Compilation
# ---------------------------------------------------------------------------


def test_equal_shapes_are_traced_once():
    traced = []

    def step(params, carry, x):
        traced.append(x.shape)
        return leaky_step(params, carry, x)

    cell = dataclasses.replace(LEAKY, step=step)
    params, carry, xs = make_setting(LEAKY)
    run(cell, params, xs, carry, EVERYTHING)
    after_first = len(traced)
    run(cell, params, 2 * xs, carry, EVERYTHING | {"lengths": LENGTHS // 2})
    assert after_first > 0
    assert len(traced) == after_first


def inside_loops(function, *arguments):
    """Returns the number of equations, and of array elements that loop bodies meet."""
    equations = list(equations_of(jax.make_jaxpr(function)(*arguments).jaxpr))
    loops = [e for e in equations if e.primitive.name in ("scan", "while")]
    assert loops
    met = 0
    for body in (body for loop in loops for body in programs_in(loop)):
        variables = [*body.invars, *body.constvars]
        for equation in equations_of(body):
            variables += equation.outvars
        met += sum(variable.aval.size for variable in variables)
    return len(equations), met


@pytest.mark.parametrize("reverse", slow_but([True], [False, True]))
@pytest.mark.parametrize("masked", [False, True])
@for_every_cell
def test_neither_program_nor_one_step_of_it_grows_with_time(cell, masked, reverse):
    """A loop that handles a whole stacked array at each step takes quadratic time."""

    def traced_for(times):
        params, carry, xs = make_setting(cell)
        longer = jax.tree.map(lambda leaf: np.tile(leaf, (times, 1)), (MASK, RESETS))
        masks = {"mask": longer[0], "resets": longer[1], "lengths": LENGTHS}
        xs = jnp.tile(xs, (times, 1, 1))
        arguments = (cell, params, xs, carry, masks if masked else {})
        functions = (run, run_carries, gradients_of_run)
        return [
            inside_loops(partial(function, reverse=reverse), *arguments)
            for function in functions
        ]

    assert traced_for(1) == traced_for(10)
