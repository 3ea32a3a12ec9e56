"""scoRNN: orthogonal like the expRNN, and it reflects."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close
from problems import draw

from lstm_jax import cells

scaled_cayley = jax.jit(cells.scaled_cayley, static_argnums=1)
quarter_turns = jax.jit(cells.quarter_turns, static_argnums=(1, 2))
in_float64 = pytest.mark.usefixtures("x64")


@in_float64
@pytest.mark.parametrize(("negative", "sign"), [(0, 1), (0.2, -1), (0.5, 1), (1, -1)])
def test_it_is_orthogonal_and_an_odd_number_of_signs_reflects(negative, sign):
    w = np.asarray(scaled_cayley(draw(5, 5, scale=3.0), negative))
    assert_close(w @ w.T, np.eye(5))
    assert_close(np.linalg.det(w), float(sign))


@in_float64
def test_it_starts_as_quarter_turns_and_their_mirror_images():
    """Pairs with 1 in D turn by up to π/2, those with -1 by π less as much."""
    w_hh = np.asarray(quarter_turns(jax.random.key(1), (8, 8), jnp.float64))
    pairs = np.arange(0, 8, 2)
    drawn = -2 * np.arctan(w_hh[pairs, pairs + 1])
    assert (drawn > 0).all() and (drawn < np.pi / 2).all()
    angles = np.concatenate([drawn[:2], np.pi - drawn[2:]])
    found = np.angle(np.linalg.eigvals(scaled_cayley(w_hh)))
    assert_close(np.sort(found), np.sort(np.concatenate([angles, -angles])))


@in_float64
def test_what_is_below_the_diagonal_is_not_trained_and_gain_0_leaves_the_signs():
    weights = draw(5, 5, seed=1)
    gradient = jax.jit(jax.grad(lambda w: jnp.sum(weights * scaled_cayley(w))))
    slope = gradient(draw(5, 5))
    assert (np.tril(slope) == 0).all() and (np.triu(slope, 1) != 0).sum() == 10
    init = partial(cells.sco_rnn(0.25).init, input_size=2, hidden_size=4, gain=0.0)
    params = jax.jit(init)(jax.random.key(0))
    signs = np.diag([1.0, 1, 1, -1])
    np.testing.assert_array_equal(scaled_cayley(params.w_hh, 0.25), signs)


def test_half_precision_rounds_a_matrix_of_single():
    w_hh = np.asarray(draw(4, 4), jnp.bfloat16)
    wanted = np.asarray(scaled_cayley(w_hh.astype(np.float32)))
    assert (np.asarray(scaled_cayley(w_hh)) == wanted.astype(jnp.bfloat16)).all()
