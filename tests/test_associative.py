"""A sequence as a tree equals the same sequence step by step."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import TODAY
from comparing import assert_close
from problems import draw, drawn_like, slow_but

import lstm_jax as lj
from lstm_jax import associative

LINEAR = [cell for cell in (*lj.CELLS.values(), *TODAY) if cell.transition]
TIME, BATCH, INPUT, HIDDEN = 12, 3, 2, 4
LENGTHS = np.array([TIME, 5, 0])
RESETS, MASK = np.zeros((TIME, BATCH), bool), np.ones((TIME, BATCH), bool)
RESETS[4, 0] = RESETS[7, 1] = True
MASK[2:4, 0] = False
MASKS = {
    "whole": {},
    "lengths": {"lengths": LENGTHS},
    "resets": {"resets": RESETS, "mask": MASK},
    "reverse": {"reverse": True, "resets": RESETS, "lengths": LENGTHS},
    "pieces of five": {"checkpoint_every": 5},
    "pieces of five, reverse": {"checkpoint_every": 5, "reverse": True},
}
in_float64 = pytest.mark.usefixtures("x64")
FORMS = [
    lj.cells.MIN_GRU,
    lj.cells.LRU,
    lj.cells.delta_product(2),
    lj.cells.DELTA_NET,
]
for_every_form = pytest.mark.parametrize(
    "cell", slow_but([lj.cells.LRU], FORMS), ids=lambda cell: cell.name
)
FEW = [(lj.cells.LRU, "resets"), (lj.cells.MIN_GRU, "reverse")]


def problem_of(cell, time=TIME, batch=BATCH, hidden=HIDDEN, dtype=jnp.float64):
    params = new_params(cell, INPUT, hidden, dtype)
    fresh = jax.eval_shape(lambda: cell.init_carry(params, (batch,)))
    drawn = draw(time, batch, INPUT, seed=1), drawn_like(fresh, seed=2)
    return params, *jax.tree.map(lambda leaf: np.asarray(leaf, dtype), drawn)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def new_params(cell, input_size, hidden_size, dtype):
    return cell.init(jax.random.key(0), input_size, hidden_size, dtype=dtype)


@partial(jax.jit, static_argnums=(0,))
def both(cell, params, xs, carry, **masks):
    """(final, ys) as a tree, and step by step."""
    return [
        lj.unroll(cell, params, xs, carry, implementation=name, **masks)
        for name in ("associative", "auto")
    ]


def shown_and_gradients(cell, masks, implementation):
    run = partial(lj.unroll, cell, implementation=implementation, **masks)

    def loss(params, xs, carry):
        final, ys = run(params, xs, carry)
        leaves = [*jax.tree.leaves(final), ys]
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves), (final, ys)

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))


@in_float64
@pytest.mark.parametrize(("cell", "masks"), slow_but(FEW, [*product(LINEAR, MASKS)]))
def test_values_and_gradients_are_those_of_the_scan(cell, masks):
    problem = problem_of(cell)
    as_tree, by_step = (
        shown_and_gradients(cell, MASKS[masks], implementation)(*problem)
        for implementation in ("associative", "auto")
    )
    assert_close(as_tree, by_step)


@in_float64
@for_every_form
def test_a_long_sequence_differs_by_rounding(cell):
    params, xs, carry = problem_of(cell, time=4096, batch=1)
    (final, ys), (wanted, by_step) = both(cell, params, xs, carry)
    scale = np.abs(by_step).max()
    np.testing.assert_allclose(ys / scale, by_step / scale, rtol=0, atol=1e-12)
    for one, other in zip(jax.tree.leaves(final), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * scale)


@pytest.mark.slow
@in_float64
@for_every_form
def test_a_very_long_sequence_differs_by_little(cell):
    params, xs, carry = problem_of(cell, time=65_536, batch=1, hidden=16)
    (_, ys), (_, by_step) = both(cell, params, xs, carry)
    scale = np.abs(by_step).max()
    np.testing.assert_allclose(ys / scale, by_step / scale, rtol=0, atol=1e-10)


@for_every_form
def test_in_float32_within_a_hundred_thousandth_of_the_largest_entry(cell):
    params, xs, carry = problem_of(cell, time=4096, batch=1, dtype=jnp.float32)
    (_, ys), (_, by_step) = both(cell, params, xs, carry)
    scale = np.abs(by_step).max()
    np.testing.assert_allclose(ys / scale, by_step / scale, rtol=0, atol=1e-5)


@in_float64
def test_pieces_make_up_the_whole():
    cell = lj.cells.min_gru(log_space=True)
    params, xs, _ = problem_of(cell)

    @jax.jit
    def in_two_and_whole(params, xs):
        run = partial(lj.unroll, cell, params, implementation="associative")
        carry, first = run(xs[:5])
        final, rest = run(xs[5:], carry)
        return (final, jnp.concatenate([first, rest])), run(xs)

    assert_close(*in_two_and_whole(params, xs))


@in_float64
def test_what_is_nan_in_the_padding_reaches_nothing():
    cell = lj.cells.MIN_GRU
    params, xs, carry = problem_of(cell)
    padding = np.arange(TIME)[:, None] >= LENGTHS
    spoilt = np.where(padding[..., None], np.nan, xs)
    run = shown_and_gradients(cell, {"lengths": LENGTHS}, "associative")
    _, (of_params, _, _) = run(params, spoilt, carry)
    _, (wanted, _, _) = run(params, xs, carry)
    assert_close(of_params, wanted)


@in_float64
def test_a_stack_and_wrappers_that_keep_the_carry_run_as_trees():
    cell = lj.stack(
        lj.learned_carry(lj.cells.LRU),
        lj.residual(lj.cells.MIN_GRU),
        lj.cells.shortcut(lj.cells.MIN_LSTM),
    )
    params = new_params(cell, HIDDEN, HIDDEN, jnp.float64)
    xs = draw(TIME, BATCH, HIDDEN, seed=1)
    assert_close(*both(cell, params, xs, None, lengths=LENGTHS))


@pytest.mark.parametrize(
    "cell",
    [lj.LSTM, lj.zoneout(lj.cells.MIN_GRU, 0.5), lj.cells.SLSTM],
    ids=lambda cell: cell.name,
)
def test_a_cell_that_is_not_linear_in_its_state_is_refused(cell):
    params = cell.init(jax.random.key(0), INPUT, HIDDEN)
    line = f"implementation: got 'associative'; '{cell.name}' has no transition"
    xs = jnp.ones((TIME, BATCH, INPUT))
    with pytest.raises(ValueError) as refusal:
        lj.unroll(cell, params, xs, implementation="associative")
    assert str(refusal.value).startswith(line)


def test_pieces_that_do_not_fit_are_refused():
    cell = lj.cells.MIN_GRU
    params, xs, _ = problem_of(cell, dtype=jnp.float32)
    wanted = r"checkpoint_every: got 13; it must be None or in \[1, 12\]"
    with pytest.raises(ValueError, match=wanted):
        lj.unroll(cell, params, xs, implementation="associative", checkpoint_every=13)


@pytest.mark.parametrize(
    ("time", "length"), [(1, 1), (12, 3), (13, 3), (100, 10), (1024, 32), (1000, 25)]
)
def test_a_piece_is_about_the_square_root_and_divides_if_it_can(time, length):
    assert associative.piece_length(time) == length


@pytest.mark.parametrize(("time", "every"), [(1024, 32), (65536, 32)])
def test_a_gradient_keeps_the_carries_between_pieces_and_14_of_a_piece(time, every):
    """time / k + 14 k carries, beside the input of every step, within a fifth."""
    cell = lj.cells.MIN_GRU
    params = cell.init(jax.random.key(0), 1, 512)

    def loss(params, xs):
        how = {"implementation": "associative", "checkpoint_every": every}
        return lj.unroll(cell, params, xs, **how)[0].h.sum()

    xs = jax.ShapeDtypeStruct((time, 1, 1), jnp.float32)
    memory = jax.jit(jax.grad(loss)).lower(params, xs).compile().memory_analysis()
    assert memory is not None
    carries = (memory.temp_size_in_bytes / 4 - time) / 512
    assert carries == pytest.approx(time / every + 14 * every, rel=0.2)
