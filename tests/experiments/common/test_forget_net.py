"""The net of 2000: its size, and its gradient against that through the whole stream."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from problems import in_float64

import lstm_jax as lj
from experiments.common import forget_net
from lstm_jax import readouts


def drawn(**options):
    init = jax.jit(forget_net.init, static_argnames="dtype")
    return init(jax.random.key(0), dtype=jnp.float64, **options)


def stream(length=40):
    symbols = jax.random.randint(jax.random.key(1), (length + 1,), 0, 7)
    shown = jax.nn.one_hot(symbols, 7, dtype=jnp.float64)
    return shown[:-1], shown[1:]


def error(params, inputs, targets):
    """Half the squared error over a stream, by the library's cell."""
    _, h = lj.unroll(forget_net.CELL, params.cell, inputs)
    outputs = readouts.linear(params.readout, jnp.concatenate([h, inputs], -1))
    return jnp.sum((jax.nn.sigmoid(outputs) - targets) ** 2) / 2


def summed(weights, inputs, targets):
    """The gradients of all symbols, from traces, with the weights held."""

    def show(memory, seen):
        found = forget_net.step(weights, memory, *seen)
        return found.memory, (found.outputs, found.gradient)

    _, (outputs, gradients) = jax.lax.scan(
        show, forget_net.empty(weights), (inputs, targets)
    )
    return outputs, jax.tree.map(partial(jnp.sum, axis=0), gradients)


@in_float64
def test_the_traces_are_the_gradient_through_the_whole_stream():
    for held in (False, True):
        weights = drawn(held=held)
        _, gradient = summed(weights, *stream())
        whole = jax.grad(error)(forget_net.as_params(weights), *stream())
        of_ours = forget_net.as_params(gradient)
        jax.tree.map(partial(assert_allclose, rtol=0, atol=1e-12), of_ours, whole)
        assert_array_equal(gradient.units[-1, 12:], 0)  # the biases that g lacks
        forget = gradient.units[:, 4:8]
        assert_array_equal(forget == 0, held)


@in_float64
def test_it_has_424_weights_drawn_as_in_the_paper():
    params = forget_net.as_params(drawn())
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 424
    steps = np.array([0.5, 1, 1.5, 2])
    assert_array_equal(params.cell.b, np.concatenate([-steps, steps, -steps]))
    for drawn_leaf in (params.cell.w_ih, params.cell.w_hh, *params.readout):
        assert np.abs(drawn_leaf).max() <= 0.2
        assert len(np.unique(drawn_leaf)) == drawn_leaf.size
    held = forget_net.as_params(drawn(held=True))
    assert_array_equal(held.cell.b[4:8], forget_net.HELD)
    assert_array_equal(held.cell.w_hh, params.cell.w_hh)
