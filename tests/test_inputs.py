"""Inputs that are no single floating array, and carries that are not all batched."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import compiled, slow_but

import lstm_jax as lj
from lstm_jax.masking import Masks

TIME, BATCH = 5, 3
RNG = np.random.default_rng(0)
P = {"u": RNG.standard_normal((2, 4)), "w": RNG.standard_normal((4, 4)) / 2}
P = jax.tree.map(jnp.asarray, P) | {"table": jnp.asarray(RNG.standard_normal((7, 4)))}


def begin(p, batch):
    return jnp.zeros((*batch, 4), p["w"].dtype)


def step_of(read):
    """A step whose pre-activation is read from x."""

    def step(p, h, x):
        h = jnp.tanh(read(p, x) + h @ p["w"])
        return h, h

    return step


def pair(p, x):
    return x[0] @ p["u"] - x[1] @ p["u"]


def word(p, x):
    return p["table"][x]


def image(p, x):
    return jnp.mean(x["image"], axis=(-2, -1))[..., None] * x["tag"] @ p["u"]


def normal(*shape):
    return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


SPACE = normal(TIME, BATCH, 2)
CASES: dict[str, Any] = {
    "a pair of equal shapes": (pair, (SPACE, 2 * SPACE), None),
    "a pair in a list": (pair, [SPACE, 2 * SPACE], None),
    "words": (word, jnp.asarray(RNG.integers(0, 7, (TIME, BATCH))), None),
    "numbers of one element": (
        lambda p, x: x[..., None] * p["w"][0],
        normal(TIME, BATCH),
        0,
    ),
    "leaves of different ranks": (
        image,
        {"image": normal(TIME, BATCH, 3, 3), "tag": normal(TIME, BATCH, 2)},
        {"image": 2, "tag": 1},
    ),
}


@pytest.mark.parametrize(
    "masked", slow_but([True], [False, True]), ids=["all", "lengths"]
)
@pytest.mark.parametrize(
    "case", slow_but(["a pair of equal shapes", "leaves of different ranks"], CASES)
)
def test_what_a_cell_of_ones_own_reads(case, masked):
    read, xs, axes = CASES[case]
    cell = lj.from_function(step_of(read), begin, input_axes=axes)
    masks: Masks = {"lengths": np.array([5, 2, 0])} if masked else {}
    _, ys = compiled(lj.unroll, cell, **masks)(P, xs)
    _, wanted = compiled(lj.unroll_reference, cell, **masks)(P, xs)
    assert ys.shape == (TIME, BATCH, 4)
    assert_allclose(ys, wanted, rtol=1e-5, atol=1e-6)
    # A given carry says which axes are batch axes, whatever input_axes says.
    loose = lj.from_function(cell.step, begin)
    run = compiled(lj.unroll, loose, **masks)
    assert_array_equal(run(P, xs, begin(P, (BATCH,)))[1], ys)


@pytest.mark.parametrize("case", ["a pair of equal shapes", "words"])
def test_gradients_of_inputs_keep_their_structure(case):
    read, xs, axes = CASES[case]
    cell = lj.from_function(step_of(read), begin, input_axes=axes)
    loss = lambda ys: jnp.sum(ys[-1] ** 2)
    found = compiled(lj.input_gradients, cell, loss_fn=loss)(P, xs)
    norms = compiled(lj.log_input_gradient_norms, cell, loss_fn=loss)(P, xs)
    if case == "words":
        assert found is None and norms is None
        return
    wanted = jax.jit(jax.grad(lambda xs: loss(lj.unroll(cell, P, xs)[1])))(xs)
    for got, of_jax, log_norm in zip(found, wanted, norms, strict=True):
        assert_allclose(got, of_jax, rtol=1e-4, atol=1e-6)
        length = np.linalg.norm(of_jax, axis=-1)
        assert_allclose(np.exp(log_norm), length, rtol=1e-4, atol=1e-6)


def test_a_pair_is_not_stacked_for_a_cell_that_reads_one_array():
    params = lj.RNN.init(jax.random.key(0), 2, 4)
    message = "xs: got tuple; it must be an array, as 'rnn' reads one;"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        lj.unroll(lj.RNN, params, (SPACE, SPACE))


REFUSED = {
    "batches that differ": (
        (SPACE, SPACE[:, :2]),
        {},
        "xs: leaf [1] has shape (2, 2) after time and so the batch axes (2,); leaf [0] "
        "has (3,)",
    ),
    "times that differ": ((SPACE, SPACE[:2]), {}, "xs: leaves have [2, 5] steps"),
    "too few axes": (
        SPACE,
        {"input_axes": 3},
        "xs: a leaf has shape (3, 2) after time",
    ),
    "another structure": (
        SPACE,
        {"input_axes": {"a": 1}},
        "xs: got PyTreeDef(*); input_axes has PyTreeDef({'a': *})",
    ),
    "nothing": ((), {}, "xs: shapes are []"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_name(case):
    xs, options, message = REFUSED[case]
    cell = lj.from_function(step_of(pair), begin, **options)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        lj.unroll(cell, P, xs)


@pytest.mark.parametrize("axes", [-1, 0.5, {"a": "1"}])
def test_bad_input_axes_are_refused(axes):
    with pytest.raises(ValueError, match=r"^input_axes: got .*; it must hold whole"):
        lj.from_function(step_of(pair), begin, input_axes=axes)


# Leaves of a carry without batch axes


def counting_step(p, carry, x):
    h, count, key = carry
    noise = 0.1 * jax.random.normal(jax.random.fold_in(key, count[0]), h.shape, h.dtype)
    h = jnp.tanh(x @ p["u"] + h @ p["w"] + noise)
    return (h, count + 1, key), h


def begin_counting(p, batch):
    return begin(p, batch), jnp.zeros(2, jnp.int32), jax.random.key(3)


COUNTING = lj.from_function(counting_step, begin_counting)


def test_a_counter_without_batch_axes_counts_the_steps_of_the_batch():
    lengths = np.array([3, 2, 0])
    (h, count, _), ys = compiled(lj.unroll, COUNTING, lengths=lengths)(P, SPACE)
    reference = compiled(lj.unroll_reference, COUNTING, lengths=lengths)
    (wanted, last, _), shown = reference(P, SPACE)
    assert_array_equal(count, [3, 3])
    assert_array_equal(last, [3, 3])
    assert_allclose(ys, shown, rtol=1e-5, atol=1e-6)
    assert_allclose(h, wanted, rtol=1e-5, atol=1e-6)
    loss = lambda ys: ys[-1].sum()
    norms = compiled(lj.log_gradient_norms, COUNTING, loss_fn=loss)(P, SPACE)
    assert norms[0].shape == (TIME, BATCH) and norms[1] is norms[2] is None


def test_what_is_the_same_for_the_batch_cannot_be_reset_for_one():
    resets = np.zeros((TIME, BATCH), bool)
    with pytest.raises(ValueError, match=r"^resets: .* leaf \[1\] of the carry of"):
        lj.unroll(COUNTING, P, SPACE, resets=resets)


def test_a_memory_without_batch_axes_is_still_refused():
    cell = lj.from_function(step_of(pair), lambda p, batch: jnp.zeros(4))
    message = r"^init_carry: got a leaf of shape \(4,\) for the batch_shape \(3,\)"
    with pytest.raises(ValueError, match=message):
        lj.unroll(cell, P, (SPACE, SPACE))


# Both directions with resets


def test_resets_of_a_bidirectional_run():
    """Every sequence on its own, both ways."""
    cells, resets = (lj.RNN, lj.GRU), np.zeros((TIME, BATCH), bool)
    resets[2] = True
    params = tuple(cell.init(jax.random.key(k), 2, 4) for k, cell in enumerate(cells))
    run = jax.jit(partial(lj.unroll_bidirectional, cells, params))
    space = np.asarray(SPACE)
    _, ys = run(space, resets=resets)
    parts = [run(space[:2])[1], run(space[2:])[1]]
    assert_allclose(ys, np.concatenate(parts), rtol=1e-5, atol=1e-6)
