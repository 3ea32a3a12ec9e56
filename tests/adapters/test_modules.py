"""Cells of other libraries against those libraries' own loops."""

from functools import partial
from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from adapters.foreign import (
    BATCH,
    FOREIGN,
    HIDDEN,
    INPUT,
    ONE_OF_EACH,
    TIME,
    close,
    drawn,
    empty_memory,
    leaky,
    leaky_params,
    made_for,
    make_inputs,
    weighted_last,
)
from flax import nnx
from problems import slow_but

import lstm_jax as lj
from lstm_jax.adapters.equinox import from_equinox
from lstm_jax.adapters.function import from_function
from lstm_jax.adapters.haiku import from_haiku
from lstm_jax.adapters.linen import from_linen
from lstm_jax.adapters.nnx import from_nnx


@pytest.mark.parametrize("name", slow_but(ONE_OF_EACH, FOREIGN))
def test_unroll_is_the_loop_of_the_library(name, x64):
    cell, params, loop, fields = FOREIGN[name]()
    xs = make_inputs()
    carry, ys = lj.unroll(cell, params, xs)
    close(ys, loop(params, xs))
    assert len(jax.tree.leaves(carry)) == fields
    assert {leaf.dtype for leaf in jax.tree.leaves(carry)} == {np.dtype("float64")}
    report = lj.scan_report(cell.step, params, carry, xs)
    assert report.implementation == "weighted"
    assert report.refused == ()


@pytest.mark.parametrize("name", slow_but(["haiku LSTM"], ONE_OF_EACH))
def test_gradients_over_time_are_those_by_what_enters_the_loop(name, x64):
    """dL/d(carry entering t) is that by zeros which are added to the carry there."""
    cell, params, _, _ = FOREIGN[name]()
    xs = make_inputs()

    def loss(added, params, xs):
        carry, ys = cell.init_carry(params, (BATCH,)), []
        for t, x in enumerate(xs):
            carry = jax.tree.map(lambda leaf, more, t=t: leaf + more[t], carry, added)
            carry, y = cell.step(params, carry, x)
            ys.append(y)
        return weighted_last(ys)

    @jax.jit
    def measure(params, xs):
        empty = cell.init_carry(params, (TIME, BATCH))
        zeros = jax.tree.map(jnp.zeros_like, empty)
        return (
            jax.grad(loss)(zeros, params, xs),
            lj.carry_gradients(cell, params, xs, weighted_last),
            lj.log_gradient_norms(cell, params, xs, weighted_last),
        )

    wanted, gradients, log_norms = measure(params, xs)
    assert jax.tree.structure(gradients) == jax.tree.structure(wanted)
    for got, norm, want in zip(
        *(jax.tree.leaves(tree) for tree in (gradients, log_norms, wanted)), strict=True
    ):
        close(got, want)
        close(np.exp(norm), np.linalg.norm(want, axis=-1))


@pytest.mark.parametrize(
    "name",
    slow_but(["haiku LSTM"], ["linen GRUCell", "haiku LSTM", "equinox LSTMCell"]),
)
def test_any_batch_axes_and_masks(name, x64):
    cell, params, _, _ = FOREIGN[name]()
    lengths = np.array([TIME, 2])

    @jax.jit
    def shown(params, xs):
        _, ys = lj.unroll(cell, params, xs, lengths=lengths)
        _, alone = lj.unroll(cell, params, xs[:2, 1])
        _, deep = lj.unroll(cell, params, xs[:, None, :], lengths=lengths[None])
        return ys, alone, deep

    ys, alone, deep = map(np.asarray, shown(params, make_inputs()))
    close(ys[:2, 1], alone)
    assert not ys[2:, 1].any()
    close(deep[:, 0], ys)


TRAINED = {
    "linen": lambda size: from_linen(nn.GRUCell(HIDDEN)),
    "nnx": partial(made_for, adapter=from_nnx),
    "haiku": lambda size: from_haiku(lambda: hk.VanillaRNN(HIDDEN)),
    "equinox": partial(made_for, adapter=from_equinox),
    "function": lambda size: from_function(leaky, empty_memory, leaky_params),
}


@pytest.mark.parametrize("name", slow_but(["linen", "nnx", "function"], TRAINED))
def test_init_draws_what_the_cell_takes_and_an_optimizer_trains(name):
    task = lj.tasks.nature_show("vectors")
    cell = TRAINED[name](task.input_size)
    options: Any = {"hidden_size": HIDDEN, "num_steps": 1, "batch_size": 2, "length": 3}
    state, history = jax.eval_shape(
        lambda key: lj.train(key, cell, task, optax.sgd(0.1), **options),
        jax.random.key(0),
    )
    assert history.loss.shape == (1,)
    init = partial(cell.init, input_size=task.input_size, hidden_size=HIDDEN)
    drawn_now = jax.eval_shape(init, jax.random.key(1))
    assert jax.tree.structure(drawn_now) == jax.tree.structure(state.params.cell)


def test_new_weights_follow_the_key():
    for name in ("linen LSTMCell", "nnx GRUCell", "haiku LSTM", "equinox LSTMCell"):
        init = jax.jit(FOREIGN[name]().cell.init, static_argnums=(1, 2))
        a, b = (
            map(np.asarray, jax.tree.leaves(init(jax.random.key(k), INPUT, HIDDEN)))
            for k in (0, 1)
        )
        assert any((x != y).any() for x, y in zip(a, b, strict=True)), name


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_memory_begins_in_the_dtype_of_the_weights(name, x64):
    cell, params, _, _ = FOREIGN[name]()
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    carry = cell.init_carry(narrow, (BATCH,))
    assert {leaf.dtype for leaf in jax.tree.leaves(carry)} == {np.dtype("float32")}


def test_equal_modules_and_functions_give_equal_cells():
    assert from_linen(nn.GRUCell(4)) is from_linen(nn.GRUCell(4))
    assert from_linen(nn.GRUCell(4)) != from_linen(nn.GRUCell(5))
    assert from_function(leaky, empty_memory) == from_function(leaky, empty_memory)


def test_an_equinox_module_is_its_own_params(x64):
    module = eqx.nn.LSTMCell(INPUT, HIDDEN, use_bias=False, key=jax.random.key(0))
    cell, xs = from_equinox(module), make_inputs()
    params = eqx.filter(module, eqx.is_inexact_array)
    close(lj.unroll(cell, module, xs)[1], lj.unroll(cell, params, xs)[1], 0)


def test_a_module_of_nnx_with_streams_of_its_own_runs(x64):
    with pytest.warns(UserWarning, match="keep_rngs"):
        module = nnx.LSTMCell(INPUT, HIDDEN, keep_rngs=True, rngs=nnx.Rngs(0))
    params = drawn(nnx.state(module, nnx.Param))
    plain = from_nnx(nnx.LSTMCell(INPUT, HIDDEN, rngs=nnx.Rngs(0)))
    got = lj.unroll(from_nnx(module), params, make_inputs())[1]
    close(got, lj.unroll(plain, params, make_inputs())[1], 0)
