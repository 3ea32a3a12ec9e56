"""scoRNN: orthogonal like the expRNN, and it reflects."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close
from problems import draw

from lstm_jax.cells import quarter_turns, scaled_cayley, sco_rnn

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
@pytest.mark.parametrize(("negative", "sign"), [(0, 1), (0.2, -1), (0.5, 1), (1, -1)])
def test_it_is_orthogonal_and_an_odd_number_of_signs_reflects(negative, sign):
    w = np.asarray(scaled_cayley(3 * draw(5, 5), negative))
    assert_close(w @ w.T, np.eye(5))
    assert_close(np.linalg.det(w), float(sign))


@in_float64
def test_it_starts_as_quarter_turns_and_their_mirror_images():
    """Pairs with 1 in D turn by up to π/2, those with -1 by π less as much."""
    w_hh = quarter_turns(jax.random.key(1), (8, 8), jnp.float64)
    pairs = np.arange(0, 8, 2)
    drawn = -2 * np.arctan(w_hh[pairs, pairs + 1])
    assert (drawn > 0).all() and (drawn < np.pi / 2).all()
    angles = np.concatenate([drawn[:2], np.pi - drawn[2:]])
    found = np.angle(np.linalg.eigvals(scaled_cayley(w_hh)))
    assert_close(np.sort(found), np.sort(np.concatenate([angles, -angles])))


@in_float64
def test_what_is_below_the_diagonal_is_not_trained_and_gain_0_leaves_the_signs():
    gradient = jax.grad(lambda w: jnp.sum(draw(5, 5, seed=1) * scaled_cayley(w)))
    slope = gradient(draw(5, 5))
    assert (jnp.tril(slope) == 0).all() and (jnp.triu(slope, 1) != 0).sum() == 10
    params = sco_rnn(0.25).init(jax.random.key(0), 2, 4, gain=0.0)
    signs = np.diag([1.0, 1, 1, -1])
    np.testing.assert_array_equal(scaled_cayley(params.w_hh, 0.25), signs)


def test_half_precision_rounds_a_matrix_of_single():
    w_hh = jnp.asarray(draw(4, 4), jnp.bfloat16)
    wanted = scaled_cayley(w_hh.astype(jnp.float32)).astype(jnp.bfloat16)
    assert (scaled_cayley(w_hh) == wanted).all()
