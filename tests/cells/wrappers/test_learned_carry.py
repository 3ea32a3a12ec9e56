"""A carry that is learned."""

import jax
import jax.numpy as jnp
from cells.short_runs import BATCH, HIDDEN, INPUT, close, sequence

import lstm_jax as lj


def test_a_learned_carry_starts_as_the_cells_and_has_a_gradient(key, x64):
    cell = lj.learned_carry(lj.LSTM)
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)
    close(lj.unroll(cell, params, xs), lj.unroll(lj.LSTM, params.cell, xs))

    def loss(params, carry):
        return jnp.sum(lj.unroll(cell, params, xs, carry)[1] ** 2)

    learned = jax.grad(loss)(params, None).carry
    given = jax.grad(loss, 1)(params, cell.init_carry(params, (BATCH,)))
    close(learned, jax.tree.map(lambda leaf: leaf.sum(0), given))
