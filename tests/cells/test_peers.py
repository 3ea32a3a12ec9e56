"""Every cell that another library has, against that library."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import pytest
import torch
from cells.sequences import Problem, Sizes, by_gate, make_problem, solve, unrolled
from comparing import assert_close
from flax import nnx
from problems import slow_but

import lstm_jax as lj

# ---------------------------------------------------------------------------
# Against torch
# ---------------------------------------------------------------------------


TORCH = {
    lj.LSTM: torch.nn.LSTM,
    lj.RNN: torch.nn.RNN,
    lj.rnn("relu"): partial(torch.nn.RNN, nonlinearity="relu"),
}


def solve_in_torch(make_module: Callable, problem: Problem):
    """What `solve` returns, from a module of torch with the same weights."""
    input_size, hidden = problem.xs.shape[-1], problem.params.w_hh.shape[0]
    module: Any = make_module(input_size, hidden)
    weights = {
        "weight_ih_l0": problem.params.w_ih.T,
        "weight_hh_l0": problem.params.w_hh.T,
        "bias_ih_l0": 0.25 * problem.params.b,
        "bias_hh_l0": 0.75 * problem.params.b,
    }
    module.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
    xs: Any = torch.tensor(problem.xs, requires_grad=True)
    leaves = [torch.tensor(leaf[None], requires_grad=True) for leaf in problem.carry]

    ys, finals = module(xs, tuple(leaves) if len(leaves) > 1 else leaves[0])
    finals = finals if len(leaves) > 1 else [finals]
    pairs = [(ys, problem.dys), *zip(finals, problem.dcarry, strict=True)]
    losses = [(out * torch.tensor(d)).sum() for out, d in pairs]
    torch.stack(losses).sum().backward()

    def as_carry(leaves):
        return type(problem.carry)(*(leaf.detach().numpy()[0] for leaf in leaves))

    grads = {k: weight.grad.numpy() for k, weight in module.named_parameters()}
    assert_close(grads["bias_ih_l0"], grads["bias_hh_l0"])
    d_params = type(problem.params)(
        w_ih=grads["weight_ih_l0"].T,
        w_hh=grads["weight_hh_l0"].T,
        b=grads["bias_ih_l0"],
    )
    d_carry = as_carry([leaf.grad for leaf in leaves])
    return as_carry(finals), ys.detach().numpy(), d_params, d_carry, xs.grad.numpy()


@pytest.mark.parametrize("cell", slow_but([lj.LSTM], TORCH), ids=lambda cell: cell.name)
@hypothesis.given(sizes=st.builds(Sizes, *(4 * [st.integers(1, 5)])))
@hypothesis.settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[hypothesis.Phase.generate],  # to shrink is to compile for every size
)
def test_values_and_gradients_agree_with_torch(cell, sizes):
    problem = make_problem(cell, sizes=sizes)
    wanted = solve_in_torch(TORCH[cell], problem)
    assert_close(solve(unrolled(cell), problem), wanted)


# ---------------------------------------------------------------------------
# Against flax, equinox and haiku
# ---------------------------------------------------------------------------


# Each peer is a step on OUR params and carry, which hands our weights to the peer. Its
# gradients with respect to our weights are then JAX's, through the peer's own code.


def linen_lstm(make_cell):
    def step(params, carry, x):
        weights = {}
        for gate, w_ih, w_hh, b in by_gate(params):
            weights[f"i{gate}"] = {"kernel": w_ih}
            weights[f"h{gate}"] = {"kernel": w_hh, "bias": b}
        peer = make_cell(features=carry.h.shape[-1])
        (c, h), y = peer.apply({"params": weights}, (carry.c, carry.h), x)
        return lj.LSTMCarry(h=h, c=c), y

    return step


def linen_simple(params, carry, x):
    weights = {
        "i": {"kernel": params.w_ih, "bias": params.b},
        "h": {"kernel": params.w_hh},
    }
    peer = nn.SimpleCell(features=carry.h.shape[-1])
    h, y = peer.apply({"params": weights}, carry.h, x)
    return lj.RNNCarry(h=h), y


def nnx_lstm(params, carry, x):
    peer = nnx.LSTMCell(x.shape[-1], carry.h.shape[-1], rngs=nnx.Rngs(0))
    for gate, w_ih, w_hh, b in by_gate(params):
        from_input = peer.if_ if gate == "f" else getattr(peer, f"i{gate}")
        from_hidden = getattr(peer, f"h{gate}")
        from_input.kernel[...] = w_ih
        from_hidden.kernel[...] = w_hh
        from_hidden.bias[...] = b
    (c, h), y = peer((carry.c, carry.h), x)
    return lj.LSTMCarry(h=h, c=c), y


def equinox_lstm(params, carry, x):
    input_size, hidden = x.shape[-1], carry.h.shape[-1]
    peer = eqx.nn.LSTMCell(input_size, hidden, key=jax.random.key(0))
    weights = (params.w_ih.T, params.w_hh.T, params.b)
    peer = eqx.tree_at(lambda p: (p.weight_ih, p.weight_hh, p.bias), peer, weights)
    h, c = jax.vmap(peer)(x, (carry.h, carry.c))
    return lj.LSTMCarry(h=h, c=c), h


def haiku_lstm(params, carry, x):
    # Haiku stacks i, g, f, o and adds 1 to what its forget gate reads.
    i, f, g, o = (jnp.concatenate(gate[1:3]) for gate in by_gate(params))
    b_i, b_f, b_g, b_o = jnp.split(params.b, 4)
    weights = {
        "w": jnp.concatenate([i, g, f, o], axis=-1),
        "b": jnp.concatenate([b_i, b_g, b_f - 1, b_o]),
    }
    hidden = carry.h.shape[-1]
    peer = hk.transform(lambda x, state: hk.LSTM(hidden)(x, state))
    state = hk.LSTMState(hidden=carry.h, cell=carry.c)
    y, state = peer.apply({"lstm/linear": weights}, None, x, state)
    return lj.LSTMCarry(h=state.hidden, c=state.cell), y


PEERS = {
    "flax.linen.LSTMCell": (lj.LSTM, linen_lstm(nn.LSTMCell)),
    "flax.linen.OptimizedLSTMCell": (lj.LSTM, linen_lstm(nn.OptimizedLSTMCell)),
    "flax.linen.SimpleCell": (lj.RNN, linen_simple),
    "flax.nnx.LSTMCell": (lj.LSTM, nnx_lstm),
    "equinox.nn.LSTMCell": (lj.LSTM, equinox_lstm),
    "haiku.LSTM": (lj.LSTM, haiku_lstm),
}


@pytest.mark.parametrize("peer", PEERS)
def test_values_and_gradients_agree_with_other_jax_libraries(peer):
    cell, step = PEERS[peer]
    problem = make_problem(cell)

    def run_peer(params, carry, xs):
        return jax.lax.scan(partial(step, params), carry, xs)

    assert_close(solve(unrolled(cell), problem), solve(run_peer, problem))
