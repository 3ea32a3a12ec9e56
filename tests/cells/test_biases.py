"""Biases that init is told of land on the gate that they are meant for."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import biases_only
from comparing import assert_close
from problems import slow_but

import lstm_jax as lj

HIDDEN = 3
PER_UNIT = np.array([2.5, -1.0, 0.5], np.float32)


def with_option(option):
    """The cells whose `init` has such an option, by name."""
    return [
        name
        for name, cell in lj.CELLS.items()
        if option in inspect.signature(cell.init).parameters
    ]


FORGET_BIAS, INPUT_BIAS = with_option("forget_bias"), with_option("input_bias")
KEEPING = [name for name in FORGET_BIAS if lj.CELLS[name].memory]
# In one matrix of gates, in matrices of their own, and in a gate that is tied.
KINDS = ("lstm", "four_gate", "gru")


def biases_of(params):
    """What init left in the fields of biases, one row a gate."""
    leaves = [leaf for name, leaf in params._asdict().items() if name.startswith("b")]
    return np.concatenate([leaf.reshape(-1, HIDDEN) for leaf in leaves])


def assert_only_one(params, wanted):
    """Asserts that one gate has this bias, and all others none."""
    wanted = np.broadcast_to(wanted, HIDDEN).astype(np.float32)
    gates = [row for row in biases_of(params) if row.any()]
    np.testing.assert_array_equal(gates, [wanted])


def without_weights(params):
    """Gates then say σ of their bias, whatever they read."""
    fields = params._asdict().items()
    return params._replace(**{n: 0 * leaf for n, leaf in fields if n[0] != "b"})


def test_the_cells_of_the_lesson_have_both():
    assert {"lstm", "four_gate"} <= set(FORGET_BIAS) & set(INPUT_BIAS)


@pytest.mark.parametrize("name", slow_but(KINDS, KEEPING))
def test_forget_bias_lands_on_the_gate_that_keeps_and_on_no_other(name, key):
    cell = lj.CELLS[name]
    none = {"input_bias": 0.0} if name in INPUT_BIAS else {}
    for options, wanted in [
        ({}, 1.0),
        ({"forget_bias": 2.5}, 2.5),
        ({"forget_bias": jnp.asarray(PER_UNIT)}, PER_UNIT),
    ]:
        params = cell.init(key, 2, HIDDEN, **biases_only(none | options, cell))
        if cell.transition is None:  # the linear ones share it between gates
            assert_only_one(params, wanted)
        silent = without_weights(params)
        kept = lj.gradients.forget_factors(cell, silent, jnp.ones((1, 2)))
        assert_close(kept[0], jax.nn.sigmoid(jnp.broadcast_to(wanted, HIDDEN)))


@pytest.mark.parametrize("name", slow_but(KINDS[:2], INPUT_BIAS))
def test_input_bias_lands_on_the_gate_that_learns_and_on_no_other(name, key):
    cell = lj.CELLS[name]
    none = {"forget_bias": 0.0} if name in FORGET_BIAS else {}
    for wanted in (-1.5, PER_UNIT):
        options = none | {"input_bias": jnp.asarray(wanted)}
        params = cell.init(key, 2, HIDDEN, **biases_only(options))
        assert_only_one(params, wanted)
        said = lj.trace(cell, without_weights(params), jnp.ones((1, 2)))["i"]
        assert_close(said[0], jax.nn.sigmoid(jnp.broadcast_to(wanted, HIDDEN)))


@pytest.mark.parametrize("name", slow_but(["four_gate", "gru"], KEEPING))
@pytest.mark.usefixtures("x64")
def test_without_weights_the_memory_keeps_to_the_power_of_the_lag(name):
    """dc_T/dc_0 = σ(b)^T, 2^-T at b = 0."""
    cell, time, bias = lj.CELLS[name], 5, np.array([0.0, 1.0, -1.0])
    memory = str(cell.memory)
    given = {"forget_bias": jnp.asarray(bias), "dtype": jnp.float64}
    options = biases_only(given, cell)
    params = without_weights(cell.init(jax.random.key(0), 2, HIDDEN, **options))
    carry = cell.init_carry(params, (2,))

    def last(kept):
        entering = carry._replace(**{memory: kept})
        final, _ = lj.unroll_reference(cell, params, jnp.ones((time, 2, 2)), entering)
        return getattr(final, memory)

    kept = getattr(carry, memory)
    push = lambda kept: jax.jvp(last, (kept,), (jnp.ones_like(kept),))[1]
    moved = jax.jit(push)(np.asarray(kept) + 0.3)
    assert_close(moved, np.tile((1 + np.exp(-bias)) ** -time, (2, 1)))


@pytest.mark.parametrize("name", slow_but(KINDS, FORGET_BIAS))
def test_a_bias_of_another_number_of_units_is_refused(name, key):
    message = r"forget_bias: shape is \(4,\); it must be \(\) or \(3,\)"
    with pytest.raises(ValueError, match=message):
        cell = lj.CELLS[name]
        cell.init(key, 2, 3, **biases_only({"forget_bias": jnp.ones(4)}, cell))


@pytest.mark.parametrize(
    "name",
    # The gates of mlstm are one number, and start where its authors have them.
    [
        name
        for name, cell in lj.CELLS.items()
        if name not in {*FORGET_BIAS, "mlstm"} and not cell.transition
    ],
)
def test_biases_of_cells_without_a_gate_that_keeps_are_zero(name, key):
    assert not biases_of(lj.CELLS[name].init(key, 2, HIDDEN)).any()


def test_biases_of_full_gate_recurrence_are_those_of_the_vanilla_lstm(key):
    options = biases_only({"input_bias": -1.5, "forget_bias": jnp.asarray(PER_UNIT)})
    full, vanilla = (
        lj.cells.peephole_lstm(variant).init(key, 2, 3, **options)
        for variant in ("FGR", "V")
    )
    np.testing.assert_array_equal(full.b, vanilla.b)
