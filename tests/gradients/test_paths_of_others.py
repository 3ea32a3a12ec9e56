"""Paths of cells of other libraries, and of one's own."""

from dataclasses import replace

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from gradients.loops import HIDDEN, INPUT
from gradients.path_problems import (
    BATCH,
    OWN,
    TIME,
    begin,
    own_params,
    own_step,
    path_and_whole_jacobians,
)
from numpy.testing import assert_allclose
from problems import (
    assert_trees_close,
    draw,
    drawn_like,
    every_output_counts,
    in_float64,
    make_carry,
    make_params,
    slow_where,
)

import lstm_jax as lj
from lstm_jax.gradients.paths import (
    path_gradients,
    path_jacobians,
    path_names,
    path_shares,
)


def last_output(ys):
    return jnp.sum(ys[-1])


def looped_step(params, carry, x):
    carry, _ = jax.lax.scan(lambda c, _: own_step(params, c, x), carry, length=2)
    return carry, carry


def initial(cell):
    return drawn_like(cell.init(jax.random.key(0), INPUT, HIDDEN), scale=0.5)


def of_linen(module):
    cell = lj.from_linen(module(HIDDEN))
    return cell, initial(cell)


def of_nnx(module):
    made = module(INPUT, HIDDEN, rngs=nnx.Rngs(0))
    params = drawn_like(nnx.state(made, nnx.Param), scale=0.5)
    return lj.from_nnx(made), params


def of_haiku(core):
    cell = lj.from_haiku(lambda: core(HIDDEN))
    return cell, initial(cell)


def of_equinox(module):
    made = module(INPUT, HIDDEN, key=jax.random.key(0))
    params = drawn_like(eqx.filter(made, eqx.is_inexact_array), scale=0.5)
    return lj.from_equinox(made), params


SIGMOIDS = ["sigmoid"] * 3
FOREIGN = {
    "linen LSTM": (lambda: of_linen(nn.LSTMCell), [*SIGMOIDS, "tanh"]),
    "linen optimized LSTM": (
        lambda: of_linen(nn.OptimizedLSTMCell),
        [*SIGMOIDS, "tanh"],
    ),
    "linen GRU": (lambda: of_linen(nn.GRUCell), ["sigmoid", "sigmoid", "tanh"]),
    "nnx LSTM": (lambda: of_nnx(nnx.LSTMCell), [*SIGMOIDS, "tanh"]),
    "nnx GRU": (lambda: of_nnx(nnx.GRUCell), ["sigmoid", "sigmoid", "tanh"]),
    "haiku LSTM": (lambda: of_haiku(hk.LSTM), [*SIGMOIDS, "tanh"]),
    "haiku GRU": (lambda: of_haiku(hk.GRU), ["sigmoid", "sigmoid", "tanh"]),
    "equinox LSTM": (lambda: of_equinox(eqx.nn.LSTMCell), [*SIGMOIDS, "tanh"]),
    "equinox GRU": (lambda: of_equinox(eqx.nn.GRUCell), ["sigmoid", "sigmoid", "tanh"]),
    "a function": (lambda: (OWN, own_params()), ["sigmoid", "tanh"]),
    "a loop": (lambda: (lj.from_function(looped_step, begin), own_params()), []),
}


# Of every library one LSTM or GRU; the others are found as these are.
AGAIN = {"linen optimized LSTM", "nnx GRU", "haiku GRU", "equinox GRU"}


@in_float64
@pytest.mark.parametrize("name", slow_where(AGAIN.__contains__, FOREIGN))
def test_a_cell_of_others_has_its_gates_found(name):
    make, activations = FOREIGN[name]
    cell, params = make()
    names = path_names(cell, params, draw(BATCH, INPUT))
    assert names[0] == "cell"
    gates = [gate.split(" -> ")[-1].split() for gate in names[1:]]
    assert sorted(activation for activation, _ in gates) == activations
    assert [int(at) for _, at in gates] == [*range(len(gates))]


# Those of linen read their memory as the LSTM of nnx does.
LINEN = {"linen LSTM", "linen GRU"}


@in_float64
@pytest.mark.parametrize("name", slow_where((AGAIN | LINEN).__contains__, FOREIGN))
def test_a_cell_of_others_has_its_paths_untouched(name):
    cell, params = FOREIGN[name][0]()
    xs = draw(2, BATCH, INPUT, seed=100)
    names = path_names(cell, params, xs[0])
    carry = make_carry(cell, params, (BATCH,))
    paths, whole = path_and_whole_jacobians(cell, params, xs, carry)
    assert set(paths) == {*names}
    assert_allclose(sum(paths.values()), whole, rtol=0, atol=1e-13)
    assert all(np.abs(path).max() > 1e-3 for path in paths.values())


def test_a_gate_is_called_by_the_field_that_it_reads():
    cell, params = of_haiku(hk.LSTM)
    names = path_names(cell, params, jnp.ones(INPUT))
    assert names[1:3] == ("hidden -> sigmoid 0", "hidden -> tanh 1")


@in_float64
def test_a_cell_of_ones_own_names_its_gates():
    """Its field "f" is the forget gate: what it keeps is what `forget_factors` says."""
    cell = replace(OWN, gates=("f", "g"))
    params, xs = own_params(), draw(2, BATCH, INPUT, seed=100)
    assert path_names(cell, params, xs[0]) == ("cell", "f", "g")
    values = lj.trace(cell, params, xs)
    paths = path_jacobians(cell, params, xs)
    assert_allclose(jnp.diagonal(paths["cell"], axis1=-2, axis2=-1), values["f"], 1e-14)
    stacked = lj.stack(cell, lj.RNN)
    both = params, make_params(lj.RNN, HIDDEN)
    assert path_names(stacked, both, xs[0]) == ("0.cell", "0.f", "0.g", "1.h")


def test_gates_that_the_step_does_not_show_are_refused():
    cell, params = replace(OWN, gates=("f", "g", "o")), own_params()
    xs = jnp.ones((1, INPUT))
    for call in (
        lambda: path_names(cell, params, xs[0]),
        lambda: lj.trace(cell, params, xs),
        lambda: path_shares(cell, params, xs, last_output),
    ):
        with pytest.raises(ValueError, match=r"gates: got f, g, o of 'own_step'") as e:
            call()
        assert "2 that read the memory (sigmoid 0, tanh 1)" in str(e.value)
        assert "\n" not in str(e.value)


def own_edges(params, copies, x):
    f = jax.nn.sigmoid(x @ params["w_f"] + copies["f"] @ params["u_f"])
    g = jnp.tanh(x @ params["w_g"] + copies["g"] @ params["u_g"])
    new = f * copies["cell"] + (1 - f) * g
    return new, new


@pytest.mark.slow
@in_float64
def test_edges_of_ones_own_stand_in_for_what_is_found():
    """The step in a `jax.checkpoint` shows one path; with its edges all three."""
    blind = lj.from_function(jax.checkpoint(own_step), begin)
    cell = replace(blind, gates=("f", "g"), edges=own_edges)
    params, xs = own_params(), draw(TIME, BATCH, INPUT, seed=100)
    mask = jnp.ones((TIME, BATCH), bool).at[1, 0].set(False)
    assert path_names(blind, params, xs[0]) == ("cell",)
    assert path_names(cell, params, xs[0]) == ("cell", "f", "g")
    named = replace(OWN, gates=("f", "g"))

    @jax.jit
    def both(cells=(cell, named)):
        return [
            (
                path_gradients(one, params, xs, every_output_counts, mask=mask),
                path_jacobians(one, params, xs),
            )
            for one in cells
        ]

    assert_trees_close(*both(), rtol=1e-12, atol=1e-14)
    assert set(lj.trace(cell, params, xs)) == {"carry"}
    with pytest.raises(ValueError, match="gates: got f, g of 'learned_carry"):
        path_names(
            lj.learned_carry(cell),
            lj.cells.LearnedCarryParams(params, jnp.zeros(HIDDEN)),
            xs[0],
        )
