"""Cells as layers of Flax: what lj.unroll gives, trained by Flax's own means."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from problems import assert_trees_close, make_carry

import lstm_jax as lj

KEY = jax.random.key(0)
XS = jnp.asarray(np.random.default_rng(0).standard_normal((5, 2, 3)), jnp.float32)
LENGTHS = jnp.array([5, 2])
RESETS = jnp.zeros((5, 2), bool).at[2, 0].set(True)
NOISY = lj.cells.zoneout(lj.LSTM, 0.5)


def linen(cell, **fields):
    """A run `(xs, *arguments, method, key) -> (carry, ys)`, and params of the cell."""
    layer = lj.adapters.to_linen(cell)(features=4, **fields)
    variables = jax.jit(layer.init)(KEY, XS)

    def run(*arguments, key=None, method="__call__", **masks):
        rngs = None if key is None else {"dropout": key}
        return layer.apply(variables, *arguments, method=method, rngs=rngs, **masks)

    return run, variables["params"]["cell"]


def of_nnx(cell, **options):
    layer = lj.adapters.to_nnx(cell)(3, 4, rngs=nnx.Rngs(0), **options)

    def run(*arguments, key=None, method="__call__", **masks):
        rngs = None if key is None else nnx.Rngs(dropout=key)
        return getattr(layer, method)(*arguments, rngs=rngs, **masks)

    return run, params_of(layer)


def params_of(layer):
    is_param = lambda node: isinstance(node, nnx.Param)
    return jax.tree.map(lambda node: node[...], layer.cell, is_leaf=is_param)


LIBRARIES = {"linen": linen, "nnx": of_nnx}


@pytest.mark.parametrize("kind", LIBRARIES)
def test_it_gives_what_unroll_gives(kind):
    run, params = LIBRARIES[kind](lj.LSTM)
    ours: Any = partial(lj.unroll, lj.LSTM, params)
    runs: Any = ({}, {"lengths": LENGTHS, "reverse": True}, {"resets": RESETS})
    carry = make_carry(lj.LSTM, params, (2,))
    carry = jax.tree.map(lambda leaf: leaf.astype(np.float32), carry)

    @jax.jit
    def both(xs, carry):
        found = [run(xs, **masks) for masks in runs]
        found += [run(xs, carry), run(xs, method="carries", lengths=LENGTHS)]
        wanted = [ours(xs, **masks) for masks in runs]
        carries = lj.unroll_carries(lj.LSTM, params, xs, lengths=LENGTHS)
        return found, [*wanted, ours(xs, carry), carries]

    assert_trees_close(*both(XS, carry), rtol=0, atol=0)


@pytest.mark.parametrize("kind", LIBRARIES)
def test_noise_comes_with_a_key(kind):
    run, params = LIBRARIES[kind](NOISY)
    ys = lambda **options: run(XS, **options)[1]
    one, same, other = (ys(key=jax.random.key(seed)) for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any()
    evaluated = lj.unroll(NOISY.evaluated, params, XS)[1]
    np.testing.assert_array_equal(ys(), evaluated)
    assert (one != evaluated).any()


@pytest.mark.parametrize("kind", LIBRARIES)
def test_a_stack_and_options_of_init(kind):
    cell = lj.stack(lj.LSTM, lj.LSTM)
    run, params = LIBRARIES[kind](cell, init_options={"forget_bias": 3.0})
    assert all((layer.b[4:8] == 3).all() for layer in params)
    wanted = lj.unroll(cell, params, XS)
    assert_trees_close(run(XS), wanted, rtol=0, atol=0)


def loss_of(ys):
    return jnp.sum(jnp.sin(ys) * jnp.arange(4.0))


def updated(cell, params):
    """One step of gradient descent, by hand."""
    loss = lambda p: loss_of(lj.unroll(cell, p, XS)[1])
    gradient = jax.jit(jax.grad(loss))(params)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)


def test_nnx_trains_it():
    layer = lj.adapters.to_nnx(lj.GRU)(3, 4, rngs=nnx.Rngs(0))
    wanted = updated(lj.GRU, params_of(layer))
    optimizer = nnx.Optimizer(layer, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def update(layer, optimizer):
        gradient = nnx.grad(lambda layer: loss_of(layer(XS)[1]))(layer)
        optimizer.update(layer, gradient)

    update(layer, optimizer)
    assert_trees_close(params_of(layer), wanted, rtol=0, atol=1e-6)


def test_linen_trains_it_within_a_module_of_its_own():
    class Model(nn.Module):
        @nn.compact
        def __call__(self, xs):
            return lj.adapters.to_linen(lj.GRU)(features=4, name="rnn")(xs)[1]

    model = Model()
    params = model.init(KEY, XS)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1))
    loss = lambda params: loss_of(state.apply_fn({"params": params}, XS))
    state = state.apply_gradients(grads=jax.grad(loss)(params))
    wanted = updated(lj.GRU, params["rnn"]["cell"])
    assert_trees_close(state.params["rnn"]["cell"], wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [lj.adapters.to_linen, lj.adapters.to_nnx])
def test_anything_but_a_cell_is_refused(make):
    with pytest.raises(TypeError, match=r"cell: got .*lj\.Cell"):
        make(nnx.LSTMCell)
    assert make(lj.LSTM) is make(lj.LSTM)
