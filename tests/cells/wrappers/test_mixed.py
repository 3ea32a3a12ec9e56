"""Mixed precision: products in half, memory in full."""

import jax
import jax.numpy as jnp
import pytest
from cells.short_runs import BATCH, HIDDEN, INPUT, close, sequence
from comparing import equations_of

import lstm_jax as lj


def test_mixed_multiplies_in_half_precision_and_remembers_in_full(key):
    cell = lj.mixed(lj.LSTM)
    params = cell.init(key, INPUT, HIDDEN)
    carry = lj.LSTMCarry(h=jnp.zeros((BATCH, HIDDEN)), c=jnp.full((BATCH, HIDDEN), 1.0))
    x = jax.random.normal(key, (BATCH, INPUT))
    half, _ = cell.step(params, carry, x)
    full, _ = lj.LSTM.step(params, carry, x)
    assert half.c.dtype == jnp.float32
    rounded = params._replace(
        w_ih=params.w_ih.astype(jnp.bfloat16).astype(jnp.float32),
        w_hh=params.w_hh.astype(jnp.bfloat16).astype(jnp.float32),
    )
    x_rounded = x.astype(jnp.bfloat16).astype(jnp.float32)
    close(half, lj.LSTM.step(rounded, carry, x_rounded)[0], 1e-6)
    assert not jnp.allclose(half.c, full.c, atol=1e-6)


def test_mixed_hands_half_precision_to_every_product(key):
    """Rounded and widened again the numbers would be the same, and nothing faster."""
    params = lj.LSTM.init(key, INPUT, HIDDEN)
    carry, x = lj.LSTM.init_carry(params), jnp.ones(INPUT)
    program = jax.make_jaxpr(lj.mixed(lj.LSTM).step)(params, carry, x).jaxpr
    products = [e for e in equations_of(program) if e.primitive.name == "dot_general"]
    assert len(products) == 2
    for product in products:
        assert {var.aval.dtype.name for var in product.invars} == {"bfloat16"}
        assert {var.aval.dtype.name for var in product.outvars} == {"float32"}


@pytest.mark.slow
def test_mixed_trains_with_the_engine_as_without(key):
    cell = lj.mixed(lj.LSTM)
    params = cell.init(key, INPUT, HIDDEN)
    xs = sequence(key, dtype=jnp.float32)

    def loss(params, implementation):
        _, ys = lj.unroll(cell, params, xs, implementation=implementation)
        return jnp.sum(ys**2)

    auto, plain = (jax.grad(loss)(params, name) for name in ("auto", "plain"))
    close(auto, plain, 5e-2)
    assert jax.tree.leaves(auto)[0].dtype == jnp.float32
