"""Transitions: what they do to a state, and that products of them are right."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close

import lstm_jax as lj
from lstm_jax.cells import Dense, Diagonal, Reflections, Rotation
from lstm_jax.cells.gru import GRUCarry

pytestmark = pytest.mark.usefixtures("x64")
BATCH, UNITS = (2, 3), 4
DRAW = np.random.default_rng(0)


def drawn(*shape):
    return jnp.asarray(DRAW.standard_normal((*BATCH, *shape)))


def unit(v):
    return v / jnp.linalg.norm(v, axis=-1, keepdims=True)


def reflections(*strengths):
    beta = jnp.broadcast_to(jnp.array(strengths), (*BATCH, len(strengths)))
    return Reflections(beta, unit(drawn(len(strengths), UNITS)))


PAIRS = {
    "diagonal": lambda: Diagonal(GRUCarry(drawn(UNITS))),
    "rotation": lambda: Rotation(drawn(UNITS), drawn(UNITS)),
    "dense": lambda: Dense(drawn(UNITS, UNITS)),
    "reflections": lambda: reflections(2.0, 0.3).closed(),
}


def state_for(name) -> Any:
    one = GRUCarry(drawn(UNITS))
    return lj.cells.LRUCarry(drawn(UNITS), drawn(UNITS)) if name == "rotation" else one


@pytest.mark.parametrize("name", PAIRS)
def test_a_product_does_what_two_do_one_after_the_other(name):
    first, then, state = PAIRS[name](), PAIRS[name](), state_for(name)
    assert_close(then.after(first).on(state), then.on(first.on(state)))
    assert_close(first.identity().on(state), state)


def test_a_rotation_multiplies_complex_numbers():
    a, h = Rotation(drawn(UNITS), drawn(UNITS)), state_for("rotation")
    numbers = [np.asarray(pair.re) + 1j * np.asarray(pair.im) for pair in (a, h)]
    wanted = numbers[0] * numbers[1]
    assert_close(tuple(a.on(h)), (wanted.real, wanted.imag))


def test_reflections_are_their_matrix_and_its_determinant_is_a_product():
    """det A = Π (1 - β_j)."""
    strengths = (0.5, 1.7, 2.0)
    a, state = reflections(*strengths), GRUCarry(drawn(UNITS))
    assert_close(a.on(state), a.closed().on(state))
    wanted = np.prod([1 - beta for beta in strengths])
    assert_close(jnp.linalg.det(a.closed().matrix), np.full(BATCH, wanted))


@pytest.mark.parametrize("form", ["reflections", "dense", "diagonal"])
def test_with_an_axis_of_one_a_transition_moves_every_row_of_a_matrix(form):
    """S Aᵀ, with one A for all rows."""
    matrix = drawn(3, UNITS)
    a: Any = {
        "reflections": lambda: Reflections(
            jnp.full((*BATCH, 1, 1), 0.7), unit(drawn(1, 1, UNITS))
        ),
        "dense": lambda: Dense(drawn(1, UNITS, UNITS)),
        "diagonal": lambda: Diagonal(drawn(1, UNITS)),
    }[form]()
    whole = (
        a.factors * jnp.eye(UNITS)
        if form == "diagonal"
        else a.closed().matrix[..., 0, :, :]
    )
    assert_close(a.on(matrix), matrix @ whole.mT)
    product = a.closed().after(a.closed())
    assert_close(product.on(matrix), matrix @ whole.mT @ whole.mT)


def test_scaled_reflections_have_a_determinant_to_the_power_of_the_units():
    """det A = α^n Π (1 - β_j)."""
    scale, state = jnp.full(BATCH, 0.9), GRUCarry(drawn(UNITS))
    a = reflections(0.5, 1.7)._replace(scale=scale)
    assert_close(a.on(state), a.closed().on(state))
    wanted = 0.9**UNITS * (1 - 0.5) * (1 - 1.7)
    assert_close(jnp.linalg.det(a.closed().matrix), np.full(BATCH, wanted))


def test_a_full_reflection_keeps_every_length():
    a, state = reflections(2.0, 2.0), GRUCarry(drawn(UNITS))
    lengths = [jnp.linalg.norm(h, axis=-1) for h in (a.on(state).h, state.h)]
    np.testing.assert_allclose(*lengths, rtol=1e-12)


@pytest.mark.parametrize("m", [3, 5, 12])
def test_two_reflections_count_modulo_any_number(m):
    """About axes π/m apart they turn by 2π/m: after n events, the angle is 2πn/m."""
    axes = jnp.array([[1.0, 0.0], [jnp.cos(jnp.pi / m), jnp.sin(jnp.pi / m)]])
    turn = Reflections(jnp.full(2, 2.0), axes)
    events = jnp.asarray(DRAW.integers(0, 2, 10_000))

    def count(state, event):
        state = jnp.where(event, turn.on(state), state)
        return state, jnp.round(jnp.arctan2(state[1], state[0]) * m / (2 * jnp.pi)) % m

    _, counted = jax.lax.scan(count, jnp.array([1.0, 0.0]), events)
    np.testing.assert_array_equal(counted, jnp.cumsum(events) % m)
