"""Masks, lengths and resets: what they mean to values and to gradients."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from comparing import assert_close
from masked_batch import (
    BATCH,
    COUNTS,
    EVERYTHING,
    LEAKY,
    LENGTHS,
    MASK,
    TIME,
    assert_equal,
    both_ways,
    for_every_cell,
    gradients_of_run,
    leaky_step,
    make_setting,
    masks,
    only,
    run,
    run_carries,
)

import lstm_jax as lj


def reference(cell, *given, **masks):
    """The loop, as one program."""
    return jax.jit(partial(lj.unroll_reference, cell, **masks))(*given)


# ---------------------------------------------------------------------------
# Masks and lengths
# ---------------------------------------------------------------------------


@both_ways
@for_every_cell
def test_nan_in_the_padding_touches_neither_values_nor_gradients(cell, reverse):
    params, carry, xs = make_setting(cell)
    poisoned = np.where(COUNTS[..., None], xs, np.float32(np.nan))
    for compute in (run, gradients_of_run):
        clean = compute(cell, params, xs, carry, EVERYTHING, reverse=reverse)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
        got = compute(cell, params, poisoned, carry, EVERYTHING, reverse=reverse)
        assert_equal(got, clean)


@both_ways
@for_every_cell
def test_padding_has_no_gradient(cell, reverse):
    params, carry, xs = make_setting(cell)
    gradients = gradients_of_run(cell, params, xs, carry, EVERYTHING, reverse=reverse)
    (d_xs,) = (np.asarray(leaf) for leaf in gradients if leaf.shape == xs.shape)
    assert (d_xs[~COUNTS] == 0).all()
    assert (d_xs[COUNTS] != 0).any()


@both_ways
@for_every_cell
def test_padding_holds_the_carry_and_shows_zeros(cell, reverse):
    params, carry, xs = make_setting(cell)
    padded = masks(lengths=LENGTHS, mask=MASK)
    carries, ys = jax.tree.map(
        np.asarray, run_carries(cell, params, xs, carry, padded, reverse=reverse)
    )
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
    assert_close(got, reference(cell, params, xs, carry, **EVERYTHING))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(got))


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


def test_lengths_may_be_any_integers(x64):
    params, carry, xs = make_setting(lj.RNN)
    wanted = reference(lj.RNN, params, xs, carry, lengths=LENGTHS)
    dtypes = (np.int8, np.uint8, np.int16, np.int32, np.int64)

    @jax.jit
    def of_every_kind(*given):
        run = partial(lj.unroll, lj.RNN, *given)
        return [run(lengths=LENGTHS.astype(dtype)) for dtype in dtypes]

    for found in of_every_kind(params, xs, carry):
        assert_close(found, wanted)


# ---------------------------------------------------------------------------
# Resets
# ---------------------------------------------------------------------------


@for_every_cell
def test_a_reset_begins_a_new_sequence_from_a_fresh_carry(cell):
    params, carry, xs = make_setting(cell)
    final, ys = run(cell, params, xs, carry, masks(resets=only(2)))
    _, before = reference(cell, params, xs[:2], carry)
    last, after = reference(cell, params, xs[2:])
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
