"""unroll, unroll_carries and scan: the rules for time, for every cell."""

import dataclasses
import re
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import assert_close, drawn_like, equations_of, programs_in

import lstm_jax as lj
from lstm_jax import readouts

TIME, BATCH, INPUT, HIDDEN = 5, 3, 2, 4

# Rows are steps, columns examples. The first example begins anew at a step that does
# not count, between steps that do; the second at one that counts and beyond its end.
LENGTHS = np.array([5, 3, 0], np.int32)
MASK = np.array([[1, 0, 1], [0, 1, 1], [0, 1, 1], [1, 0, 1], [1, 0, 1]], bool)
RESETS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]], bool)
COUNTS = MASK & (np.arange(TIME)[:, None] < LENGTHS)


def masks(**changes):
    """Masks that change nothing, then `changes`; one structure, so one compilation."""
    every_step = {
        "lengths": np.full(BATCH, TIME, np.int32),
        "mask": np.ones((TIME, BATCH), bool),
        "resets": np.zeros((TIME, BATCH), bool),
    }
    return every_step | changes


def only(t):
    """True at step t alone."""
    return np.broadcast_to(np.arange(TIME)[:, None] == t, (TIME, BATCH))


EVERYTHING = masks(lengths=LENGTHS, mask=MASK, resets=RESETS)


class LeakyParams(NamedTuple):
    decay: Any
    w: Any
    start: Any


class LeakyCarry(NamedTuple):
    level: Any
    steps: Any


def leaky_init(key, input_size, hidden_size):
    w = jax.random.normal(key, (input_size, hidden_size))
    return LeakyParams(decay=0.9, w=w, start=jnp.ones(hidden_size))


def leaky_init_carry(params, batch_shape=()):
    level = jnp.broadcast_to(params.start, (*batch_shape, *params.start.shape))
    return LeakyCarry(level=level, steps=jnp.zeros(batch_shape, jnp.int32))


def leaky_step(params, carry, x):
    level = params.decay * carry.level + x @ params.w
    y = level.sum(-1, keepdims=True)
    return LeakyCarry(level=level, steps=carry.steps + 1), y


LEAKY = lj.Cell(
    name="leaky", init=leaky_init, init_carry=leaky_init_carry, step=leaky_step
)
"""A user's cell: it learns where it starts, counts its steps, and shows one number."""

CELLS = [lj.RNN, lj.LSTM, lj.FOUR_GATE]  # test_cells runs the others against oracles
EVERY_CELL = [*CELLS, LEAKY]
for_every_cell = pytest.mark.parametrize("cell", EVERY_CELL, ids=lambda cell: cell.name)
both_ways = pytest.mark.parametrize(
    "reverse", [False, True], ids=["forwards", "in reverse"]
)


class Setting(NamedTuple):
    """What a run needs; no bias, no initial memory and no input is zero."""

    params: Any
    carry: Any
    xs: Any


def make_setting(cell, batch_shape=(BATCH,)):
    def shapes():
        params = cell.init(jax.random.key(0), INPUT, HIDDEN)
        xs = jnp.zeros((TIME, *batch_shape, INPUT), jnp.float32)
        return Setting(params, cell.init_carry(params, batch_shape), xs)

    drawn = drawn_like(jax.eval_shape(shapes), seed=1)
    return jax.tree.map(jnp.asarray, drawn)


@partial(jax.jit, static_argnames="reverse")  # compiled once for each cell
def run(cell, params, xs, carry, masks, *, reverse=False):
    return lj.unroll(cell, params, xs, carry, **masks, reverse=reverse)


@partial(jax.jit, static_argnames="reverse")
def run_carries(cell, params, xs, carry, masks, *, reverse=False):
    return lj.unroll_carries(cell, params, xs, carry, **masks, reverse=reverse)


def differentiate(unroll, params, xs, carry):
    """Returns gradients of one loss of ys and the final carry, counters left out."""

    def loss(params, xs, carry):
        leaves = floating(unroll(params, xs, carry))
        return sum(jnp.vdot(jnp.cos(jnp.arange(1.0, 1 + a.size)), a) for a in leaves)

    gradients = jax.grad(loss, argnums=(0, 1, 2), allow_int=True)(params, xs, carry)
    return tuple(floating(gradients))


@partial(jax.jit, static_argnames="reverse")
def gradients_of_run(cell, params, xs, carry, masks, *, reverse=False):
    run_it = partial(run, cell, masks=masks, reverse=reverse)
    return differentiate(run_it, params, xs, carry)


def floating(tree):
    leaves = jax.tree.leaves(tree)
    return [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]


def assert_equal(got, wanted):
    """The same to the last bit."""
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


# --- The loop is the meaning ----------------------------------------------------------


LOOPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lengths": {"lengths": LENGTHS},
    "mask": {"mask": MASK},
    "resets": {"resets": RESETS},
    "everything": EVERYTHING,
    "reverse": {"reverse": True},
    "everything in reverse": EVERYTHING | {"reverse": True},
}


@pytest.mark.parametrize("options", LOOPS.values(), ids=LOOPS)
@for_every_cell
def test_values_equal_those_of_the_python_loop(cell, options):
    params, carry, xs = make_setting(cell)
    wanted = lj.unroll_reference(cell, params, xs, carry, **options)
    assert_close(lj.unroll(cell, params, xs, carry, **options), wanted)


@for_every_cell
def test_the_carry_is_fresh_unless_one_is_given(cell):
    params, _, xs = make_setting(cell)
    fresh = cell.init_carry(params, (BATCH,))
    assert_close(run(cell, params, xs, None, {}), run(cell, params, xs, fresh, {}))


@for_every_cell
def test_steps_per_iteration_change_nothing(cell):
    params, carry, xs = make_setting(cell)
    got = lj.unroll(cell, params, xs, carry, scan_unroll=3, **EVERYTHING)
    assert_close(got, run(cell, params, xs, carry, EVERYTHING))


def test_steps_per_iteration_change_no_carries():
    params, carry, xs = make_setting(lj.RNN)
    got = lj.unroll_carries(lj.RNN, params, xs, carry, scan_unroll=3, **EVERYTHING)
    assert_close(got, run_carries(lj.RNN, params, xs, carry, EVERYTHING))


@both_ways
@for_every_cell
def test_gradients_equal_those_of_the_python_loop(cell, reverse):
    params, carry, xs = make_setting(cell)
    loop = partial(lj.unroll_reference, cell, **EVERYTHING, reverse=reverse)
    got = gradients_of_run(cell, params, xs, carry, EVERYTHING, reverse=reverse)
    assert_close(got, differentiate(loop, params, xs, carry))


@for_every_cell
def test_reverse_is_the_flipped_sequence(cell):
    params, carry, xs = make_setting(cell)
    final, ys = run(cell, params, xs, carry, masks(mask=MASK), reverse=True)
    flipped = run(cell, params, xs[::-1], carry, masks(mask=MASK[::-1]))
    assert_close((final, ys[::-1]), flipped)


@pytest.mark.parametrize("batch_shape", [(), (2, 3)])
@pytest.mark.parametrize("cell", [lj.LSTM, LEAKY], ids=lambda cell: cell.name)
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


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_nothing_that_comes_later_moves_an_output(cell):
    """Nor does anything earlier in reverse; and the input of a step moves its own."""
    params, carry, xs = make_setting(cell)
    for reverse in (False, True):
        _, ys = run(cell, params, xs, carry, {}, reverse=reverse)
        for t in range(TIME):
            moved = run(cell, params, xs.at[t].add(1), carry, {}, reverse=reverse)[1]
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


# --- Masks and lengths ----------------------------------------------------------------


@both_ways
@for_every_cell
def test_nan_in_the_padding_touches_neither_values_nor_gradients(cell, reverse):
    params, carry, xs = make_setting(cell)
    poisoned = jnp.where(COUNTS[..., None], xs, jnp.nan)
    for compute in (run, gradients_of_run):
        clean = compute(cell, params, xs, carry, EVERYTHING, reverse=reverse)
        assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
        got = compute(cell, params, poisoned, carry, EVERYTHING, reverse=reverse)
        assert_equal(got, clean)


@both_ways
@for_every_cell
def test_padding_has_no_gradient(cell, reverse):
    params, carry, xs = make_setting(cell)
    gradients = gradients_of_run(cell, params, xs, carry, EVERYTHING, reverse=reverse)
    (d_xs,) = (leaf for leaf in gradients if leaf.shape == xs.shape)
    assert (d_xs[~COUNTS] == 0).all()
    assert (d_xs[COUNTS] != 0).any()


@both_ways
@for_every_cell
def test_padding_holds_the_carry_and_shows_zeros(cell, reverse):
    params, carry, xs = make_setting(cell)
    padded = masks(lengths=LENGTHS, mask=MASK)
    carries, ys = run_carries(cell, params, xs, carry, padded, reverse=reverse)
    assert (ys[~COUNTS] == 0).all()
    assert (ys[COUNTS] != 0).any()
    for leaf, first in zip(carries, carry, strict=True):
        in_order = np.concatenate([first[None], leaf[::-1] if reverse else leaf])
        held = ~COUNTS[::-1] if reverse else ~COUNTS
        assert_equal(in_order[1:][held], in_order[:-1][held])


def test_a_step_that_does_not_count_may_itself_be_nan():
    """As in a cell that divides by the norm of its input, which is 0 in the padding."""

    def step(params, carry, x):
        return leaky_step(params, carry, x / jnp.linalg.norm(x, axis=-1, keepdims=True))

    cell = dataclasses.replace(LEAKY, step=step)
    params, carry, xs = make_setting(LEAKY)
    got = run(cell, params, xs, carry, EVERYTHING)
    assert_close(got, lj.unroll_reference(cell, params, xs, carry, **EVERYTHING))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(got))


@both_ways
@for_every_cell
def test_length_zero_returns_the_initial_carry_and_zeros(cell, reverse):
    params, carry, xs = make_setting(cell)
    nothing = masks(lengths=np.zeros(BATCH, np.int32))
    final, ys = run(cell, params, xs, carry, nothing, reverse=reverse)
    assert_equal(final, carry)
    assert_equal(ys, jnp.zeros_like(ys))


@for_every_cell
def test_lengths_are_a_shorthand_that_is_and_ed_with_the_mask(cell):
    params, carry, xs = make_setting(cell)
    got = run(cell, params, xs, carry, masks(lengths=LENGTHS, mask=MASK))
    assert_equal(got, run(cell, params, xs, carry, masks(mask=COUNTS)))


def test_lengths_under_jit_are_clipped():
    params, carry, xs = make_setting(lj.LSTM)
    beyond, within = np.array([[99, 3, -3], [TIME, 3, 0]], np.int32)
    got = run(lj.LSTM, params, xs, carry, masks(lengths=beyond))
    assert_equal(got, run(lj.LSTM, params, xs, carry, masks(lengths=within)))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_lengths_may_be_any_integers(dtype, x64):
    params, carry, xs = make_setting(lj.RNN)
    got = lj.unroll(lj.RNN, params, xs, carry, lengths=LENGTHS.astype(dtype))
    wanted = lj.unroll_reference(lj.RNN, params, xs, carry, lengths=LENGTHS)
    assert_close(got, wanted)


# --- Resets ---------------------------------------------------------------------------


@for_every_cell
def test_a_reset_begins_a_new_sequence_from_a_fresh_carry(cell):
    params, carry, xs = make_setting(cell)
    final, ys = run(cell, params, xs, carry, masks(resets=only(2)))
    _, before = lj.unroll_reference(cell, params, xs[:2], carry)
    last, after = lj.unroll_reference(cell, params, xs[2:])
    assert_close((final, ys[:2], ys[2:]), (last, before, after))


@for_every_cell
def test_in_reverse_the_carry_is_renewed_after_the_step(cell):
    params, carry, xs = make_setting(cell)
    final, ys = run(cell, params, xs, carry, masks(resets=only(2)), reverse=True)
    _, first = lj.unroll_reference(cell, params, xs[2:], carry, reverse=True)
    last, then = lj.unroll_reference(cell, params, xs[:2], reverse=True)
    assert_close((final, ys[2:], ys[:2]), (last, first, then))


@for_every_cell
def test_a_reset_at_the_first_step_ignores_the_carry_given(cell):
    params, carry, xs = make_setting(cell)
    fresh = cell.init_carry(params, (BATCH,))
    first = masks(resets=only(0))
    got = run(cell, params, xs, carry, first)
    assert_close(got, run(cell, params, xs, fresh, masks()))
    final, _ = run(cell, params, xs, carry, first, reverse=True)
    assert_equal(final, fresh)


@both_ways
@for_every_cell
def test_a_reset_counts_also_where_its_step_is_masked(cell, reverse):
    params, carry, xs = make_setting(cell)
    skipped = masks(resets=only(2), mask=~only(2))
    _, ys = run(cell, params, xs, carry, skipped, reverse=reverse)
    rest = slice(2) if reverse else slice(3, None)
    _, wanted = lj.unroll_reference(cell, params, xs[rest], reverse=reverse)
    assert_close(ys[rest], wanted)


@both_ways
@for_every_cell
def test_a_reset_where_nothing_counts_returns_a_fresh_carry(cell, reverse):
    params, carry, xs = make_setting(cell)
    nothing = masks(resets=only(2), mask=np.zeros_like(MASK))
    final, _ = run(cell, params, xs, carry, nothing, reverse=reverse)
    assert_equal(final, cell.init_carry(params, (BATCH,)))


@for_every_cell
def test_a_reset_forgets_even_nan(cell):
    params, carry, xs = make_setting(cell)
    resets = masks(resets=only(2))
    _, clean = run(cell, params, xs, carry, resets)
    _, ys = run(cell, params, xs.at[:2].set(jnp.nan), carry, resets)
    assert jnp.isnan(ys[:2]).all()
    assert_equal(ys[2:], clean[2:])


# --- The carry of every step ----------------------------------------------------------


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


# --- A user's cell --------------------------------------------------------------------


def test_a_counter_in_the_carry_counts_the_steps_that_count():
    params, _, xs = make_setting(LEAKY)
    final, ys = lj.unroll(LEAKY, params, xs, lengths=LENGTHS, mask=MASK)
    assert_equal(final.steps, COUNTS.sum(0))
    assert ys.shape == (TIME, BATCH, 1)


def test_a_counter_in_the_carry_starts_again_at_every_reset():
    params, carry, xs = make_setting(LEAKY)
    carry = carry._replace(steps=jnp.full(BATCH, 10))
    carries, _ = run_carries(LEAKY, params, xs, carry, masks(resets=only(2)))
    assert_equal(carries.steps[:, 0], np.array([11, 12, 1, 2, 3]))


def test_a_learned_start_gets_gradient_from_every_sequence_that_begins():
    params, carry, xs = make_setting(LEAKY)

    @jax.grad
    def gradient(start, masks):
        renewed = params._replace(start=start)
        return run(LEAKY, renewed, xs, carry, masks)[0].level.sum()

    assert (gradient(params.start, masks()) == 0).all()
    got = gradient(params.start, masks(resets=only(2)))
    assert_close(got, np.full(HIDDEN, BATCH * params.decay**3))


# --- Compilation ----------------------------------------------------------------------


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


@both_ways
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


# --- Readouts -------------------------------------------------------------------------


def test_last_step_reads_what_each_sequence_showed_last():
    ys = jnp.arange(1.0, 1 + TIME * BATCH * 2).reshape(TIME, BATCH, 2)
    got = readouts.last_step(ys, jnp.asarray(LENGTHS))
    assert_equal(got, np.stack([ys[4, 0], ys[2, 1], np.zeros(2)]))


def test_last_step_without_and_with_two_batch_axes():
    ys = jnp.arange(1.0, 1 + TIME * 6 * 2).reshape(TIME, 2, 3, 2)
    lengths = jnp.array([[1, 2, 3], [0, 4, 5]])
    got = readouts.last_step(ys, lengths)
    for k in np.ndindex(2, 3):
        one = readouts.last_step(ys[:, *k], lengths[k])
        wanted = ys[lengths[k] - 1, *k] if lengths[k] else np.zeros(2)
        assert_equal((got[k], one), (wanted, wanted))


def test_last_step_is_the_final_memory_of_an_rnn():
    params, _, xs = make_setting(lj.RNN)
    final, ys = lj.unroll(lj.RNN, params, xs, lengths=LENGTHS)
    assert_equal(readouts.last_step(ys, jnp.asarray(LENGTHS)), final.h)


# --- What is refused ------------------------------------------------------------------

LSTM_PARAMS, LSTM_CARRY, XS = make_setting(lj.LSTM)
WANTED = "'lstm' wants LSTMCarry(h='float32[3,4]', c='float32[3,4]')"

REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "integer xs": (
        {"xs": np.ones(XS.shape, np.int32)},
        TypeError,
        "xs: dtype is int32; it must be floating",
    ),
    "xs with one axis": (
        {"xs": np.ones(TIME, np.float32)},
        ValueError,
        "xs: shape is (5,); it must be (time, *batch, input) with time >= 1",
    ),
    "an empty sequence": (
        {"xs": np.ones((0, BATCH, INPUT), np.float32)},
        ValueError,
        "xs: shape is (0, 3, 2); it must be (time, *batch, input) with time >= 1",
    ),
    "inputs of another width": (
        {"xs": np.ones((TIME, BATCH, 7), np.float32)},
        ValueError,
        "x: the last axis is 7; these params were made with input_size=2",
    ),
    "a length beyond time": (
        {"lengths": np.array([1, 6, 2])},
        ValueError,
        "lengths: found 6; each must be in [0, 5], the time axis of xs",
    ),
    "a negative length": (
        {"lengths": np.array([1, -1, 2])},
        ValueError,
        "lengths: found -1; each must be in [0, 5], the time axis of xs",
    ),
    "floating lengths": (
        {"lengths": np.ones(BATCH, np.float32)},
        TypeError,
        "lengths: dtype is float32; it must be integer",
    ),
    "two lengths for three examples": (
        {"lengths": np.array([1, 2])},
        ValueError,
        "lengths: shape is (2,); it must be (3,), the batch axes of xs",
    ),
    "one length for all": (
        {"lengths": 3},
        ValueError,
        "lengths: shape is (); it must be (3,), the batch axes of xs",
    ),
    **{
        f"{name} of another dtype": (
            {name: np.ones((TIME, BATCH), dtype)},
            TypeError,
            f"{name}: dtype is {np.dtype(dtype)}; it must be bool",
        )
        for name, dtype in [("mask", np.float32), ("resets", np.int32)]
    },
    **{
        f"{name} with batch first": (
            {name: np.ones((BATCH, TIME), bool)},
            ValueError,
            f"{name}: shape is (3, 5); it must be (5, 3), (time, *batch) of xs",
        )
        for name in ("mask", "resets")
    },
    "a carry of another batch": (
        {"carry": jax.tree.map(lambda leaf: leaf[:2], LSTM_CARRY)},
        ValueError,
        "carry: leaf .h is float32[2,4]; 'lstm' wants float32[3,4] for these",
    ),
    "a carry of another structure": (
        {"carry": tuple(LSTM_CARRY)},
        ValueError,
        f"carry: it is ('float32[3,4]', 'float32[3,4]'); {WANTED}",
    ),
    "a carry of another cell": (
        {"carry": lj.RNNCarry(h=LSTM_CARRY.h)},
        ValueError,
        f"carry: it is RNNCarry(h='float32[3,4]'); {WANTED}",
    ),
    "a carry of another dtype": (
        {"carry": jax.tree.map(lambda a: a.astype(jnp.bfloat16), LSTM_CARRY)},
        ValueError,
        "carry: leaf .h is bfloat16[3,4]; 'lstm' wants float32[3,4] for these",
    ),
}


@pytest.mark.parametrize("unroll", [lj.unroll, lj.unroll_carries])
@pytest.mark.parametrize("case", REFUSED)
def test_unroll_refuses(case, unroll):
    changes, error, message = REFUSED[case]
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        unroll(lj.LSTM, LSTM_PARAMS, **({"xs": XS} | changes))


def test_doubles_with_weights_in_single_precision_are_refused(x64):
    doubles = np.ones((TIME, BATCH, INPUT))
    message = (
        r"carry: leaf \.h enters a step of 'lstm' as float32\[3,4\] and leaves it "
    )
    message += r"as float64\[3,4\]; the two must agree"
    with jax.numpy_dtype_promotion("standard"), pytest.raises(TypeError, match=message):
        lj.unroll(lj.LSTM, LSTM_PARAMS, doubles)


def test_params_are_held_to_a_named_tuple_and_to_no_other_annotation():
    """A step that says `tuple`, or `dict`, says nothing of whose weights it wants."""

    def of(annotation):
        def step(params, h, x):
            return h + params[0] * x, h

        step.__annotations__["params"] = annotation
        return dataclasses.replace(
            LEAKY, name="own", init_carry=lambda p, shape=(): jnp.zeros(1), step=step
        )

    xs, given = jnp.ones((3, 1)), [jnp.float32(2)]
    for annotation in (tuple, dict, "tuple", dict[str, int], None):
        _, hs = lj.unroll(of(annotation), given, xs)
        assert hs[:, 0].tolist() == [0, 2, 4]
    with pytest.raises(TypeError, match="params: got list; 'own' wants RNNParams"):
        lj.unroll(of(lj.RNNParams), given, xs)
