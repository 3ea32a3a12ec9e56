"""Biases that init is told of land on the gate that they are meant for."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import biases_only

import lstm_jax as lj

FORGET_BIASES = {
    "lstm": ("b", 1),
    "four_gate": ("b_f", 0),
    "peephole_lstm": ("b", 1),
    "lesson_peephole_lstm": ("b_ifv", 1),
    "cifg_lstm": ("b", 0),
    "layer_norm_lstm": ("b", 1),
    "projection_lstm": ("b", 1),
    "gru": ("b", 1),
    "gru_reset_before": ("b", 1),
    "mgu": ("b", 0),
    "janet": ("b", 0),
    "minimal_rnn": ("b", 0),
}
"""Where the bias of the gate that keeps lies: in which field, as which gate."""
INPUT_BIASES = {
    "lstm": ("b", 0),
    "four_gate": ("b_i", 0),
    "lstm97": ("b", 0),
    "peephole_lstm": ("b", 0),
    "lesson_peephole_lstm": ("b_ifv", 0),
    "layer_norm_lstm": ("b", 0),
    "projection_lstm": ("b", 0),
}
"""The same for the gate that learns."""


def assert_only_bias(params, place, wanted, hidden=3):
    """Asserts that this gate has the bias and the other biases are zero."""
    for field, leaf in params._asdict().items():
        if field.startswith("b"):
            gates = leaf.reshape(-1, hidden)
            for k, bias in enumerate(gates):
                expected = wanted if (field, k) == place else 0.0
                np.testing.assert_array_equal(bias, np.broadcast_to(expected, hidden))


PER_UNIT = np.array([2.5, -1.0, 0.5], np.float32)


def test_every_cell_with_such_an_option_is_in_these_lists():
    for option, places in [
        ("forget_bias", FORGET_BIASES),
        ("input_bias", INPUT_BIASES),
    ]:
        named = [
            name
            for name, cell in lj.CELLS.items()
            if option in inspect.signature(cell.init).parameters
        ]
        assert named == [name for name in lj.CELLS if name in places]


@pytest.mark.parametrize("name", FORGET_BIASES)
def test_forget_bias_lands_on_the_forget_gate_only(name, key):
    for options, wanted in [
        ({}, 1.0),
        ({"forget_bias": 2.5}, 2.5),
        ({"forget_bias": jnp.asarray(PER_UNIT)}, PER_UNIT),
    ]:
        params = lj.CELLS[name].init(key, 2, 3, **biases_only(options))
        assert_only_bias(params, FORGET_BIASES[name], wanted)


@pytest.mark.parametrize("name", INPUT_BIASES)
def test_input_bias_lands_on_the_input_gate_only(name, key):
    none = {"forget_bias": 0.0} if name in FORGET_BIASES else {}
    for wanted in (-1.5, PER_UNIT):
        options = none | {"input_bias": jnp.asarray(wanted)}
        params = lj.CELLS[name].init(key, 2, 3, **biases_only(options))
        assert_only_bias(params, INPUT_BIASES[name], wanted)


@pytest.mark.parametrize("name", FORGET_BIASES)
def test_a_bias_of_another_number_of_units_is_refused(name, key):
    message = r"forget_bias: shape is \(4,\); it must be \(\) or \(3,\)"
    with pytest.raises(ValueError, match=message):
        options = biases_only({"forget_bias": jnp.ones(4)})
        lj.CELLS[name].init(key, 2, 3, **options)


@pytest.mark.parametrize("name", [n for n in lj.CELLS if n not in FORGET_BIASES])
def test_biases_of_cells_without_a_gate_that_keeps_are_zero(name, key):
    assert_only_bias(lj.CELLS[name].init(key, 2, 3), place=None, wanted=None)


def test_biases_of_full_gate_recurrence_are_those_of_the_vanilla_lstm(key):
    options = biases_only({"input_bias": -1.5, "forget_bias": jnp.asarray(PER_UNIT)})
    full, vanilla = (
        lj.cells.peephole_lstm(variant).init(key, 2, 3, **options)
        for variant in ("FGR", "V")
    )
    np.testing.assert_array_equal(full.b, vanilla.b)
