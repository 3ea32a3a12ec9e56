"""The gradient laboratory against loops, closed forms and exact arithmetic.

Numbers beside "SCIENCE" are items of the project's list of exact predictions.
"""

import math
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.scaled import ZERO_EXPONENT, Scaled
from lstm_jax.gradients.units import log_gradients

TIME, INPUT, HIDDEN = 6, 3, 4
LONG = 10_000

in_float64 = pytest.mark.usefixtures("x64")
CELLS = [lj.RNN, lj.LSTM, lj.FOUR_GATE]  # test_cells compares the others with oracles
every_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)


# ---------------------------------------------------------------------------
# What the tests share
# ---------------------------------------------------------------------------


def draw(*shape, seed=0):
    """Normal numbers in float64; drawn by NumPy, which has nothing to compile."""
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def make_params(cell) -> Any:
    """Params in float64 without a zero in them: the biases are drawn too."""
    init = partial(cell.init, input_size=INPUT, hidden_size=HIDDEN, dtype=jnp.float64)
    leaves, structure = jax.tree.flatten(jax.eval_shape(init, jax.random.key(0)))
    drawn = [0.5 * draw(*leaf.shape, seed=n) for n, leaf in enumerate(leaves)]
    return structure.unflatten(drawn)


def make_sequence(cell, batch=()):
    """Returns params, xs, and the weights of the loss, all random."""
    xs = draw(TIME, *batch, INPUT, seed=100)
    weights = draw(TIME, *batch, HIDDEN, seed=101)
    return make_params(cell), xs, weights


def make_carry(cell, params, batch=()):
    """A carry with something in it."""
    leaves, structure = jax.tree.flatten(cell.init_carry(params, batch))
    drawn = [draw(*leaf.shape, seed=200 + n) for n, leaf in enumerate(leaves)]
    return structure.unflatten(drawn)


GRID = (2, 2)


def make_masks(**changes: Any) -> dict[str, Any]:
    """All the masks of a batch GRID; those that are not given change nothing."""
    return {
        "mask": jnp.ones((TIME, *GRID), bool),
        "resets": jnp.zeros((TIME, *GRID), bool),
        "lengths": jnp.full(GRID, TIME, jnp.int32),
        "reverse": False,
    } | changes


def at_step(*steps):
    """True at these steps of every sequence of GRID."""
    flags = np.isin(np.arange(TIME), steps)
    return jnp.asarray(np.broadcast_to(flags[:, None, None], (TIME, *GRID)))


# Losses are pytrees, so that they pass through jit with the arrays they hold.


def weighted_loss(weights):
    """A loss in which no step is on its own; weights choose the steps that count."""
    return Partial(_weighted_sines, weights)


def _weighted_sines(weights, ys):
    return jnp.sqrt(1 + jnp.sum(weights * jnp.sin(ys)) ** 2)


def last_along(direction):
    return Partial(_last_along, direction)


def _last_along(direction, ys):
    return jnp.sum(ys[-1] * direction)


@Partial
def sum_of_last(ys):
    return jnp.sum(ys[-1])


@partial(jax.jit, static_argnames="reverse")
def one_step(cell, params, carry, x, mask, resets, reverse):
    """Step t of the Python loop: the rules for time, written down once more."""

    def where(flags, yes, no):
        return jax.tree.map(lambda a, b: jnp.where(flags[..., None], a, b), yes, no)

    fresh = cell.init_carry(params, x.shape[:-1])
    if not reverse:
        carry = where(resets, fresh, carry)
    new, y = cell.step(params, carry, jnp.where(mask[..., None], x, 0))
    carry = where(mask, new, carry)
    if reverse:
        carry = where(resets, fresh, carry)
    return carry, jnp.where(mask[..., None], y, 0)


@partial(jax.jit, static_argnames="reverse")
def one_step_back(cell, params, carry, x, cotangents, **rules):
    step = lambda carry: one_step(cell, params, carry, x, **rules)
    return jax.vjp(step, carry)[1](cotangents)[0]


def adjoints_of_the_loop(cell, params, xs, loss_fns, carry=None, **masks):
    """One vjp for every step of the Python loop, chained by hand; for each loss.

    a_t = J_tᵀ a_{t+1} + C_tᵀ dL/dy_t, with J_t and C_t the Jacobians of carry and y.
    """
    steps, reverse = xs.shape[:-1], masks.get("reverse", False)
    counts = np.asarray(masks.get("mask", np.ones(steps, bool)))
    if "lengths" in masks:
        counts = counts & np.array([t < masks["lengths"] for t in range(TIME)])
    resets = np.asarray(masks.get("resets", np.zeros(steps, bool)))

    def inputs(t):
        rules = {"mask": counts[t], "resets": resets[t], "reverse": reverse}
        return (cell, params, entering[t], xs[t]), rules

    order = range(TIME)[:: -1 if reverse else 1]
    carry = cell.init_carry(params, steps[1:]) if carry is None else carry
    ys, entering = {}, {}
    for t in order:
        entering[t] = carry
        args, rules = inputs(t)
        carry, ys[t] = one_step(*args, **rules)

    def pulled_back(loss_fn):
        dys = jax.grad(loss_fn)(jnp.stack([ys[t] for t in range(TIME)]))
        adjoint, entries = jax.tree.map(jnp.zeros_like, carry), {}
        for t in reversed(order):
            args, rules = inputs(t)
            adjoint = one_step_back(*args, (adjoint, dys[t]), **rules)
            entries[t] = adjoint
        return jax.tree.map(
            lambda *parts: np.stack(parts), *(entries[t] for t in range(TIME))
        )

    return [pulled_back(loss_fn) for loss_fn in loss_fns]


@partial(jax.jit, static_argnames=("measure", "reverse"))
def measured(measure, cell, params, xs, loss_fn, carry=None, **masks):
    """One of the laboratory's functions under jit: equal shapes share a compilation."""
    return measure(cell, params, xs, loss_fn, carry, **masks)


carry_gradients = partial(measured, lj.carry_gradients)
gradient_norms = partial(measured, lj.gradient_norms)
log_gradient_norms = partial(measured, lj.log_gradient_norms)
first_step_signal = jax.jit(lj.gradients.first_step_signal, static_argnums=(3, 5))
both_measures = pytest.mark.parametrize(
    "measure",
    [carry_gradients, log_gradient_norms],
    ids=["carry_gradients", "log_gradient_norms"],
)


def log_norms_of(gradients, batch_axes):
    """ln of the Euclidean norms over all axes after the batch axes, the naive way."""

    def log_norm(gradient):
        axes = tuple(range(1 + batch_axes, gradient.ndim))
        with np.errstate(divide="ignore"):
            return 0.5 * np.log(np.sum(np.abs(gradient) ** 2, axes))

    return jax.tree.map(log_norm, gradients)


def assert_trees_close(actual, wanted, **tolerance):
    assert jax.tree.structure(actual) == jax.tree.structure(wanted)
    jax.tree.map(partial(assert_allclose, **tolerance), actual, wanted)


def make_cell(init_carry, step):
    """A cell that a user wrote; its params are made by the test."""
    return lj.Cell(name="own", init=lambda *_: (), init_carry=init_carry, step=step)


LINEAR = lj.rnn("linear")


def rnn_params(w_hh):
    """An RNN that reads nothing: zero w_ih for inputs of width 1, zero biases."""
    zeros = jnp.zeros((len(w_hh),), w_hh.dtype)
    return lj.RNNParams(w_ih=zeros[None], w_hh=w_hh, b=zeros)


def rotation(size, dtype: Any = np.float64):
    """A random orthogonal matrix."""
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))
    return jnp.asarray(q.astype(dtype))


def silence(time, batch=(), dtype: Any = jnp.float64):
    """Inputs that say nothing."""
    return jnp.zeros((time, *batch, 1), dtype)


def lags(time):
    """The number of Jacobians behind every entry: T - t."""
    return time - np.arange(time)


# ---------------------------------------------------------------------------
# Every cell against the Python loop
# ---------------------------------------------------------------------------

READ_STEPS = {"last": [TIME - 1], "every": [*range(TIME)], "chosen": [1, 4]}


def read_at(steps, weights):
    return jnp.zeros_like(weights).at[np.array(steps)].set(weights[np.array(steps)])


@in_float64
@every_cell
@pytest.mark.parametrize("case", ["no batch axis", "masks", "masks, reverse"])
def test_every_measure_equals_the_adjoints_of_the_python_loop(cell, case):
    # SCIENCE 5: zero probes equal the explicit adjoint recursion.
    batch, masks = ((), {}) if case == "no batch axis" else (GRID, make_masks())
    if masks:
        rng = np.random.default_rng(0)
        masks = make_masks(
            mask=jnp.asarray(rng.random((TIME, *GRID)) < 0.7),
            resets=jnp.asarray(rng.random((TIME, *GRID)) < 0.2),
            lengths=jnp.array([[0, 2], [TIME - 1, TIME]], jnp.int32),
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
@every_cell
def test_log_norms_are_the_logarithms_of_the_norms(cell):
    params, xs, weights = make_sequence(cell)
    args = (cell, params, xs, weighted_loss(weights), make_carry(cell, params))
    norms, log_norms = gradient_norms(*args), log_gradient_norms(*args)
    logarithms = jax.tree.map(np.log, norms)
    assert_trees_close(log_norms, logarithms, rtol=0, atol=1e-12)


@in_float64
@pytest.mark.parametrize("reverse", [False, True])
def test_entry_t_is_the_gradient_of_the_rest_of_the_loop(reverse):
    # The definition: the loop begun again from the carry that enters step t.
    params, xs, weights = make_sequence(lj.LSTM)
    loss_fn = weighted_loss(weights)
    carries, ys = lj.unroll_carries(lj.LSTM, params, xs, reverse=reverse)
    gradients = carry_gradients(lj.LSTM, params, xs, loss_fn, reverse=reverse)
    t = 3
    rest = slice(None, t + 1) if reverse else slice(t, None)

    @jax.jit
    def loss(carry):
        _, later = lj.unroll_reference(
            lj.LSTM, params, xs[rest], carry, reverse=reverse
        )
        return loss_fn(ys.at[rest].set(later))

    entering = jax.tree.map(lambda leaf: leaf[t + 1 if reverse else t - 1], carries)
    at_t = jax.tree.map(lambda leaf: leaf[t], gradients)
    assert_trees_close(at_t, jax.grad(loss)(entering), rtol=1e-11, atol=1e-14)


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


@in_float64
@pytest.mark.parametrize("reverse", [False, True])
def test_log_gradients_are_the_logarithms_of_every_unit(reverse):
    params, xs, weights = make_sequence(lj.LSTM, GRID)
    lengths = jnp.array([[0, 2], [TIME - 1, TIME]], jnp.int32)
    masks = make_masks(lengths=lengths, resets=at_step(2), reverse=reverse)
    carry = make_carry(lj.LSTM, params, GRID)
    args = (lj.LSTM, params, xs, weighted_loss(weights), carry)
    gradients = carry_gradients(*args, **masks)
    with np.errstate(divide="ignore"):
        wanted = jax.tree.map(lambda g: np.log(np.abs(g)), gradients)
    found = measured(log_gradients, *args, **masks)
    assert_trees_close(found, wanted, rtol=0, atol=1e-11)
    assert np.any(found.c == -np.inf) and np.any(np.isfinite(found.c))


def test_units_that_fade_apart_all_come_out_right():
    """A linear net of three units, of which 0 feeds 1; down to 1e-9000 in float32.

    a_t = W^n 1 with n = T - t: w_jj^n of units 1 and 2, and of unit 0, with e = W_01,
    w_00^n + e (w_11^n - w_00^n) / (w_11 - w_00).
    """
    time, w, e = 3000, np.array([0.1, 0.9, 1e-3]), 1e-20
    w_hh = np.diag(w)
    w_hh[0, 1] = e
    params = rnn_params(jnp.asarray(w_hh, jnp.float32))
    xs = silence(time, dtype=jnp.float32)
    found = measured(log_gradients, LINEAR, params, xs, sum_of_last).h
    n = lags(time)
    by_itself = n[:, None] * np.log(w)
    fed = np.log(e / (w[1] - w[0])) + by_itself[:, 1] + np.log1p(-((w[0] / w[1]) ** n))
    assert_allclose(found[:, 0], np.logaddexp(by_itself[:, 0], fed), rtol=1e-6)
    assert_allclose(found[:, 1:], by_itself[:, 1:], rtol=1e-6)


MASKS_ALONE: dict[str, Any] = {
    "lengths": {"lengths": np.array([0, 4], np.int32)},
    "mask": {"mask": np.arange(2 * TIME).reshape(TIME, 2) % 5 > 0},
    "resets": {"resets": np.arange(2 * TIME).reshape(TIME, 2) % 5 == 0},
    "reverse": {"reverse": True},
}


@in_float64
@pytest.mark.parametrize("name", MASKS_ALONE)
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
    return jax.tree.leaves(result)


@in_float64
@every_cell
@both_measures
@pytest.mark.parametrize("reverse", [False, True])
def test_nothing_crosses_a_reset(cell, measure, reverse):
    cut = slice(3, None) if reverse else slice(None, 4)
    whole = slice(None, 3) if reverse else slice(4, None)
    nothing = 0 if measure is carry_gradients else -np.inf
    for leaf in measured_on_the_grid(measure, cell, resets=at_step(3), reverse=reverse):
        assert_array_equal(leaf[cut], nothing)
        assert np.all(leaf[whole] != nothing) and np.all(np.isfinite(leaf[whole]))


@in_float64
@every_cell
@both_measures
def test_a_step_that_does_not_count_hands_the_adjoint_on_untouched(cell, measure):
    for leaf in measured_on_the_grid(measure, cell, mask=~at_step(3)):
        assert_array_equal(leaf[3], leaf[4])
        assert np.all(leaf[2] != leaf[3])


@in_float64
@both_measures
def test_nan_in_the_padding_touches_no_gradient(measure):
    lengths = jnp.array([[2, 4], [TIME, TIME]], jnp.int32)
    clean, dirty = (
        measured_on_the_grid(measure, lj.LSTM, change, lengths=lengths)
        for change in (lambda xs: xs, lambda xs: xs.at[4:, 0].set(jnp.nan))
    )
    assert_trees_close(dirty, clean, rtol=0)


@in_float64
@both_measures
def test_nan_is_seen_in_its_own_sequence_only(measure):
    params, xs, weights = make_sequence(lj.RNN, (2,))
    dirty = xs.at[2, 0].set(jnp.nan)
    result = measure(lj.RNN, params, dirty, sum_of_sines(weights)).h
    # The step that reads NaN poisons what passes through it and comes before it.
    assert np.all(np.isnan(result[:, 0]))
    assert np.all(np.isfinite(result[:, 1]))


@in_float64
@pytest.mark.parametrize(
    "measure", [lj.carry_gradients, lj.gradient_norms, lj.log_gradient_norms]
)
def test_eager_equals_jit(measure):
    params, xs, weights = make_sequence(lj.RNN)
    args = (lj.RNN, params, xs, weighted_loss(weights))
    assert_trees_close(measured(measure, *args), measure(*args), rtol=1e-12)


def sum_of_sines(weights):
    """A loss in which one sequence does not change another's gradient."""
    return Partial(lambda weights, ys: jnp.sum(weights * jnp.sin(ys)), weights)


@in_float64
@both_measures
def test_vmap_over_sequences_equals_a_batch_axis(measure):
    params, xs, weights = make_sequence(lj.RNN, (3,))
    batched = measure(lj.RNN, params, xs, sum_of_sines(weights))
    vmapped = jax.vmap(
        lambda x, weights: measure(lj.RNN, params, x, sum_of_sines(weights)),
        in_axes=1,
        out_axes=1,
    )(xs, weights)
    assert_trees_close(vmapped, batched, rtol=1e-12)


NOT_A_LOSS = {
    "one number per step": lambda ys: jnp.sum(ys, -1),
    "an array of one number": lambda ys: jnp.sum(ys)[None],
    "complex": lambda ys: jax.lax.complex(jnp.sum(ys), jnp.sum(ys)),
    "integer": lambda ys: jnp.argmax(ys[-1]),
}


@in_float64
@both_measures
@pytest.mark.parametrize("loss", NOT_A_LOSS)
def test_what_is_not_one_real_number_is_refused(measure, loss):
    params, xs, _ = make_sequence(lj.RNN)
    with pytest.raises(ValueError, match=r"loss_fn: .* one real number"):
        measure(lj.RNN, params, xs, Partial(NOT_A_LOSS[loss]))


def test_log_norms_of_bfloat16_weights_are_float32(key):
    params = lj.RNN.init(key, INPUT, HIDDEN, dtype=jnp.bfloat16)
    xs = jnp.ones((TIME, INPUT), jnp.bfloat16)
    gradients = carry_gradients(lj.RNN, params, xs, sum_of_last).h
    log_norms = log_gradient_norms(lj.RNN, params, xs, sum_of_last).h
    wanted = log_norms_of(gradients.astype(jnp.float32), 0)
    assert gradients.dtype == jnp.bfloat16 and log_norms.dtype == jnp.float32
    assert_allclose(log_norms, wanted, atol=0.05)


# ---------------------------------------------------------------------------
# Carries that a user might write
# ---------------------------------------------------------------------------


class Counting(NamedTuple):
    h: Any
    count: Any


class Noisy(NamedTuple):
    h: Any
    key: Any


def counting_step(params, carry, x):
    h = carry.h / (1 + carry.count).astype(x.dtype)[..., None] + x
    return Counting(h, carry.count + 1), h


def noisy_step(params, carry, x):
    key_now, key_next = jnp.moveaxis(jax.vmap(jax.random.split)(carry.key), 1, 0)
    kept = jax.vmap(partial(jax.random.uniform, dtype=x.dtype))(key_now)
    h = kept[..., None] * carry.h + x
    return Noisy(h, key_next), h


COUNTING = make_cell(
    lambda params, batch=(): Counting(
        jnp.zeros((*batch, 1), params.dtype), jnp.zeros(batch, jnp.int32)
    ),
    counting_step,
)
NOISY = make_cell(
    lambda params, batch=(): Noisy(
        jnp.zeros((*batch, 1), params.dtype),
        jax.random.split(jax.random.key(7), batch),
    ),
    noisy_step,
)


def factors_of_counting():
    """What step t multiplies h by, (time, batch)."""
    return np.repeat(1 / np.arange(1, TIME + 1), 2).reshape(TIME, 2)


def factors_of_noise():
    keys = jax.random.split(jax.random.key(7), (2,))
    factors = []
    for _ in range(TIME):
        key_now, keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        factors.append([jax.random.uniform(k, dtype=jnp.float64) for k in key_now])
    return np.array(factors)


@in_float64
@pytest.mark.parametrize(
    "cell, factors",
    [(COUNTING, factors_of_counting), (NOISY, factors_of_noise)],
    ids=["integer counter", "typed key"],
)
def test_leaves_without_a_gradient_are_carried_along_and_left_out(cell, factors):
    args = (cell, jnp.ones(()), silence(TIME, (2,)), sum_of_last)
    wanted = np.cumprod(factors()[::-1], axis=0)[::-1]
    gradients, log_norms, norms = (
        measure(*args)
        for measure in (carry_gradients, log_gradient_norms, gradient_norms)
    )
    assert gradients[1] is log_norms[1] is norms[1] is None
    assert (
        type(gradients)
        is type(log_norms)
        is type(norms)
        is type(cell.init_carry(jnp.ones(()), (2,)))
    )
    assert_allclose(gradients.h[..., 0], wanted, rtol=1e-12)
    assert_allclose(norms.h, wanted, rtol=1e-12)
    assert_allclose(log_norms.h, np.log(wanted), rtol=0, atol=1e-12)


@in_float64
def test_leaves_without_a_gradient_live_with_masks_and_resets():
    args = (COUNTING, jnp.ones(()), silence(TIME, (1,)), sum_of_last)
    t = jnp.arange(TIME)[:, None]
    # Counts 0 1 2 0 - 1: the step that does not count does not count.
    log_norms = log_gradient_norms(*args, resets=t == 3, mask=t != 4).h
    wanted = [-np.inf] * 4 + [np.log(1 / 2)] * 2
    assert_allclose(log_norms[:, 0], wanted, atol=1e-12)


class Shaped(NamedTuple):
    number: Any
    matrix: Any


@in_float64
def test_leaves_of_any_shape_have_one_norm_per_sequence():
    # A number and a matrix per sequence, each multiplied by its own factor.
    cell = make_cell(
        lambda params, batch=(): Shaped(jnp.zeros(batch), jnp.zeros((*batch, 2, 3))),
        lambda params, c, x: (
            Shaped(0.5 * c.number, 0.8 * c.matrix),
            jnp.stack([0.5 * c.number, 0.8 * jnp.sum(c.matrix, (-2, -1))], -1) + x,
        ),
    )
    args = (cell, (), silence(TIME, (2,)), sum_of_last)
    gradients, norms, logs = (
        measure(*args)
        for measure in (carry_gradients, gradient_norms, log_gradient_norms)
    )
    assert gradients.matrix.shape == (TIME, 2, 2, 3)
    for leaf, first, rate in (("number", 1, 0.5), ("matrix", np.sqrt(6), 0.8)):
        wanted = np.stack([first * rate ** lags(TIME)] * 2, axis=1)
        assert_allclose(getattr(norms, leaf), wanted, rtol=1e-12)
        assert_allclose(getattr(logs, leaf), np.log(wanted), rtol=0, atol=1e-12)


@in_float64
def test_a_complex_leaf_counts_as_two_reals():
    # z' = λ z turns and shrinks the adjoint of (Re z, Im z) by |λ| per step.
    eigenvalues = jnp.array([0.9 * jnp.exp(2.0j), 0.5 * jnp.exp(-0.3j)])
    cell = make_cell(
        lambda params, batch=(): jnp.zeros((*batch, 2), params.dtype),
        lambda params, z, x: (params * z, jnp.real(params * z) + x),
    )
    direction = jnp.array([3.0, -4.0])
    args = (cell, eigenvalues, silence(TIME), last_along(direction))
    sizes = np.abs(eigenvalues) ** lags(TIME)[:, None] * np.abs(direction)
    wanted = np.linalg.norm(sizes, axis=-1)
    assert_allclose(np.abs(carry_gradients(*args)), sizes, rtol=1e-12)
    assert_allclose(gradient_norms(*args), wanted, rtol=1e-12)
    assert_allclose(log_gradient_norms(*args), np.log(wanted), atol=1e-12)


# ---------------------------------------------------------------------------
# Closed forms: linear networks (SCIENCE 1, 2, 6, 24)
# ---------------------------------------------------------------------------


@in_float64
def test_a_scaled_rotation_fades_by_its_scale_in_every_direction():
    # SCIENCE 1.
    direction = draw(5, 8)
    args = (
        LINEAR,
        rnn_params(0.9 * rotation(8)),
        silence(100, (5,)),
        last_along(direction),
    )
    whole = np.linalg.norm(direction, axis=-1)
    wanted = 0.9 ** lags(100)[:, None] * whole
    assert_allclose(gradient_norms(*args).h, wanted, rtol=1e-12)
    log_norms = log_gradient_norms(*args).h
    assert_allclose(log_norms, np.log(wanted), rtol=1e-13, atol=1e-12)
    assert_allclose(np.exp(log_norms[0]) / whole, 2.6561e-5, rtol=2e-5)
    assert_allclose(lj.decay_rate(log_norms), np.log(0.9), rtol=1e-12)


@in_float64
def test_a_jordan_block_grows_before_it_fades():
    # SCIENCE 2: [[l, a], [0, l]]^k = [[l^k, k a l^(k-1)], [0, l^k]].
    rate, push, time = 0.9, 5.0, 200
    block = jnp.array([[rate, push], [0, rate]])
    args = (LINEAR, rnn_params(block.T), silence(time), last_along(jnp.eye(2)[0]))
    k = lags(time)
    wanted = np.stack([rate**k, k * push * rate ** (k - 1)], axis=-1)
    gradients = carry_gradients(*args).h
    norms = np.linalg.norm(wanted, axis=-1)
    assert_allclose(gradients, wanted, rtol=1e-12)
    assert_allclose(log_gradient_norms(*args).h, np.log(norms), atol=1e-12)
    by_lag = np.asarray(gradients)[::-1, 1]
    assert np.argmax(by_lag) + 1 in (9, 10)
    assert_allclose(by_lag[9 - 1], by_lag[10 - 1], rtol=1e-12)
    assert norms[0] < 1 < norms[-1] < by_lag[9 - 1]


def test_ten_thousand_float32_steps_do_not_bend_the_slope():
    # SCIENCE 6: at 0.5 the norm is 1e-3010 and at 2.0 it is 1e+3010.
    scales = np.array([0.5, 0.9, 1.1, 2.0], np.float32)
    direction = draw(8).astype(jnp.float32)
    xs = silence(LONG, dtype=jnp.float32)

    def log_norms_at(scale):
        params = rnn_params(scale * rotation(8, np.float32))
        return log_gradient_norms(LINEAR, params, xs, last_along(direction)).h

    log_norms = jax.vmap(log_norms_at, out_axes=1)(scales)
    rates = np.log(scales.astype(np.float64))
    assert_allclose(lj.decay_rate(log_norms), rates, rtol=0, atol=1e-6)
    wanted = LONG * rates + np.log(np.linalg.norm(direction))
    assert_allclose(log_norms[0], wanted, rtol=2e-6)


def test_naive_norms_underflow_where_log_norms_do_not():
    params = rnn_params(jnp.float32(0.5) * rotation(8, np.float32))
    xs = silence(LONG, dtype=jnp.float32)
    norms = gradient_norms(LINEAR, params, xs, sum_of_last).h
    assert norms[0] == 0
    # Not where the sum of squares would: 0.5^100 is 8e-31, its square is 0.
    assert_allclose(norms[-100] / norms[-1], 0.5**99, rtol=1e-5)
    log_norms = log_gradient_norms(LINEAR, params, xs, sum_of_last).h
    assert np.all(np.isfinite(log_norms))


def exact_rotation():
    """An orthogonal 8x8 matrix without a rounding error in it."""
    reflection = np.eye(4) - 0.5
    return jnp.asarray(np.roll(np.kron(np.eye(2), reflection), 1, axis=0))


@in_float64
def test_a_rotation_keeps_the_norm_for_ten_thousand_steps():
    # SCIENCE 24.
    params, direction = rnn_params(exact_rotation()), draw(8)
    log_norms = log_gradient_norms(
        LINEAR, params, silence(LONG), last_along(direction)
    ).h
    wanted = np.log(np.linalg.norm(direction))
    assert_allclose(log_norms, wanted, rtol=0, atol=1e-12)


@in_float64
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_behind_a_squash_a_rotation_can_only_shrink(activation):
    # SCIENCE 24.
    params = rnn_params(rotation(8))._replace(w_ih=draw(1, 8, seed=1))
    xs, direction = draw(50, 4, 1, seed=2), draw(4, 8, seed=3)
    log_norms = np.asarray(
        log_gradient_norms(lj.rnn(activation), params, xs, last_along(direction)).h
    )
    ended = np.log(np.linalg.norm(direction, axis=-1))
    later = np.concatenate([log_norms[1:], ended[None]])
    assert np.all(log_norms <= later + 1e-12)
    assert np.all(log_norms[0] < ended - 0.1)


@in_float64
def test_an_irnn_without_input_keeps_the_gradient_of_its_active_units():
    # SCIENCE 24: relu, W = I.
    carry = lj.RNNCarry(h=jnp.array([1.0, -1.0, 0.5, -0.1, 2.0]))
    direction = jnp.array([0.3, 0.7, -2.0, 1.0, 1.5])
    args = (
        lj.rnn("relu"),
        rnn_params(jnp.eye(5)),
        silence(300),
        last_along(direction),
        carry,
    )
    active = jnp.where(carry.h > 0, direction, 0)
    wanted = np.broadcast_to(active, (300, 5))
    assert_array_equal(carry_gradients(*args).h, wanted)
    log_norms = log_gradient_norms(*args).h
    assert_allclose(log_norms, np.log(np.linalg.norm(active)), rtol=0, atol=1e-14)


# ---------------------------------------------------------------------------
# Bounds and backpropagation by hand (SCIENCE 3, 5)
# ---------------------------------------------------------------------------

STEEPEST = {"tanh": 1.0, "relu": 1.0, "logistic": 0.25, "linear": 1.0}


@in_float64
@pytest.mark.parametrize("activation", STEEPEST)
def test_the_bound_of_pascanu_is_never_violated(activation):
    # SCIENCE 3: ||dL/dh_{T-k}|| <= (γ s_max)^k ||dL/dh_T||.
    time, nets = 40, 20
    gains = np.repeat([0.1, 0.5, 1.0, 2.0, 4.0], nets // 5)
    params = lj.RNNParams(
        w_ih=draw(nets, 3, 8, seed=1),
        w_hh=gains[:, None, None] * draw(nets, 8, 8, seed=2) / np.sqrt(8),
        b=draw(nets, 8, seed=3),
    )
    xs, direction = draw(nets, time, 3, seed=4), draw(nets, 8, seed=5)
    log_norms = jax.vmap(
        lambda params, xs, direction: (
            log_gradient_norms(lj.rnn(activation), params, xs, last_along(direction)).h
        )
    )(params, xs, direction)
    largest = np.linalg.norm(params.w_hh, 2, axis=(1, 2))
    per_step = np.log(STEEPEST[activation] * largest)[:, None]
    whole = np.log(np.linalg.norm(direction, axis=-1))[:, None]
    assert np.all(log_norms <= lags(time) * per_step + whole + 1e-12)


@in_float64
@pytest.mark.parametrize("reads", ["last step", "every step"])
def test_carry_gradients_make_up_the_weight_gradients(reads):
    # SCIENCE 5: dL/dW = Σ_t h_{t-1}ᵀ (dL/dh_t * φ'(a_t)). Of dL/dh_t, entry t + 1 is
    # what comes back from later steps, and dL/dy_t what is read at once.
    params, xs, weights = make_sequence(lj.RNN, (3,))
    if reads == "last step":
        weights = weights.at[:-1].set(0)
    loss_fn = weighted_loss(weights)
    loss_of = lambda params: loss_fn(lj.unroll(lj.RNN, params, xs)[1])
    wanted = jax.grad(loss_of)(params)

    h = lj.unroll_carries(lj.RNN, params, xs)[0].h
    entering = jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])
    back = carry_gradients(lj.RNN, params, xs, loss_fn).h
    later = jnp.concatenate([back[1:], jnp.zeros_like(back[:1])])
    delta = (later + jax.grad(loss_fn)(h)) * (1 - h**2)
    by_hand = lj.RNNParams(
        w_ih=jnp.einsum("tbi,tbh->ih", xs, delta),
        w_hh=jnp.einsum("tbi,tbh->ih", entering, delta),
        b=jnp.einsum("tbh->h", delta),
    )
    assert_trees_close(by_hand, wanted, rtol=1e-12, atol=1e-14)


# ---------------------------------------------------------------------------
# The LSTM's carousel alone (SCIENCE 19)
# ---------------------------------------------------------------------------

ZERO_WEIGHTS = {  # b_f: dc_T/dc_0 at T = 100, steps of half-life, 1 / (1 - f)
    0.0: (7.889e-31, 1.0, 2.0),
    1.0: (2.484e-14, 2.213, 3.7183),
    2.0: (3.073e-6, 5.461, 8.389),
    3.0: (7.760e-3, 14.27, 21.09),
    5.0: (0.5109, 103.2, 149.4),
}


@in_float64
def test_an_lstm_without_weights_fades_by_its_forget_gate():
    # SCIENCE 19: dc_T/dc_0 = σ(b_f)^T. With c = 0 the use gate passes on
    # dh/dc = σ(0) tanh'(0) = 1/2, and nothing at all reaches h.
    time, hidden = 100, 4
    biases, one = np.array([*ZERO_WEIGHTS]), jnp.eye(hidden)[0]

    def of_bias(measure, forget_bias):
        b = jnp.zeros((4 * hidden,)).at[hidden : 2 * hidden].set(forget_bias)
        params = lj.LSTMParams(
            w_ih=jnp.zeros((1, 4 * hidden)), w_hh=jnp.zeros((hidden, 4 * hidden)), b=b
        )
        return measure(lj.LSTM, params, silence(time), last_along(one))

    norms, log_norms = (
        jax.vmap(partial(of_bias, measure), out_axes=1)(biases)
        for measure in (gradient_norms, log_gradient_norms)
    )
    survive, half_lives, forget_after = np.transpose([*ZERO_WEIGHTS.values()])
    gates = 1 / (1 + np.exp(-biases))
    rates = lj.decay_rate(log_norms.c)

    wanted = np.outer(lags(time), np.log(gates)) + np.log(0.5)
    assert_allclose(log_norms.c, wanted, rtol=1e-12)
    assert_allclose(2 * norms.c[0], survive, rtol=3e-4)
    assert_array_equal(log_norms.h, -np.inf)
    assert_allclose(rates, np.log(gates), rtol=1e-12)
    assert_allclose([lj.half_life(rate) for rate in rates], half_lives, rtol=3e-4)
    assert_allclose(1 / (1 - np.exp(rates)), forget_after, rtol=3e-4)
    # Half is never left within 100 steps at b_f = 5.
    horizons = lj.horizon(log_norms.c, 0.5)
    assert_allclose(horizons, [*half_lives[:-1], np.inf], rtol=3e-4)


# ---------------------------------------------------------------------------
# Two leaves that fade at different rates
# ---------------------------------------------------------------------------


class TwoLeaves(NamedTuple):
    fast: Any
    slow: Any


class TwoRates(NamedTuple):
    fast: Any
    slow: Any
    slow_into_fast: Any
    fast_into_slow: Any


def two_leaf_step(params, carry, x):
    fast = params.fast * carry.fast + params.slow_into_fast * carry.slow
    slow = params.slow * carry.slow + params.fast_into_slow * carry.fast
    return TwoLeaves(fast, slow), jnp.concatenate([fast, slow], -1)


TWO_LEAVES = make_cell(
    lambda params, batch=(): TwoLeaves(
        jnp.zeros((*batch, 1), params.fast.dtype),
        jnp.zeros((*batch, 1), params.fast.dtype),
    ),
    two_leaf_step,
)


def two_leaf_log_norms(reads, **coupling):
    """T = 10 000 in float32; `reads` says how much of each leaf the loss reads."""
    couplings = {"slow_into_fast": 0.0, "fast_into_slow": 0.0, **coupling}
    rates = {"fast": 0.5, "slow": 0.99, **couplings}
    params = TwoRates(**{name: jnp.float32(rate) for name, rate in rates.items()})
    return log_norms_of_two_leaves(params, jnp.array(reads, jnp.float32))


def log_norms_of_two_leaves(params, reads):
    xs = silence(LONG, dtype=jnp.float32)
    return log_gradient_norms(TWO_LEAVES, params, xs, last_along(reads))


def log_of(fraction):
    """ln of a fraction far outside the range of floats."""
    return math.log(fraction.numerator) - math.log(fraction.denominator)


def test_two_leaves_that_fade_apart_both_come_out_right():
    log_norms = two_leaf_log_norms(reads=[1, 1])
    rates = [lj.decay_rate(leaf) for leaf in log_norms]
    assert_allclose(rates, np.log([0.5, 0.99]), rtol=0, atol=1e-6)
    joint = lj.joint_log_norms(log_norms)
    assert_allclose(joint[0], LONG * np.log(0.99), rtol=1e-5)


@pytest.mark.parametrize("coupling", [1e-3, 1e-30])
def test_weakly_coupled_leaves_agree_with_exact_fractions(coupling):
    fast, slow, weak = (
        Fraction(float(np.float32(rate))) for rate in (0.5, 0.99, coupling)
    )
    # Read at both, the fast leaf hears its own echo first and then the slow one's.
    fed_by_slow = two_leaf_log_norms(reads=[1, 1], fast_into_slow=coupling)
    # Read at the fast leaf only, the slow one hears all through the coupling.
    fed_by_fast = two_leaf_log_norms(reads=[1, 0], slow_into_fast=coupling)
    close = partial(assert_allclose, rtol=1e-6, atol=1e-6)
    for lag in (1, 2, 50, 100, 1_000, LONG):
        # The corner of [[slow, weak], [0, fast]]^lag.
        corner = weak * (slow**lag - fast**lag) / (slow - fast)
        close(fed_by_slow.fast[-lag], log_of(fast**lag + corner))
        close(fed_by_slow.slow[-lag], log_of(slow**lag))
        close(fed_by_fast.fast[-lag], log_of(fast**lag))
        close(fed_by_fast.slow[-lag], log_of(corner))


def test_every_sequence_of_a_batch_fades_at_its_own_rate():
    cell = make_cell(
        lambda params, batch=(): jnp.zeros((*batch, 1), params.dtype),
        lambda params, h, x: (h * x, h * x),
    )
    rates = jnp.array([0.5, 0.99, 1.0, 2.0, 0.0], jnp.float32)
    xs = jnp.broadcast_to(rates[:, None], (LONG, 5, 1))
    log_norms = log_gradient_norms(cell, jnp.float32(0), xs, sum_of_last)
    wanted = [*np.log([0.5, 0.99, 1.0, 2.0]), np.nan]
    assert_allclose(lj.decay_rate(log_norms), wanted, rtol=0, atol=1e-6)
    assert_array_equal(log_norms[:, 4], -np.inf)


# ---------------------------------------------------------------------------
# Scaled arrays
# ---------------------------------------------------------------------------

rescale, add, log_norm_of = map(jax.jit, (scaled.rescale, scaled.add, scaled.log_norm))
FLOATS = [jnp.float32, jnp.bfloat16, jnp.float16]
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.__name__)
NO_EXPONENT = jnp.zeros((), jnp.int32)


def exactly(value):
    """What a Scaled means, in float64, which holds every value of these tests."""
    mantissa = np.asarray(value.mantissa, np.float64)
    exponent = np.asarray(value.exponent)
    rest = tuple(range(exponent.ndim, mantissa.ndim))
    return np.ldexp(mantissa, np.expand_dims(exponent, rest))


@every_float
def test_rescaling_is_exact_over_the_whole_range(dtype):
    info = jnp.finfo(dtype)
    powers = np.arange(info.minexp, info.maxexp)
    around = [1, 1 + float(info.eps), 2 - float(info.eps), -1]
    values = jnp.asarray(np.ldexp(around, powers[:, None])).astype(dtype).ravel()
    rescaled = rescale(values, jnp.zeros(values.shape, jnp.int32))
    assert rescaled.mantissa.dtype == dtype and rescaled.exponent.dtype == jnp.int32
    assert_array_equal(exactly(rescaled), np.asarray(values, np.float64))
    # Of order one: at the end of the range 2**-power would be subnormal, so 4 there.
    sizes = np.abs(np.asarray(rescaled.mantissa, np.float64))
    assert np.all((sizes > 0.99) & (sizes < 4))


def test_rescaling_counts_from_the_exponent_it_is_given():
    rescaled = rescale(jnp.array([3.0, 0.5]), jnp.int32(-5_000))
    assert_array_equal(rescaled.exponent, -5_000 + 1)
    assert_array_equal(rescaled.mantissa, [1.5, 0.25])


def test_every_batch_element_has_its_own_exponent():
    values = jnp.array([[1e-30, 2e-30], [3e30, 4e30], [0, 0]], jnp.float32)
    rescaled = rescale(values, jnp.zeros((3,), jnp.int32))
    assert_array_equal(exactly(rescaled), np.asarray(values, np.float64))
    assert_array_equal(rescaled.exponent[2], ZERO_EXPONENT)
    wanted = [*np.log([5**0.5 * 1e-30, 5e30]), -np.inf]
    assert_allclose(log_norm_of(rescaled), wanted, rtol=1e-6)


@every_float
def test_zero_has_the_logarithm_minus_infinity(dtype):
    zero = rescale(jnp.zeros((2, 3), dtype), jnp.zeros((2,), jnp.int32))
    assert_array_equal(zero.exponent, ZERO_EXPONENT)
    assert_array_equal(log_norm_of(zero), -np.inf)
    assert_array_equal(log_norm_of(add([zero, zero])), -np.inf)


@every_float
def test_adding_zero_changes_nothing_however_small_the_rest(dtype):
    zero = rescale(jnp.zeros((2,), dtype), NO_EXPONENT)
    tiny = rescale(jnp.array([1, -0.75], dtype), jnp.int32(-1_000_000))
    for total in (add([zero, tiny]), add([tiny, zero])):
        jax.tree.map(assert_array_equal, total, tiny)


def test_huge_and_tiny_values_do_not_leave_the_range():
    huge = rescale(jnp.full((4,), 3e38, jnp.float32), NO_EXPONENT)
    tiny = rescale(jnp.full((4,), 1.2e-38, jnp.float32), NO_EXPONENT)
    assert_allclose(log_norm_of(huge), np.log(2) + np.log(3e38), rtol=1e-6)
    assert_allclose(log_norm_of(tiny), np.log(2) + np.log(1.2e-38), rtol=1e-6)
    doubled = add([huge, huge])
    assert_allclose(log_norm_of(doubled), np.log(4) + np.log(3e38), rtol=1e-6)


def test_a_subnormal_is_right_or_zero_and_never_another_number():
    # XLA on the CPU flushes subnormals to zero.
    subnormal = rescale(jnp.full((1,), 1e-38, jnp.float32), NO_EXPONENT)
    log_norm = float(log_norm_of(subnormal))
    assert log_norm == -np.inf or abs(log_norm - np.log(1e-38)) < 1e-5


@pytest.mark.parametrize("gap", [0, 1, 10, 23])
def test_sums_are_exact_where_the_type_can_hold_them(gap):
    a, b = jnp.array([1.0, -1.5]), jnp.array([1.0, 1.0])
    total = add([Scaled(a, jnp.int32(-400)), Scaled(b, jnp.int32(-400 - gap))])
    wanted = np.array([1, -1.5]) + 2.0**-gap
    assert_array_equal(np.ldexp(exactly(total), 400), wanted)


def test_what_cancels_is_zero():
    one = rescale(jnp.array([1.0, 2.0]), jnp.int32(-77))
    total = add([one, one._replace(mantissa=-one.mantissa)])
    assert_array_equal(total.exponent, ZERO_EXPONENT)
    assert_array_equal(log_norm_of(total), -np.inf)


@every_float
def test_what_is_too_small_to_add_is_lost_and_not_lifted(dtype):
    large = Scaled(jnp.array([1, 0], dtype), NO_EXPONENT)
    small = Scaled(jnp.array([0, 1], dtype), jnp.int32(-1_000))
    assert_array_equal(exactly(add([large, small])), [1, 0])


@every_float
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_visible_and_stays_at_home(dtype, bad):
    values = jnp.array([[1, bad], [1, 1]], dtype)
    rescaled = rescale(values, jnp.zeros((2,), jnp.int32))
    total = add([rescaled, rescale(values, jnp.full((2,), 900))])
    for value in (rescaled, total):
        log_norm = log_norm_of(value)
        assert not np.isfinite(log_norm[0]) and log_norm[0] != -np.inf
        assert np.isfinite(log_norm[1])


def test_logarithms_of_half_precision_are_float32():
    value = rescale(jnp.array([3, 4], jnp.bfloat16), jnp.int32(-10_000))
    log_norm = log_norm_of(value)
    assert log_norm.dtype == jnp.float32
    assert_allclose(log_norm, np.log(5) - 10_000 * np.log(2), rtol=1e-6)


# ---------------------------------------------------------------------------
# From a curve to a number
# ---------------------------------------------------------------------------


def line(rate, time, offset: Any = 0.0):
    """Log-norms that change by `rate` nats per step of lag."""
    return jnp.asarray(offset + rate * lags(time))


@in_float64
@pytest.mark.parametrize("offset", [0.0, 1e6, -1e6])
def test_decay_rate_is_exact_on_straight_lines_anywhere(offset):
    # With slopes that are powers of two the lines themselves are exact.
    for rate in (-0.5, 0.25, -(2.0**-8), 0.0):
        found = lj.decay_rate(line(rate, 1_000, offset))
        assert_allclose(found, rate, rtol=1e-12, atol=1e-14)


@in_float64
def test_decay_rate_is_the_slope_of_least_squares():
    curves = draw(30, 2, 3)
    slopes = np.polyfit(np.arange(30), np.reshape(curves, (30, 6)), 1)[0]
    assert_allclose(lj.decay_rate(curves).ravel(), -slopes, rtol=1e-10)
    moved = curves + jnp.array([1.0, -50.0, 1e3])
    assert_allclose(lj.decay_rate(moved), lj.decay_rate(curves), rtol=1e-9)


def test_vanishing_is_negative_and_exploding_positive():
    assert lj.decay_rate(line(-0.1, 20).astype(jnp.float32)) < 0
    assert lj.decay_rate(line(0.1, 20).astype(jnp.float32)) > 0


@in_float64
def test_decay_rate_leaves_minus_infinity_out():
    curves = jnp.stack([line(-0.5, 9)] * 2, axis=1)
    curves = curves.at[jnp.array([0, 3, 8]), 1].set(-jnp.inf)
    assert_allclose(lj.decay_rate(curves), [-0.5, -0.5], rtol=1e-12)


@pytest.mark.parametrize("remaining", [0, 1])
def test_decay_rate_of_fewer_than_two_entries_is_nan(remaining):
    curve = jnp.full((5,), -jnp.inf).at[:remaining].set(1.0)
    assert np.isnan(lj.decay_rate(curve))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_decay_rate_shows_what_is_not_finite(bad):
    assert np.isnan(lj.decay_rate(jnp.array([0.0, bad, 2.0])))


def test_half_life_is_the_time_in_which_half_is_lost():
    rates = jnp.array([-np.log(2), -np.log(2) / 8, 0.0, 0.3, -np.inf], jnp.float32)
    assert_allclose(lj.half_life(rates), [1, 8, np.inf, np.inf, 0], rtol=1e-6)
    assert_allclose(lj.half_life(-0.1), np.log(2) / 0.1, rtol=1e-6)


def test_an_unknown_rate_has_an_unknown_half_life():
    assert np.isnan(lj.half_life(jnp.float32(np.nan)))


@in_float64
def test_log_shares_are_relative_to_the_last_step():
    curves = jnp.stack([line(-0.5, 4, 7.0), line(1.0, 4, -2.0)], axis=1)
    wanted = np.outer([3, 2, 1, 0], [-0.5, 1.0])
    assert_allclose(lj.log_shares(curves), wanted, atol=1e-14)
    gone = lj.log_shares(jnp.array([-jnp.inf, 3.0]))
    assert_array_equal(gone, [-np.inf, 0])


@in_float64
def test_horizon_is_the_lag_at_which_the_fraction_is_left():
    curves = jnp.stack([line(-0.1, 50, 3.0), line(-1.0, 50, 1e6)], axis=1)
    for fraction in (0.5, 0.9, 0.01):
        wanted = -np.log(fraction) / np.array([0.1, 1.0])
        assert_allclose(lj.horizon(curves, fraction), wanted, rtol=1e-8)


@in_float64
def test_horizon_interpolates_between_the_two_steps_of_the_first_crossing():
    backwards = jnp.log(jnp.array([1.0, 0.8, 0.25, 0.9, 0.1]))
    within = np.log(0.8 / 0.5) / np.log(0.8 / 0.25)
    assert_allclose(lj.horizon(backwards[::-1], 0.5), 1 + within, rtol=1e-12)


def test_horizon_is_infinite_where_that_little_is_never_left():
    curves = jnp.stack([line(-0.01, 10), line(0.5, 10)], axis=1)
    curves = curves.astype(jnp.float32)
    assert_array_equal(lj.horizon(curves, 0.5), [np.inf, np.inf])


def test_horizon_ends_where_the_gradient_is_cut_off():
    curve = jnp.array([-jnp.inf, -jnp.inf, -0.1, 0.0])
    assert_array_equal(lj.horizon(curve, 0.5), 2)


def test_horizon_of_an_unknown_curve_is_unknown():
    assert np.isnan(lj.horizon(jnp.full((5,), jnp.nan), 0.5))


def test_joint_log_norms_take_all_leaves_together():
    curves = TwoLeaves(
        fast=jnp.array([np.log(3), -np.inf, -np.inf, -9_000.0, 9_000.0]),
        slow=jnp.array([np.log(4), 2.0, -np.inf, -9_000.0, -9_000.0]),
    )
    root = 0.5 * np.log(2)
    wanted = [np.log(5), 2.0, -np.inf, -9_000 + root, 9_000]
    assert_allclose(lj.joint_log_norms(curves), wanted, rtol=1e-6)
    alone = lj.RNNCarry(h=jnp.array([1.0, -np.inf]))
    assert_array_equal(lj.joint_log_norms(alone), [1, -np.inf])


@in_float64
def test_joint_log_norms_leave_out_what_has_no_gradient():
    curves = Counting(h=jnp.array([1.0, 2.0]), count=None)
    assert_array_equal(lj.joint_log_norms(curves), [1, 2])


# ---------------------------------------------------------------------------
# The signal of the first step
# ---------------------------------------------------------------------------


def squared_error(ys, target):
    return jnp.sum((ys[-1] - target) ** 2) + 0.1 * jnp.sum(ys**2)


def silenced(params, where):
    """The same params, through which no gradient flows where `where`."""
    return jax.tree.map(lambda p: jnp.where(where, jax.lax.stop_gradient(p), p), params)


@in_float64
@every_cell
def test_first_step_signal_equals_the_count_by_hand(cell):
    time, examples = 3, 9
    params = make_params(cell)
    xs = 1 + 0.5 * draw(time, examples, INPUT, seed=1)
    targets = 2 + 0.5 * draw(examples, HIDDEN, seed=2)

    def loss(params, x, target, only_first):
        carry, ys = cell.init_carry(params), []
        for t in range(time):
            read = params if t == 0 else silenced(params, only_first)
            carry, y = cell.step(read, carry, x[t])
            ys.append(y)
        return squared_error(jnp.stack(ys), target)

    gradient = jax.jit(jax.grad(loss))

    def per_example(only_first):
        rows = [
            gradient(params, xs[:, n], targets[n], only_first) for n in range(examples)
        ]
        return np.array([np.concatenate([np.ravel(w) for w in row]) for row in rows])

    through_first, whole = per_example(True), per_example(False)
    spread = through_first.var(0, ddof=1).sum() / examples
    squared_signal = (through_first.mean(0) ** 2).sum() - spread
    noise = np.sqrt(whole.var(0, ddof=1).sum() / 32)
    found = first_step_signal(cell, params, xs, squared_error, targets, 32)
    # Neither part of the estimate is negligible, so that both are tested.
    assert squared_signal > spread > 0.01 * squared_signal
    assert_allclose(found.signal, np.sqrt(squared_signal), rtol=1e-11)
    assert_allclose(found.resolution, np.sqrt(spread), rtol=1e-11)
    assert_allclose(found.noise, noise, rtol=1e-11)


@in_float64
def test_first_step_signal_is_unbiased_where_the_truth_is_known():
    # h_1 = w x_0 + b, h_2 = u h_1 + w x_1 + b, loss h_2: through step 0 the gradient
    # is (u x_0, 0, u) with respect to (w, u, b), and x_0 ~ N(m, 1).
    u, m, examples, repeats = 1.5, 0.5, 8, 4_000
    params = lj.RNNParams(
        w_ih=jnp.array([[0.7]]), w_hh=jnp.array([[u]]), b=jnp.zeros((1,))
    )
    last = lambda ys, _: ys[-1, 0]
    found = jax.vmap(
        lambda xs: first_step_signal(
            LINEAR, params, xs, last, jnp.zeros((examples,)), 1
        )
    )(m + draw(repeats, 2, examples, 1))
    squared_signals = np.asarray(found.signal) ** 2
    error = np.std(squared_signals) / np.sqrt(repeats)
    truth = u**2 * (m**2 + 1)
    assert abs(np.mean(squared_signals) - truth) < 4 * error
    # The estimate without the correction would be caught: it is too large by this.
    bias = u**2 / examples
    assert bias > 8 * error
    assert_allclose(np.mean(found.resolution**2), bias, rtol=0.1)


@in_float64
def test_a_signal_below_what_the_examples_show_is_zero_and_never_nan():
    params = make_params(lj.RNN)
    signs = jnp.where(jnp.arange(8) % 2 == 0, 1.0, -1.0)
    found = jax.vmap(
        lambda xs: first_step_signal(
            lj.RNN, params, xs, lambda ys, sign: sign * jnp.sum(ys[-1]), signs, 4
        )
    )(draw(50, TIME, 8, INPUT))
    assert np.all(found.signal >= 0) and np.any(found.signal == 0)
    assert np.all(found.resolution > 0) and np.all(found.noise > 0)
