"""The GRU and its kin, IRNN, projection and layer norm against other libraries."""

from functools import cache, partial
from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from cells.sequences import SIZES, Sizes, float64_problem, solve
from comparing import assert_close
from jax import lax
from problems import slow_where

import lstm_jax as lj

in_float64 = pytest.mark.usefixtures("x64")
for_any_sizes = hypothesis.given(
    sizes=st.builds(
        lambda *numbers: Sizes(*numbers), *(4 * [st.integers(min_value=1, max_value=4)])
    )
)
few = hypothesis.settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=[hypothesis.Phase.generate],  # to shrink is to compile for every size
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)


@cache  # one function per step, so that `solve` is compiled once for each
def scanned(step):
    return lambda params, carry, xs: lax.scan(partial(step, params), carry, xs)


# ---------------------------------------------------------------------------
# Other JAX libraries
# ---------------------------------------------------------------------------


# Each peer is a step on OUR params and carry, which hands our weights to the peer. Its
# gradients with respect to our weights are then JAX's, through the peer's own code.


def linen(make_cell, letters, carry_type):
    """A linen cell with kernels i? and h?, its biases where it has them."""

    def step(params, carry, x):
        weights: dict[str, Any] = {}
        parts = [jnp.split(leaf, len(letters), axis=-1) for leaf in params[:3]]
        for letter, w_ih, w_hh, b in zip(letters, *parts, strict=True):
            weights[f"i{letter}"] = {"kernel": w_ih, "bias": b}
            weights[f"h{letter}"] = {"kernel": w_hh}
        weights["hn"]["bias"] = params.b_hn
        peer = make_cell(features=carry.h.shape[-1], dtype=x.dtype, param_dtype=x.dtype)
        h, y = peer.apply({"params": weights}, carry.h, x)
        return carry_type(h=h), y

    return step


def linen_simple_relu(params, carry, x):
    weights = {
        "i": {"kernel": params.w_ih, "bias": params.b},
        "h": {"kernel": params.w_hh},
    }
    peer = nn.SimpleCell(
        features=carry.h.shape[-1],
        activation_fn=jax.nn.relu,
        dtype=x.dtype,
        param_dtype=x.dtype,
    )
    h, y = peer.apply({"params": weights}, carry.h, x)
    return lj.RNNCarry(h=h), y


def equinox_gru(params, carry, x):
    hidden = carry.h.shape[-1]
    peer = eqx.nn.GRUCell(x.shape[-1], hidden, key=jax.random.key(0))
    weights = (params.w_ih.T, params.w_hh.T, params.b, params.b_hn)
    where = lambda p: (p.weight_ih, p.weight_hh, p.bias, p.bias_n)
    h = jax.vmap(eqx.tree_at(where, peer, weights))(x, carry.h)
    return lj.cells.GRUCarry(h=h), h


def haiku_gru(params, carry, x):
    """Haiku stacks z, r, a and its z is the share that is learned, σ(-s) = 1 - σ(s)."""

    def stacked(leaf):
        r, z, n = jnp.split(leaf, 3, axis=-1)
        return jnp.concatenate([-z, r, n], axis=-1)

    weights = dict(zip(("w_i", "w_h", "b"), map(stacked, params), strict=True))
    hidden = carry.h.shape[-1]
    peer = hk.transform(lambda x, state: hk.GRU(hidden)(x, state))
    y, h = peer.apply({"gru": weights}, None, x, carry.h)
    return lj.cells.GRUCarry(h=h), y


PEERS = {
    "flax.linen.GRUCell": (lj.GRU, linen(nn.GRUCell, "rzn", lj.cells.GRUCarry)),
    "flax.linen.MGUCell": (lj.cells.MGU, linen(nn.MGUCell, "fn", lj.cells.GRUCarry)),
    "flax.linen.SimpleCell": (lj.cells.IRNN, linen_simple_relu),
    "equinox.nn.GRUCell": (lj.GRU, equinox_gru),
    "haiku.GRU": (lj.cells.GRU_RESET_BEFORE, haiku_gru),
}
AGAIN_OF_FLAX = {"flax.linen.MGUCell", "flax.linen.SimpleCell"}


@in_float64
@pytest.mark.parametrize("peer", slow_where(AGAIN_OF_FLAX.__contains__, PEERS))
@for_any_sizes
@few
def test_values_and_gradients_agree_with_other_jax_libraries(peer, sizes):
    cell, step = PEERS[peer]
    problem = float64_problem(cell, sizes)
    assert_close(solve(scanned(cell.step), problem), solve(scanned(step), problem))


# ---------------------------------------------------------------------------
# torch
# ---------------------------------------------------------------------------


def gru_to_torch(params):
    """Weights by torch's names; where torch has two biases that add, half of each."""
    r_and_z, n = np.split(params.b, [2 * len(params.b_hn)])
    return {
        "weight_ih_l0": params.w_ih.T,
        "weight_hh_l0": params.w_hh.T,
        "bias_ih_l0": np.concatenate([0.25 * r_and_z, n]),
        "bias_hh_l0": np.concatenate([0.75 * r_and_z, params.b_hn]),
    }


def gru_from_torch(grads):
    hidden = grads["weight_hh_l0"].shape[1]
    return lj.GRUParams(
        w_ih=grads["weight_ih_l0"].T,
        w_hh=grads["weight_hh_l0"].T,
        b=grads["bias_ih_l0"],
        b_hn=grads["bias_hh_l0"][2 * hidden :],
    )


def other_to_torch(params):
    weights = {
        "weight_ih_l0": params.w_ih.T,
        "weight_hh_l0": params.w_hh.T,
        "bias_ih_l0": 0.25 * params.b,
        "bias_hh_l0": 0.75 * params.b,
    }
    if isinstance(params, lj.cells.ProjectionLSTMParams):
        weights["weight_hr_l0"] = params.w_hr.T
    return weights


def projection_from_torch(grads):
    return lj.cells.ProjectionLSTMParams(
        w_ih=grads["weight_ih_l0"].T,
        w_hh=grads["weight_hh_l0"].T,
        b=grads["bias_ih_l0"],
        w_hr=grads["weight_hr_l0"].T,
    )


def irnn_from_torch(grads):
    return lj.RNNParams(
        w_ih=grads["weight_ih_l0"].T,
        w_hh=grads["weight_hh_l0"].T,
        b=grads["bias_ih_l0"],
    )


def solve_in_torch(module: Any, problem, to_torch, from_torch):
    """What `solve` returns, from a module of torch with the same weights."""
    weights = to_torch(jax.tree.map(np.asarray, problem.params))
    module = module.double()
    module.load_state_dict({k: torch.tensor(np.array(v)) for k, v in weights.items()})
    as_tensor = lambda a: torch.tensor(np.array(a))
    xs: Any = as_tensor(problem.xs).requires_grad_()
    leaves = [as_tensor(leaf[None]).requires_grad_() for leaf in problem.carry]
    ys, finals = module(xs, tuple(leaves) if len(leaves) > 1 else leaves[0])
    finals = finals if len(leaves) > 1 else [finals]
    pairs = [(ys, problem.dys), *zip(finals, problem.dcarry, strict=True)]
    torch.stack([(out * as_tensor(d)).sum() for out, d in pairs]).sum().backward()
    weights = module.named_parameters()
    grads: Any = {k: weight.grad.numpy() for k, weight in weights}
    as_carry = lambda ts: type(problem.carry)(*(t.detach().numpy()[0] for t in ts))
    d_carry = as_carry([leaf.grad for leaf in leaves])
    d_params = from_torch(grads)
    return as_carry(finals), ys.detach().numpy(), d_params, d_carry, xs.grad.numpy()


@in_float64
@for_any_sizes
@few
def test_gru_agrees_with_torch(sizes):
    problem = float64_problem(lj.GRU, sizes)
    module = torch.nn.GRU(sizes.input, sizes.hidden)
    wanted = solve_in_torch(module, problem, gru_to_torch, gru_from_torch)
    assert_close(solve(scanned(lj.GRU.step), problem), wanted)


@in_float64
@for_any_sizes
@few
def test_irnn_agrees_with_torch(sizes):
    problem = float64_problem(lj.cells.IRNN, sizes)
    module = torch.nn.RNN(sizes.input, sizes.hidden, nonlinearity="relu")
    wanted = solve_in_torch(module, problem, other_to_torch, irnn_from_torch)
    assert_close(solve(scanned(lj.cells.IRNN.step), problem), wanted)


@in_float64
@for_any_sizes
@few
def test_projection_lstm_agrees_with_proj_size_of_torch(sizes):
    hidden = sizes.hidden + 1  # torch wants proj_size below hidden_size
    sizes = sizes._replace(hidden=hidden)
    cell = lj.cells.PROJECTION_LSTM
    problem = float64_problem(cell, sizes, projection_size=sizes.hidden - 1)
    module = torch.nn.LSTM(sizes.input, hidden, proj_size=hidden - 1)
    wanted = solve_in_torch(module, problem, other_to_torch, projection_from_torch)
    assert_close(solve(scanned(cell.step), problem), wanted)


@in_float64
def test_layer_norm_agrees_with_torch():
    """torch.nn.functional.layer_norm, put where the paper puts it."""
    params, carry, xs, *_ = float64_problem(lj.cells.LAYER_NORM_LSTM)
    p, (h, c), x = jax.tree.map(
        lambda a: torch.tensor(np.array(a)), (params, carry, xs[0])
    )
    norm = torch.nn.functional.layer_norm
    n = 4 * SIZES.hidden
    z = norm(x @ p.w_ih, [n], p.scale_ih, p.b) + norm(h @ p.w_hh, [n], p.scale_hh)
    i, f, g, o = z.chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * norm(c, [SIZES.hidden], p.scale_c, p.b_c).tanh()
    after, y = lj.cells.LAYER_NORM_LSTM.step(params, carry, xs[0])
    assert_close((after, y), ((h.numpy(), c.numpy()), h.numpy()))
