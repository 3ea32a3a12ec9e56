"""The expRNN: it turns, so that gradients keep their norm over any lag."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close
from problems import draw

import lstm_jax as lj
from lstm_jax.cells import EXP_RNN, henaff, modrelu, skew_exp

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
def test_a_net_whose_units_all_speak_keeps_the_norm_of_its_gradient():
    params = EXP_RNN.init(jax.random.key(0), 2, 6, dtype=jnp.float64)
    params = params._replace(w_hh=draw(6, 6), b=0.1 + 0 * params.b)
    loss_fn = lambda ys: jnp.sum(ys[-1] ** 2)
    xs = draw(300, 2)
    norms = np.asarray(lj.log_gradient_norms(EXP_RNN, params, xs, loss_fn).h)
    assert_close(norms, np.full_like(norms, norms[-1]))


@in_float64
def test_what_is_below_the_diagonal_is_not_read_and_not_trained():
    w_hh = draw(5, 5)
    assert_close(skew_exp(w_hh), skew_exp(jnp.triu(w_hh, 1)))
    gradient = jax.grad(lambda w: jnp.sum(draw(5, 5, seed=1) * skew_exp(w)))(w_hh)
    assert (jnp.tril(gradient) == 0).all()
    assert (jnp.triu(gradient, 1) != 0).sum() == 10


@in_float64
def test_it_starts_as_turns_of_pairs_of_units():
    w_hh = henaff(jax.random.key(1), (5, 5), jnp.float64)
    angles = np.asarray(jnp.stack([w_hh[0, 1], w_hh[2, 3]]))
    wanted = np.eye(5)
    for pair, angle in enumerate(angles):
        at = slice(2 * pair, 2 * pair + 2)
        cos, sin = np.cos(angle), np.sin(angle)
        wanted[at, at] = [[cos, sin], [-sin, cos]]
    assert_close(skew_exp(w_hh), wanted)
    many = henaff(jax.random.key(2), (4000, 4000), jnp.float32)
    drawn = np.asarray(many[np.arange(0, 4000, 2), np.arange(1, 4000, 2)])
    assert np.abs(drawn).max() <= np.pi
    assert abs(drawn.std() - np.pi / 3**0.5) < 0.1 and abs(drawn.mean()) < 0.2


@in_float64
def test_it_turns_and_never_reflects():
    assert_close(np.linalg.det(skew_exp(3 * draw(6, 6))), 1.0)


def test_a_bias_below_zero_silences_small_values():
    z = jnp.array([-3.0, -0.5, 0.0, 0.5, 3.0])
    assert_close(modrelu(z, jnp.full(5, -1.0)), np.array([-2.0, 0, 0, 0, 2]))
    assert_close(modrelu(z, jnp.zeros(5)), np.asarray(z))


def test_half_precision_rounds_a_rotation_of_single():
    w_hh = jnp.asarray(draw(4, 4), jnp.float32)
    half = skew_exp(w_hh.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    wanted = skew_exp(w_hh.astype(jnp.bfloat16).astype(jnp.float32))
    assert (half == wanted.astype(jnp.bfloat16)).all()
