"""The expRNN: it turns, so that gradients keep their norm over any lag."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close
from problems import compiled, draw, make_params

import lstm_jax as lj
from lstm_jax import cells
from lstm_jax.cells import EXP_RNN, modrelu

skew_exp = jax.jit(cells.skew_exp)
henaff = jax.jit(cells.henaff, static_argnums=(1, 2))
in_float64 = pytest.mark.usefixtures("x64")


@in_float64
def test_a_net_whose_units_all_speak_keeps_the_norm_of_its_gradient():
    params = make_params(EXP_RNN, 2, 6)._replace(w_hh=draw(6, 6), b=np.full(6, 0.1))
    loss_fn = lambda ys: jnp.sum(ys[-1] ** 2)
    measure = compiled(lj.log_gradient_norms, EXP_RNN, loss_fn=loss_fn)
    norms = np.asarray(measure(params, draw(300, 2)).h)
    assert_close(norms, np.full_like(norms, norms[-1]))


@in_float64
def test_what_is_below_the_diagonal_is_not_read_and_not_trained():
    w_hh = draw(5, 5)
    assert_close(skew_exp(w_hh), skew_exp(np.triu(w_hh, 1)))
    weights = draw(5, 5, seed=1)
    gradient = jax.jit(jax.grad(lambda w: jnp.sum(weights * skew_exp(w))))(w_hh)
    assert (np.tril(gradient) == 0).all()
    assert (np.triu(gradient, 1) != 0).sum() == 10


@in_float64
def test_it_starts_as_turns_of_pairs_of_units():
    w_hh = np.asarray(henaff(jax.random.key(1), (5, 5), jnp.float64))
    angles = w_hh[0, 1], w_hh[2, 3]
    wanted = np.eye(5)
    for pair, angle in enumerate(angles):
        at = slice(2 * pair, 2 * pair + 2)
        cos, sin = np.cos(angle), np.sin(angle)
        wanted[at, at] = [[cos, sin], [-sin, cos]]
    assert_close(skew_exp(w_hh), wanted)
    many = henaff(jax.random.key(2), (4000, 4000), jnp.float32)
    drawn = np.asarray(many)[np.arange(0, 4000, 2), np.arange(1, 4000, 2)]
    assert np.abs(drawn).max() <= np.pi
    assert abs(drawn.std() - np.pi / 3**0.5) < 0.1 and abs(drawn.mean()) < 0.2


@in_float64
def test_it_turns_and_never_reflects():
    assert_close(np.linalg.det(skew_exp(draw(5, 5, scale=3.0))), 1.0)


def test_a_bias_below_zero_silences_small_values():
    z = jnp.array([-3.0, -0.5, 0.0, 0.5, 3.0])
    assert_close(modrelu(z, jnp.full(5, -1.0)), np.array([-2.0, 0, 0, 0, 2]))
    assert_close(modrelu(z, jnp.zeros(5)), np.asarray(z))


def test_half_precision_rounds_a_rotation_of_single():
    w_hh = np.asarray(draw(4, 4), jnp.bfloat16)
    half = np.asarray(skew_exp(w_hh))
    assert half.dtype == jnp.bfloat16
    wanted = np.asarray(skew_exp(w_hh.astype(np.float32)))
    assert (half == wanted.astype(jnp.bfloat16)).all()
