"""Networks as functions of what sets their memory: the same, with that memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import draw, in_float64

import lstm_jax as lj
from experiments.common.memory_nets import NETS

UNITS, DECAY = 3, 0.9


def made(name):
    return NETS[name].make(jax.random.key(0), UNITS, DECAY)


@in_float64
@pytest.mark.parametrize(
    ("name", "cell"),
    [("min_gru", lj.cells.MIN_GRU), ("gru", lj.GRU), ("lstm", lj.LSTM)],
)
def test_a_gate_keeps_its_share_and_is_moved_alone(name, cell):
    """With θ = b of the gate that keeps: σ(b) is the decay, where x says nothing."""
    bias, params = made(name)
    assert_allclose(jax.nn.sigmoid(bias), DECAY, rtol=1e-12)
    carry, x = jax.tree.map(jnp.ones_like, cell.init_carry(params)), jnp.ones(1)
    moved = cell.init(
        jax.random.key(0), 1, UNITS, forget_bias=bias + 1, dtype="float64"
    )
    after, shown = NETS[name].cell.step((bias + 1, params), carry, x)
    jax.tree.map(assert_allclose, after, cell.step(moved, carry, x)[0])
    assert_allclose(shown, after.c if name == "lstm" else after.h)


@in_float64
def test_linear_networks_have_that_radius():
    scale, rotation = made("orthogonal")
    w_hh, _ = made("orthogonal_w_hh")
    assert_allclose(np.linalg.svd(w_hh, compute_uv=False), DECAY)
    h, x = draw(UNITS), draw(1)
    wanted = DECAY * h @ rotation.w_hh + x @ rotation.w_ih
    for name, theta in (("orthogonal", scale), ("orthogonal_w_hh", w_hh)):
        shown = NETS[name].cell.step((theta, rotation), lj.RNNCarry(h), x)[1]
        assert_allclose(shown, wanted)
    (nu, params), (_, without) = made("lru"), made("lru_without_gamma")
    assert_allclose(jnp.exp(-jnp.exp(nu)), DECAY)
    assert_allclose(jnp.exp(params.gamma_log), np.sqrt(1 - DECAY**2))
    assert_allclose(jnp.exp(without.gamma_log), 1)
