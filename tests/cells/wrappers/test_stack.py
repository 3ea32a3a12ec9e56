"""Stacks: layer by layer, step by step."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.short_runs import BATCH, HIDDEN, INPUT, TIME, close, sequence
from problems import draw, make_carry, make_params, slow_but

import lstm_jax as lj

MASKS = {
    "none": {},
    "lengths": {"lengths": jnp.array([7, 0, 4])},
    "resets": {"resets": jnp.zeros((TIME, BATCH), bool).at[3, 0].set(True)},
    "reverse": {"reverse": True, "lengths": jnp.array([7, 2, 4])},
}


def stepwise(cell):
    """The same cell, of which `unroll` does not know that it has layers."""
    return lj.Cell(
        name=cell.name, init=cell.init, init_carry=cell.init_carry, step=cell.step
    )


@pytest.mark.parametrize("name", slow_but(["reverse"], MASKS))
def test_a_stack_layer_by_layer_equals_the_stack_step_by_step(x64, name):
    masks = MASKS[name]
    cell = lj.stack(lj.LSTM, lj.RNN)
    params, xs = make_params(cell, INPUT, HIDDEN), draw(TIME, BATCH, INPUT, seed=100)

    def loss(cell, params, xs, carry):
        carry, ys = lj.unroll(cell, params, xs, carry, **masks)
        leaves = jax.tree.leaves(carry)
        return jnp.sum(ys**2) + sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves)

    carry = make_carry(cell, params, (BATCH,))
    layerwise, by_steps = (
        jax.jit(jax.value_and_grad(partial(loss, one), (0, 1, 2)))(params, xs, carry)
        for one in (cell, stepwise(cell))
    )
    close(layerwise, by_steps)


def test_adjoints_of_a_stack_are_those_of_every_layer(x64):
    cell = lj.stack(lj.LSTM, lj.RNN)
    params, xs = make_params(cell, INPUT, HIDDEN), draw(TIME, BATCH, INPUT, seed=100)
    loss = lambda ys: jnp.sum(ys[-1] ** 2)

    @jax.jit
    def both(params):
        _, first = lj.unroll(lj.LSTM, params[0], xs)
        top = lj.carry_gradients(lj.RNN, params[1], first, loss)
        return lj.carry_gradients(cell, params, xs, loss), top

    adjoints, top = both(params)
    close(adjoints[1], top)
    assert np.all(np.abs(adjoints[0].c) > 0)


def test_a_stack_knows_the_width_of_what_a_layer_shows(key):
    cell = lj.stack(lj.cells.PROJECTION_LSTM, lj.LSTM)
    params = cell.init(key, INPUT, 6)
    narrow = jax.eval_shape(
        lambda: lj.unroll(
            lj.cells.PROJECTION_LSTM, params[0], sequence(key, dtype=jnp.float32)
        )[1]
    ).shape[-1]
    assert params[1].w_ih.shape[0] == narrow < 6
    assert lj.stack(lj.cells.PROJECTION_LSTM, lj.LSTM) is cell
    with pytest.raises(ValueError, match="at least one"):
        lj.stack()


def test_layers_of_a_stack_are_drawn_apart_and_known_to_unroll(key):
    cell = lj.stack(lj.RNN, lj.RNN)
    assert cell.layers == (lj.RNN, lj.RNN)
    first, second = cell.init(key, HIDDEN, HIDDEN)
    for name in ("w_ih", "w_hh"):
        assert not jnp.any(getattr(first, name) == getattr(second, name))
