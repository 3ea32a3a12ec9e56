"""scan: the engine against `lax.scan`, for every cell, the peers' and a user's."""

from functools import partial

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine.runs import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    Run,
    cell_run,
    close,
    drawn,
    first,
    normal,
    plainly,
    second,
    second_again,
    weighted,
)
from flax import nnx
from problems import slow_but, slow_where

import lstm_jax as lj
from lstm_jax.engine.scanning import scan

EVERY_DERIVATIVE = ["rnn", "lstm", "four_gate", "gru", "projection_lstm", "lstm97"]
OTHERS = [name for name in lj.CELLS if name not in EVERY_DERIVATIVE]


def doubled(tree):
    """Draws in the dtype of the test, whatever the library begins with."""
    return jax.tree.map(lambda leaf: normal(*leaf.shape), tree)


KEY = jax.ShapeDtypeStruct((2,), np.uint32)


def hidden_states(number):
    return tuple(normal(BATCH, HIDDEN, seed=seed) for seed in range(number))


def linen_run(make, carry):
    cell = make(HIDDEN, dtype=jnp.float64, param_dtype=jnp.float64)
    return (
        cell.apply,
        jax.eval_shape(cell.init, KEY, carry, normal(BATCH, INPUT)),
        carry,
    )


def nnx_run(make):
    def init():
        return make(
            INPUT, HIDDEN, rngs=nnx.Rngs(0), dtype=jnp.float64, param_dtype=jnp.float64
        )

    cell = nnx.eval_shape(init)
    graph, state = nnx.split(cell)
    return lambda state, c, x: nnx.merge(graph, state)(c, x), state, hidden_states(2)


def haiku_run(make):
    core = hk.without_apply_rng(hk.transform(lambda x, s: make(HIDDEN)(x, s)))
    hidden = hk.LSTMState(*hidden_states(2))
    params = jax.eval_shape(core.init, KEY, normal(BATCH, INPUT), hidden)
    return lambda p, c, x: core.apply(p, x, c)[::-1], params, hidden


def equinox_run(make):
    cell = eqx.filter_eval_shape(make, INPUT, HIDDEN, key=KEY)
    arrays, rest = eqx.partition(cell, lambda a: isinstance(a, jax.ShapeDtypeStruct))

    def step(arrays, carry, x):
        carry = jax.vmap(eqx.combine(arrays, rest))(x, carry)
        return carry, carry[0]

    return step, arrays, hidden_states(2)


PEERS = {
    "linen LSTM": lambda: linen_run(nn.OptimizedLSTMCell, hidden_states(2)),
    "linen GRU": lambda: linen_run(nn.GRUCell, *hidden_states(1)),
    "nnx LSTM": lambda: nnx_run(nnx.LSTMCell),
    "haiku LSTM": lambda: haiku_run(hk.LSTM),
    "equinox LSTM": lambda: equinox_run(eqx.nn.LSTMCell),
}


def probed(run):
    """The run with probes that are added to the carry inside the step."""

    def step(params, carry, inputs):
        x, probe = inputs
        return run.step(params, jax.tree.map(jnp.add, carry, probe), x)

    probes = jax.tree.map(lambda leaf: jnp.stack([leaf] * TIME), run.carry)
    return run._replace(step=step, xs=(run.xs, drawn(probes, 4, scale=0.1)))


# Engine = plain, for every cell


@pytest.mark.parametrize("name", slow_but(["lstm97"], EVERY_DERIVATIVE))
def test_every_derivative_is_that_of_the_plain_scan(name, x64):
    run = cell_run(name)
    wanted = plainly(second, run)
    close(second(run), wanted)
    *_, moved, bent = wanted
    close(second_again(run), ((moved, bent), (moved, bent)))


@pytest.mark.parametrize("name", slow_but(["lstm"], EVERY_DERIVATIVE))
def test_probes_in_reverse_have_the_derivatives_of_the_plain_scan(name, x64):
    run = probed(cell_run(name))
    close(first(run, reverse=True), plainly(first, run, reverse=True))


@pytest.mark.parametrize("name", slow_but(["layer_norm_lstm", "indrnn"], OTHERS))
def test_first_derivatives_are_those_of_the_plain_scan(name, x64):
    run = cell_run(name)
    close(first(run), plainly(first, run))


@pytest.mark.parametrize("peer", slow_where("linen LSTM".__eq__, PEERS))
def test_cells_of_other_libraries(peer, x64):
    step, params, carry = PEERS[peer]()
    xs = normal(TIME, BATCH, INPUT, seed=3)
    run = Run(step, doubled(params), drawn(carry, 2), xs)
    assert run.report.refused == ()
    close(second(run), plainly(second, run))


def test_values_are_those_of_a_loop(x64):
    """Neither side of the other tests is asked whether time runs the right way."""
    run = cell_run("rnn")
    for reverse in (False, True):
        carry, ys = run.carry, [run.xs] * TIME
        for t in reversed(range(TIME)) if reverse else range(TIME):
            carry, ys[t] = run.step(run.params, carry, run.xs[t])
        got = jax.jit(partial(scan, run.step, reverse=reverse))(*run[1:])
        close(got, (carry, jnp.stack(ys)))


def test_unroll_changes_nothing(x64):
    run = cell_run("rnn")
    close(first(run, unroll=3), plainly(first, run))


# vmap


def test_vmap_is_a_loop(x64):
    """Of gradient and jvp: over examples, and over params, as seeds are."""
    run = cell_run("lstm")
    seeds = drawn(stacked([run.params, run.params]), 5)

    def derivatives(params, carry, xs):
        def loss(params, carry, xs):
            return weighted(scan(run.step, params, carry, xs))

        given = params, carry, xs
        moves = jax.tree.map(jnp.cos, given)
        slopes = jax.value_and_grad(loss, argnums=(0, 1, 2))
        return jax.jvp(loss, given, moves), slopes(*given)

    one = jax.jit(derivatives)
    xs = np.asarray(run.xs)
    example = [one(run.params, at(run.carry, b), xs[:, b]) for b in range(BATCH)]
    examples = jax.jit(jax.vmap(derivatives, in_axes=(None, 0, 1)))(*run[1:])
    close(examples, stacked(example))

    first = at(run.carry, 0), xs[:, 0]
    close(
        jax.jit(jax.vmap(derivatives, in_axes=(0, None, None)))(seeds, *first),
        stacked([one(at(seeds, seed), *first) for seed in range(2)]),
    )


def at(tree, place):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[place], tree)


def stacked(trees):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
