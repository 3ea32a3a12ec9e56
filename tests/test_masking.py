"""Steps that do not count: what a cell is shown there, and that nothing comes of it."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import slow_but

import lstm_jax as lj

TIME, BATCH = 5, 3


def direction_step(p, h, x):
    """Reads the direction of its input, and of its memory: 0/0 at zeros."""
    unit = x / jnp.linalg.norm(x, axis=-1, keepdims=True)
    h = jnp.tanh(unit @ p + h / jnp.linalg.norm(h, axis=-1, keepdims=True))
    return h, h


def begin(p, batch):
    return jnp.full((*batch, 2), 0.5, p.dtype)


CELL = lj.from_function(direction_step, begin)
EVERY = np.ones((TIME, BATCH), bool)


def drawn(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def at(steps, sequence):
    flags = np.zeros((TIME, BATCH), bool)
    flags[steps, sequence] = True
    return flags


MASKS = {
    "lengths": {"lengths": np.array([5, 2, 1])},
    "a length of 0": {"lengths": np.array([5, 0, 2])},
    "late beginnings": {"mask": ~at([0, 1], slice(None)) & ~at([2], 1)},
    "a hole in all": {"mask": ~at([2], slice(None))},
    "none of one": {"mask": ~at(slice(None), 1)},
    "resets where nothing counts": {
        "mask": ~at([0, 1], slice(None)),
        "resets": at([0], 0) | at([1], 2) | at([3], 1),
    },
    "everything": {
        "lengths": np.array([4, 5, 0]),
        "mask": ~at([1], 0),
        "resets": at([1], 0) | at([2], 1) | at([4], 2),
    },
}


WAYS = ("forward", "reverse")
FEW = {
    ("a length of 0", "forward"),
    ("late beginnings", "reverse"),
    ("everything", "forward"),
}


@pytest.mark.parametrize(("name", "way"), slow_but(FEW, [*product(MASKS, WAYS)]))
def test_a_step_that_is_singular_at_zero(name, way, x64):
    """Values and gradients of the loop that runs only the steps that count."""
    masks, reverse = MASKS[name], way == "reverse"
    xs = drawn(0, TIME, BATCH, 2)
    padded = jnp.where(counting(masks)[..., None], xs, jnp.nan)
    given = drawn(1, 2, 2), drawn(2, BATCH, 2)

    def loss(run, xs, p, carry):
        last, ys = run(CELL, p, xs, carry, **masks, reverse=reverse)
        return jnp.sum(jnp.sin(ys)) + jnp.sum(jnp.cos(last))

    wanted, ours = (
        jax.jit(jax.value_and_grad(partial(loss, run), (0, 1, 2)))
        for run in (lj.unroll_reference, lj.unroll)
    )
    value, slopes = wanted(xs, *given)
    for shown in (xs, padded):
        got, found = ours(shown, *given)
        assert_allclose(got, value, rtol=1e-12)
        for a, b in zip(found, slopes, strict=True):
            assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def counting(masks):
    counts = masks.get("mask", EVERY)
    if "lengths" in masks:
        counts = counts & (np.arange(TIME)[:, None] < masks["lengths"])
    return counts


def test_a_batch_in_which_nothing_counts_is_not_run(x64):
    """Not even on zeros: a callback on the host would tell."""
    calls = []

    def step(p, h, x):
        jax.debug.callback(lambda: calls.append(1))
        return direction_step(p, h, x)

    cell, nothing = lj.from_function(step, begin), np.zeros(BATCH, int)

    def loss(p, lengths):
        last, ys = lj.unroll(cell, p, xs, lengths=lengths)
        return jnp.sum(ys) + jnp.sum(last**2), (last, ys)

    p, xs = drawn(1, 2, 2), drawn(0, TIME, BATCH, 2)
    slope, (last, ys) = jax.jit(jax.grad(loss, has_aux=True))(p, nothing)
    jax.effects_barrier()
    assert calls == []
    assert not np.any(slope) and not np.any(ys)
    assert_allclose(last, begin(p, (BATCH,)))
    jax.block_until_ready(jax.jit(loss)(p, nothing + 1))
    jax.effects_barrier()
    assert len(calls) == TIME


@pytest.mark.slow
@pytest.mark.parametrize(
    "measure",
    slow_but(["log_gradient_norms"], ["log_gradient_norms", "carry_gradients"]),
)
def test_measures_of_a_singular_step(measure, x64):
    xs, p, lengths = drawn(0, TIME, BATCH, 2), drawn(1, 2, 2), np.array([5, 2, 3])

    def loss(ys):
        return jnp.sum(jnp.sin(lj.last_step(ys, lengths)))

    run = getattr(lj, measure)
    found = run(CELL, p, xs, loss, lengths=lengths)
    for b, length in [(1, 2)]:  # the shortest
        alone = run(CELL, p, xs[:length, b], lambda ys: jnp.sum(jnp.sin(ys[-1])))
        assert_allclose(found[:length, b], alone, rtol=1e-11, atol=1e-13)


def test_sequences_do_not_see_one_another(x64):
    """Not through the pair that stands in for their padding, in value or gradient."""
    p, lengths = drawn(1, 2, 2), np.array([5, 2, 0])
    others = np.array([1.0, 0.0, 1.0])[:, None]

    @jax.jit
    @jax.value_and_grad
    def of_one(xs):
        return jnp.sum(jnp.sin(lj.unroll(CELL, p, xs, lengths=lengths)[1][:, 1]))

    xs = drawn(0, TIME, BATCH, 2)
    (value, slope), (moved, _) = of_one(xs), of_one(np.asarray(xs) + 3 * others)
    assert_allclose(value, moved, rtol=1e-15)
    assert not np.any(slope * others)
    assert np.any(slope)
