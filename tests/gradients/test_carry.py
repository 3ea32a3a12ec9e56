"""Gradients of every carry, and their norms, against the Python loop."""

from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import (
    CELLS,
    GRID,
    HIDDEN,
    INPUT,
    TIME,
    adjoints_of_the_loop,
    at_step,
    both_measures,
    carry_gradients,
    gradient_norms,
    last_along,
    log_gradient_norms,
    make_masks,
    make_sequence,
    measured,
    one_cell,
    sum_of_last,
    weighted_loss,
)
from jax.tree_util import Partial
from numpy.testing import assert_allclose, assert_array_equal
from problems import assert_trees_close, in_float64, make_carry, slow_but

import lstm_jax as lj


def log_norms_of(gradients, batch_axes):
    """ln of the Euclidean norms over all axes after the batch axes, the naive way."""

    def log_norm(gradient):
        axes = tuple(range(1 + batch_axes, gradient.ndim))
        with np.errstate(divide="ignore"):
            return 0.5 * np.log(np.sum(np.abs(gradient) ** 2, axes))

    return jax.tree.map(log_norm, gradients)


READ_STEPS = {"last": [TIME - 1], "every": [*range(TIME)], "chosen": [1, 4]}


def read_at(steps, weights):
    chosen = np.isin(np.arange(TIME), steps).reshape(TIME, *(1,) * (weights.ndim - 1))
    return np.where(chosen, weights, 0)


CASES = ("no batch axis", "masks", "masks, reverse")
FEW = {("lstm", "masks, reverse")}


@in_float64
@pytest.mark.parametrize(
    ("name", "case"), slow_but(FEW, [*product([cell.name for cell in CELLS], CASES)])
)
def test_every_measure_equals_the_adjoints_of_the_python_loop(name, case):
    cell = lj.CELLS[name]
    # Zero probes equal the explicit adjoint recursion.
    batch, masks = ((), {}) if case == "no batch axis" else (GRID, make_masks())
    if masks:
        rng = np.random.default_rng(0)
        masks = make_masks(
            mask=rng.random((TIME, *GRID)) < 0.7,
            resets=rng.random((TIME, *GRID)) < 0.2,
            lengths=np.array([[0, 2], [TIME - 1, TIME]], np.int32),
            reverse=case == "masks, reverse",
        )
    params, xs, weights = make_sequence(cell, batch)
    carry = make_carry(cell, params, batch)
    losses = [weighted_loss(read_at(steps, weights)) for steps in READ_STEPS.values()]
    loop = adjoints_of_the_loop(cell, params, xs, losses, carry, **masks)
    for loss_fn, wanted in zip(losses, loop, strict=True):
        args = (cell, params, xs, loss_fn, carry)
        gradients = carry_gradients(*args, **masks)
        log_norms = log_gradient_norms(*args, **masks)
        naive = log_norms_of(wanted, len(batch))
        assert_trees_close(gradients, wanted, rtol=1e-11, atol=1e-14)
        assert_trees_close(log_norms, naive, rtol=0, atol=1e-11)


@in_float64
@one_cell
def test_log_norms_are_the_logarithms_of_the_norms(cell):
    norms, log_norms = (
        measured_on_the_grid(measure, cell, reverse=True)
        for measure in (gradient_norms, log_gradient_norms)
    )
    assert_trees_close(log_norms, [*map(np.log, norms)], rtol=0, atol=1e-12)


@in_float64
@pytest.mark.parametrize("reverse", slow_but([True], [False, True]))
def test_entry_t_is_the_gradient_of_the_rest_of_the_loop(reverse):
    # The definition: the loop begun again from the carry that enters step t.
    params, xs, weights = make_sequence(lj.LSTM)
    loss_fn = weighted_loss(weights)
    run = partial(lj.unroll_carries, lj.LSTM, reverse=reverse)
    carries, ys = jax.jit(run)(params, xs)
    gradients = carry_gradients(lj.LSTM, params, xs, loss_fn, reverse=reverse)
    t = 3
    rest = slice(None, t + 1) if reverse else slice(t, None)

    def loss(carry):
        _, later = lj.unroll_reference(
            lj.LSTM, params, np.asarray(xs)[rest], carry, reverse=reverse
        )
        return loss_fn(ys.at[rest].set(later))

    before = t + 1 if reverse else t - 1
    entering = jax.tree.map(lambda leaf: np.asarray(leaf)[before], carries)
    at_t = jax.tree.map(lambda leaf: np.asarray(leaf)[t], gradients)
    wanted = jax.jit(jax.grad(loss))(entering)
    assert_trees_close(at_t, wanted, rtol=1e-11, atol=1e-14)


@pytest.mark.slow
@in_float64
def test_the_last_entry_is_one_jacobian_away_from_the_last_carry():
    params, xs, weights = make_sequence(lj.LSTM)
    loss_fn = last_along(weights[-1])
    carries, _ = lj.unroll_carries(lj.LSTM, params, xs)
    entering = jax.tree.map(lambda leaf: leaf[-2], carries)
    wanted = jax.grad(
        lambda carry: loss_fn(lj.LSTM.step(params, carry, xs[-1])[1][None])
    )(entering)
    gradients = carry_gradients(lj.LSTM, params, xs, loss_fn)
    last = jax.tree.map(lambda leaf: leaf[-1], gradients)
    assert_trees_close(last, wanted, rtol=1e-12)


@in_float64
@both_measures
def test_a_sequence_of_one_step_has_one_entry(measure):
    params, xs, _ = make_sequence(lj.RNN)
    result = measure(lj.RNN, params, xs[:1], sum_of_last)
    assert result.h.shape[0] == 1 and np.all(np.isfinite(result.h))


MASKS_ALONE: dict[str, Any] = {
    "lengths": {"lengths": np.array([0, 4], np.int32)},
    "mask": {"mask": np.arange(2 * TIME).reshape(TIME, 2) % 5 > 0},
    "resets": {"resets": np.arange(2 * TIME).reshape(TIME, 2) % 5 == 0},
    "reverse": {"reverse": True},
}


@in_float64
@pytest.mark.parametrize("name", slow_but(["mask"], MASKS_ALONE))
def test_each_mask_works_alone(name):
    params, xs, weights = make_sequence(lj.RNN, (2,))
    loss_fn = weighted_loss(weights)
    masks = MASKS_ALONE[name]
    [wanted] = adjoints_of_the_loop(lj.RNN, params, xs, [loss_fn], **masks)
    gradients = carry_gradients(lj.RNN, params, xs, loss_fn, **masks)
    assert_trees_close(gradients, wanted, rtol=1e-11, atol=1e-14)
    log_norms = log_gradient_norms(lj.RNN, params, xs, loss_fn, **masks)
    assert_trees_close(log_norms, log_norms_of(wanted, 1), rtol=0, atol=1e-11)


def measured_on_the_grid(measure, cell, change_xs=lambda xs: xs, **changes):
    """Leaves of a measure of a loss at the last step run; all masks given."""
    params, xs, weights = make_sequence(cell, GRID)
    last_run = 0 if changes.get("reverse") else TIME - 1
    loss_fn = weighted_loss(read_at([last_run], weights))
    carry, masks = make_carry(cell, params, GRID), make_masks(**changes)
    result = measure(cell, params, change_xs(xs), loss_fn, carry, **masks)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result)]


@in_float64
@one_cell
@both_measures
@pytest.mark.parametrize("reverse", slow_but([True], [False, True]))
def test_nothing_crosses_a_reset(cell, measure, reverse):
    cut = slice(3, None) if reverse else slice(None, 4)
    whole = slice(None, 3) if reverse else slice(4, None)
    nothing = 0 if measure is carry_gradients else -np.inf
    for leaf in measured_on_the_grid(measure, cell, resets=at_step(3), reverse=reverse):
        assert_array_equal(leaf[cut], nothing)
        assert np.all(leaf[whole] != nothing) and np.all(np.isfinite(leaf[whole]))


@in_float64
@one_cell
@both_measures
@pytest.mark.parametrize("reverse", slow_but([True], [False, True]))
def test_a_step_that_does_not_count_hands_the_adjoint_on_untouched(
    cell, measure, reverse
):
    later, sooner = (2, 4) if reverse else (4, 2)
    leaves = measured_on_the_grid(measure, cell, mask=~at_step(3), reverse=reverse)
    for leaf in leaves:
        assert_array_equal(leaf[3], leaf[later])
        assert np.all(leaf[sooner] != leaf[3])


@in_float64
@both_measures
def test_nan_in_the_padding_touches_no_gradient(measure):
    lengths = np.array([[2, 4], [TIME, TIME]], np.int32)
    padding = np.arange(TIME)[:, None, None, None] >= 4 * np.array([[[[1]], [[9]]]])
    clean, dirty = (
        measured_on_the_grid(measure, lj.LSTM, change, lengths=lengths, reverse=True)
        for change in (lambda xs: xs, lambda xs: np.where(padding, np.nan, xs))
    )
    assert_trees_close(dirty, clean, rtol=0)


@in_float64
@both_measures
def test_nan_is_seen_in_its_own_sequence_only(measure):
    params, xs, weights = make_sequence(lj.RNN, (2,))
    dirty = np.array(xs)
    dirty[2, 0] = np.nan
    result = np.asarray(measure(lj.RNN, params, dirty, sum_of_sines(weights)).h)
    # The step that reads NaN poisons what passes through it and comes before it.
    assert np.all(np.isnan(result[:, 0]))
    assert np.all(np.isfinite(result[:, 1]))


@in_float64
@pytest.mark.parametrize(
    "measure",
    [
        pytest.param(lj.carry_gradients, marks=pytest.mark.slow),
        pytest.param(lj.gradient_norms, marks=pytest.mark.slow),
        lj.log_gradient_norms,
    ],
)
def test_eager_equals_jit(measure):
    params, xs, weights = make_sequence(lj.RNN, (2,))
    args = (lj.RNN, params, xs, sum_of_sines(weights))
    assert_trees_close(measured(measure, *args), measure(*args), rtol=1e-12)


def sum_of_sines(weights):
    """A loss in which one sequence does not change another's gradient."""
    return Partial(lambda weights, ys: jnp.sum(weights * jnp.sin(ys)), weights)


@in_float64
@both_measures
def test_vmap_over_sequences_equals_a_batch_axis(measure):
    params, xs, weights = make_sequence(lj.RNN, (2,))
    batched = measure(lj.RNN, params, xs, sum_of_sines(weights))
    vmapped = jax.vmap(
        lambda x, weights: measure(lj.RNN, params, x, sum_of_sines(weights)),
        in_axes=1,
        out_axes=1,
    )(xs, weights)
    assert_trees_close(vmapped, batched, rtol=1e-12)


@pytest.mark.slow
def test_log_norms_of_bfloat16_weights_are_float32(key):
    params = lj.RNN.init(key, INPUT, HIDDEN, dtype=jnp.bfloat16)
    xs = jnp.ones((TIME, INPUT), jnp.bfloat16)
    gradients = carry_gradients(lj.RNN, params, xs, sum_of_last).h
    log_norms = log_gradient_norms(lj.RNN, params, xs, sum_of_last).h
    wanted = log_norms_of(gradients.astype(jnp.float32), 0)
    assert gradients.dtype == jnp.bfloat16 and log_norms.dtype == jnp.float32
    assert_allclose(log_norms, wanted, atol=0.05)
