"""The cells beside those of other libraries, and what must be exactly true of each.

Numbers beside "SCIENCE" are items of the project's list of exact predictions.
"""

from functools import partial
from typing import Any, NamedTuple

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
from oracles import assert_close, drawn_like

import lstm_jax as lj
from lstm_jax import initializers
from lstm_jax.cells.lstm97_input_gate import LSTM97_INPUT_GATE
from lstm_jax.cells.lstm2000 import LSTM2000, LSTM2000Params, lstm2000
from lstm_jax.readouts import init_linear, linear

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


class Sizes(NamedTuple):
    time: int
    batch: int
    input: int
    hidden: int


SIZES = Sizes(time=4, batch=3, input=2, hidden=4)


class Problem(NamedTuple):
    """A cell over a sequence, and L = <dys, ys> + <dcarry, final carry>."""

    params: Any
    carry: Any
    xs: Any
    dys: Any
    dcarry: Any


def make_problem(cell: lj.Cell, sizes: Sizes = SIZES, **options: Any) -> Any:
    """Draws a problem in float64; no bias and no initial memory is zero."""

    def shapes():
        key = jax.random.key(0)
        init = partial(cell.init, dtype=jnp.float64, **options)
        params = init(key, sizes.input, sizes.hidden)
        carry = cell.init_carry(params, (sizes.batch,))
        xs = jnp.zeros((sizes.time, sizes.batch, sizes.input), jnp.float64)
        ys = jnp.stack([cell.step(params, carry, x)[1] for x in xs])
        return Problem(params, carry, xs, ys, carry)

    return jax.tree.map(jnp.asarray, drawn_like(jax.eval_shape(shapes), seed=1))


@partial(jax.jit, static_argnums=0)
def solve(step: Any, problem: Problem):
    """Returns the final carry, ys, and dL with respect to params, carry and xs."""

    def loss(params, carry, xs):
        final, ys = jax.lax.scan(partial(step, params), carry, xs)
        pairs = zip(
            jax.tree.leaves((ys, final)),
            jax.tree.leaves((problem.dys, problem.dcarry)),
            strict=True,
        )
        return sum(jnp.vdot(a, b) for a, b in pairs), (final, ys)

    compute = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)
    gradients, values = compute(problem.params, problem.carry, problem.xs)
    return *values, *gradients


# --- Other JAX libraries --------------------------------------------------------------
#
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


@in_float64
@pytest.mark.parametrize("peer", PEERS)
@for_any_sizes
@few
def test_values_and_gradients_agree_with_other_jax_libraries(peer, sizes):
    cell, step = PEERS[peer]
    problem = make_problem(cell, sizes)
    assert_close(solve(cell.step, problem), solve(step, problem))


# --- torch ----------------------------------------------------------------------------


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
    problem = make_problem(lj.GRU, sizes)
    module = torch.nn.GRU(sizes.input, sizes.hidden)
    wanted = solve_in_torch(module, problem, gru_to_torch, gru_from_torch)
    assert_close(solve(lj.GRU.step, problem), wanted)


@in_float64
@for_any_sizes
@few
def test_irnn_agrees_with_torch(sizes):
    problem = make_problem(lj.cells.IRNN, sizes)
    module = torch.nn.RNN(sizes.input, sizes.hidden, nonlinearity="relu")
    wanted = solve_in_torch(module, problem, other_to_torch, irnn_from_torch)
    assert_close(solve(lj.cells.IRNN.step, problem), wanted)


@in_float64
@for_any_sizes
@few
def test_projection_lstm_agrees_with_proj_size_of_torch(sizes):
    hidden = sizes.hidden + 1  # torch wants proj_size below hidden_size
    sizes = sizes._replace(hidden=hidden)
    cell = lj.cells.PROJECTION_LSTM
    problem = make_problem(cell, sizes, projection_size=sizes.hidden - 1)
    module = torch.nn.LSTM(sizes.input, hidden, proj_size=hidden - 1)
    wanted = solve_in_torch(module, problem, other_to_torch, projection_from_torch)
    assert_close(solve(cell.step, problem), wanted)


@in_float64
def test_layer_norm_agrees_with_torch():
    """torch.nn.functional.layer_norm, put where the paper puts it."""
    params, carry, xs, *_ = make_problem(lj.cells.LAYER_NORM_LSTM)
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


# --- Cells that are other cells -------------------------------------------------------


@in_float64
def test_without_peepholes_the_vanilla_lstm_is_the_lstm():
    problem = make_problem(lj.LSTM)
    silent = jnp.zeros(3 * SIZES.hidden)
    params = lj.cells.PeepholeLSTMParams(*problem.params, p=silent)
    wanted = lj.unroll(lj.LSTM, problem.params, problem.xs, problem.carry)
    got = lj.unroll(lj.cells.PEEPHOLE_LSTM, params, problem.xs, problem.carry)
    assert_close(got, wanted)
    assert lj.cells.peephole_lstm("NP").step is lj.LSTM.step


@in_float64
def test_full_gate_recurrence_without_its_nine_matrices_is_the_vanilla_lstm():
    problem = make_problem(lj.cells.PEEPHOLE_LSTM)
    none = jnp.zeros((3 * SIZES.hidden, 3 * SIZES.hidden))
    params = lj.cells.FullGateLSTMParams(*problem.params, w_gates=none)
    h, c = problem.carry
    full = lj.cells.FullGateLSTMCarry(h=h, c=c, i=h, f=c, o=h)
    final, ys = lj.unroll(lj.cells.peephole_lstm("FGR"), params, problem.xs, full)
    wanted = lj.unroll(
        lj.cells.PEEPHOLE_LSTM, problem.params, problem.xs, problem.carry
    )
    assert_close((lj.LSTMCarry(h=final.h, c=final.c), ys), wanted)


@pytest.mark.parametrize(("variant", "missing"), [("NIG", "i"), ("NFG", "f")])
@in_float64
def test_a_missing_gate_is_one_that_stands_wide_open(variant, missing):
    """V with that gate's weights at 0 and its bias at 800, where σ is 1 exactly."""
    problem = make_problem(lj.cells.peephole_lstm(variant))
    present = "ifgo".replace(missing, "")

    def completed(leaf, letters, shape, fill=0.0):
        parts = dict(zip(letters, jnp.split(leaf, len(letters), axis=-1), strict=True))
        parts[missing] = jnp.full(shape, fill)
        everything = "ifgo" if "g" in letters else "ifo"
        return jnp.concatenate([parts[k] for k in everything], axis=-1)

    w_ih, w_hh, b, p = problem.params
    n = SIZES.hidden
    params = lj.cells.PeepholeLSTMParams(
        w_ih=completed(w_ih, present, (SIZES.input, n)),
        w_hh=completed(w_hh, present, (n, n)),
        b=completed(b, present, (n,), fill=800.0),
        p=completed(p, present.replace("g", ""), (n,)),
    )
    wanted = lj.unroll(lj.cells.PEEPHOLE_LSTM, params, problem.xs, problem.carry)
    got = lj.unroll(
        lj.cells.peephole_lstm(variant), problem.params, problem.xs, problem.carry
    )
    assert_close(got, wanted)


@in_float64
def test_without_a_forget_gate_all_of_the_long_term_memory_is_kept():
    """NFG with nothing recurrent: dc_T/dc_0 is the identity."""
    cell = lj.cells.peephole_lstm("NFG")
    params, carry, xs, *_ = make_problem(cell)
    params = params._replace(w_hh=0 * params.w_hh, p=0 * params.p)
    final = lambda c: lj.unroll_reference(cell, params, xs, carry._replace(c=c))[0].c
    moved = jax.jvp(final, (carry.c,), (jnp.ones_like(carry.c),))[1]
    assert_close(moved, np.ones_like(carry.c))


@in_float64
@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_janet_is_an_lstm_whose_input_gate_is_tied_to_its_forget_gate(beta):
    """i = 1 - σ(s - β) = σ(β - s): minus the forget gate's weights, and β - b_f."""
    (w_ih, w_hh, b), (c,), xs, *_ = make_problem(lj.cells.JANET)

    def four(leaf, shift=0.0):
        f, g = jnp.split(leaf, 2, axis=-1)
        return jnp.concatenate([shift - f, f, g, 0 * g], axis=-1)

    lstm = lj.LSTMParams(w_ih=four(w_ih), w_hh=four(w_hh), b=four(b, shift=beta))
    params, carry = (
        lj.cells.JANETParams(w_ih=w_ih, w_hh=w_hh, b=b),
        lj.cells.JANETCarry(c=c),
    )
    for x in xs:
        i, f, g, _ = lj.lstm_gates(lstm, carry.c, x)
        wanted = f * carry.c + i * g
        carry, y = lj.cells.janet(beta).step(params, carry, x)
        assert_close((carry.c, y), (wanted, wanted))


@in_float64
def test_cifg_is_an_lstm_with_minus_the_weights_of_its_forget_gate():
    problem = make_problem(lj.cells.CIFG_LSTM)

    def four(leaf):
        f, g, o = jnp.split(leaf, 3, axis=-1)
        return jnp.concatenate([-f, f, g, o], axis=-1)

    params = lj.LSTMParams(*map(four, problem.params))
    wanted = lj.unroll(lj.LSTM, params, problem.xs, problem.carry)
    got = lj.unroll(lj.cells.CIFG_LSTM, problem.params, problem.xs, problem.carry)
    assert_close(got, wanted)


@in_float64
def test_the_lesson_peephole_lstm_that_does_not_look_is_the_four_gate_cell():
    params, carry, xs, *_ = make_problem(lj.cells.LESSON_PEEPHOLE_LSTM)
    n = SIZES.hidden
    blind = params._replace(w_ifv=params.w_ifv.at[:n].set(0))
    w_i, w_f, w_v = jnp.split(blind.w_ifv[n:], 3, axis=-1)
    b_i, b_f, b_v = jnp.split(blind.b_ifv, 3)
    four = lj.FourGateParams(
        w_n=params.w_n, b_n=params.b_n,
        w_i=w_i, b_i=b_i,
        w_f=w_f, b_f=b_f,
        w_u=params.w_u, b_u=params.b_u,
        w_v=w_v, b_v=b_v,
    )  # fmt: skip
    wanted = lj.unroll(lj.FOUR_GATE, four, xs, carry)
    assert_close(lj.unroll(lj.cells.LESSON_PEEPHOLE_LSTM, blind, xs, carry), wanted)
    seeing = lj.cells.LESSON_PEEPHOLE_LSTM.step(params, carry, xs[0])[0]
    for a, b in zip(seeing, lj.FOUR_GATE.step(four, carry, xs[0])[0], strict=True):
        assert (a != b).all(), "the long-term memory had no say"


# --- Gradients that are known ---------------------------------------------------------

KEEPERS = {
    "gru": ["w_ih", "w_hh"],
    "gru_reset_before": ["w_ih", "w_hh"],
    "mgu": ["w_ih", "w_hh"],
    "janet": ["w_ih", "w_hh"],
    "minimal_rnn": ["w_ih", "w_hh", "w_zh"],
}


@in_float64
@pytest.mark.parametrize("name", KEEPERS)
def test_with_zero_weights_a_gate_that_keeps_keeps_to_the_power_of_the_lag(name):
    """SCIENCE 19: dh_T/dh_0 = σ(b)^T, 2^-T at b = 0."""
    cell, time = lj.CELLS[name], 5
    params, carry, *_ = make_problem(cell, SIZES._replace(hidden=2))
    silent = {k: 0 * getattr(params, k) for k in KEEPERS[name]}
    bias = jnp.array([0.0, 1.0])
    field = params.b.at[: params.b.size].set(jnp.tile(bias, params.b.size // 2))
    params = params._replace(**silent, b=field)

    def last(carry):
        return lj.unroll_reference(cell, params, jnp.ones((time, 3, 2)), carry)[0]

    (moved,) = jax.jvp(last, (carry,), (jax.tree.map(jnp.ones_like, carry),))[1]
    assert_close(moved, np.tile((1 / (1 + np.exp(-bias))) ** time, (3, 1)))


@in_float64
@pytest.mark.parametrize("block_size", [1, 2])
def test_truncated_errors_of_1997_travel_along_the_carousel_alone(block_size):
    """SCIENCE 21: dc_T/dc_t is the identity, and nothing else reaches back."""
    cell = lj.cells.lstm97(block_size, truncated=True)
    params, carry, xs, *_ = make_problem(cell)

    def memories(carry):
        return lj.unroll_reference(cell, params, xs, carry)[0].c

    _, pullback = jax.vjp(memories, carry)
    weights = jnp.arange(1.0, 1 + carry.c.size).reshape(carry.c.shape)
    (back,) = pullback(weights)
    np.testing.assert_array_equal(back.c, weights)
    for leaf in (back.h, back.i, back.o):
        np.testing.assert_array_equal(leaf, np.zeros_like(leaf))
    whole = lj.cells.lstm97(block_size)
    full = lambda c: lj.unroll_reference(whole, params, xs, carry._replace(c=c))[0].c
    assert (jax.vjp(full, carry.c)[1](weights)[0] != weights).all()


@in_float64
def test_truncation_changes_no_value_of_1997():
    problem = make_problem(lj.cells.LSTM97)
    got, wanted = (
        lj.unroll_reference(cell, problem.params, problem.xs, problem.carry)
        for cell in (lj.cells.lstm97(truncated=True), lj.cells.LSTM97)
    )
    assert_close(got, wanted)


@in_float64
def test_cells_of_a_block_share_their_gates():
    """Two cells with the same input weights, in one block, stay the same for ever."""
    cell = lj.cells.lstm97(block_size=2)
    params, _, xs, *_ = make_problem(cell)
    first = 2 * 2  # the gates of two blocks come first
    twins = params._replace(
        w_ih=params.w_ih.at[:, first + 1].set(params.w_ih[:, first]),
        w_hh=params.w_hh.at[:, first + 1].set(params.w_hh[:, first]),
        b=params.b.at[first + 1].set(params.b[first]),
    )
    _, ys = lj.unroll_reference(cell, twins, xs)
    np.testing.assert_array_equal(ys[..., 0], ys[..., 1])
    assert (ys[1:, :, 1] != ys[1:, :, 2]).all()


def test_the_squashes_of_1997_have_its_ranges():
    """g in (-2, 2) and h in (-1, 1)."""
    params = lj.cells.LSTM97.init(jax.random.key(0), 1, 1)
    loud = params._replace(w_ih=jnp.full((1, 3), 100.0))
    after, y = lj.cells.LSTM97.step(
        loud, lj.cells.LSTM97.init_carry(params), jnp.ones(1)
    )
    assert_close((after.c, y), ([2.0], [np.tanh(1.0)]))


class Net(NamedTuple):
    """A network of 1997 or 2000: its sizes, and what its output units read.

    They read the cells, the inputs too where there is a `shortcut`, and may be biased.
    """

    cell: lj.Cell
    inputs: int
    cells: int
    outputs: int
    shortcut: bool
    biased: bool
    weights: int


GATES_BIASED = [lj.cells.lstm97(block_size, biased="gates") for block_size in (1, 2)]
UNBIASED, PAIRS = lj.cells.lstm97(biased="none"), lj.cells.lstm97(2)
NETS = {
    "1, 4 blocks": Net(GATES_BIASED[0], 7, 4, 7, False, False, 264),
    "1, 3 blocks": Net(GATES_BIASED[1], 7, 6, 7, False, False, 276),
    "2a, p = 100": Net(LSTM97_INPUT_GATE, 101, 1, 101, True, False, 10_504),
    "2c, q = 50": Net(UNBIASED, 54, 2, 2, False, False, 364),
    "2c, q = 100": Net(UNBIASED, 104, 2, 2, False, False, 664),
    "2c, q = 200": Net(UNBIASED, 204, 2, 2, False, False, 1264),
    "2c, q = 500": Net(UNBIASED, 504, 2, 2, False, False, 3064),
    "2c, q = 1000": Net(UNBIASED, 1004, 2, 2, False, False, 6064),
    "3": Net(lj.cells.LSTM97, 1, 3, 1, False, False, 102),
    "4 and 5": Net(PAIRS, 2, 4, 1, False, True, 93),
    "6a": Net(PAIRS, 8, 4, 4, False, True, 156),
    "6b": Net(PAIRS, 8, 6, 8, False, True, 308),
    "2000": Net(lstm2000(2), 7, 8, 7, True, True, 424),
}
"""SCIENCE 30."""


@pytest.mark.parametrize("experiment", NETS)
def test_weight_counts_of_1997_and_2000(experiment):
    net = NETS[experiment]

    def everything():
        """Params of the cell, of the readout, and what the net answers."""
        params = net.cell.init(jax.random.key(0), net.inputs, net.cells)
        x = jnp.zeros(net.inputs)
        _, y = net.cell.step(params, net.cell.init_carry(params), x)
        features = jnp.concatenate([y, x]) if net.shortcut else y
        readout = init_linear(jax.random.key(1), features.size, net.outputs)
        return params, readout, linear(readout, features)

    params, readout, answers = jax.eval_shape(everything)
    counted = [*params, readout.w, *([readout.b] if net.biased else [])]
    assert sum(leaf.size for leaf in counted) == net.weights
    assert answers.shape == (net.outputs,)


@in_float64
def test_the_lstm_of_2000_is_the_lstm_with_half_of_what_g_reads():
    """2 σ(z) - 1 = tanh(z / 2), so g and c are twice those of the LSTM, and no b_g."""
    problem = make_problem(LSTM2000)
    w_ih, w_hh, b = problem.params
    n = SIZES.hidden

    def as_ifgo(leaf):
        i, f, o, g = jnp.split(leaf, 4, axis=-1)
        return jnp.concatenate([i, f, g / 2, o], axis=-1)

    b = jnp.concatenate([b[: 2 * n], jnp.zeros(n), b[2 * n :]])
    params = lj.LSTMParams(w_ih=as_ifgo(w_ih), w_hh=as_ifgo(w_hh), b=b)
    half = problem.carry._replace(c=problem.carry.c / 2)
    final, ys = lj.unroll(lj.LSTM, params, problem.xs, half)
    got = lj.unroll(LSTM2000, problem.params, problem.xs, problem.carry)
    assert_close(got, (final._replace(c=2 * final.c), ys))


@in_float64
def test_blocks_of_2000_that_never_forget_are_those_of_1997():
    """f = 1, where no unit of 1997 reads a gate; two cells share each gate."""
    cell, old = lstm2000(block_size=2), GATES_BIASED[1]
    problem = make_problem(old)
    w_ih, w_hh, b = problem.params
    blocks = SIZES.hidden // 2

    def with_forget_gate(leaf, fill=0.0):
        i, rest = leaf[..., :blocks], leaf[..., blocks:]
        return jnp.concatenate([i, jnp.full_like(i, fill), rest], axis=-1)

    deaf = problem.params._replace(w_hh=w_hh.at[: 2 * blocks].set(0))
    params = LSTM2000Params(
        w_ih=with_forget_gate(w_ih),
        w_hh=with_forget_gate(deaf.w_hh[2 * blocks :]),
        b=with_forget_gate(b, fill=800.0),
    )
    carry = lj.LSTMCarry(h=problem.carry.h, c=problem.carry.c)
    got = lj.unroll(cell, params, problem.xs, carry)
    final, ys = lj.unroll(old, deaf, problem.xs, problem.carry)
    assert_close(got, (lj.LSTMCarry(h=final.h, c=final.c), ys))


@in_float64
def test_one_input_gate_keeps_all_that_it_ever_let_in():
    """Experiment 2a: dc_T/dc_0 is the identity, and c grows by less than 1 a step."""
    params, carry, xs, *_ = make_problem(LSTM97_INPUT_GATE)
    final, ys = lj.unroll_reference(LSTM97_INPUT_GATE, params, xs, carry)
    grown = np.diff(ys, axis=0, prepend=carry.c[None])
    assert (grown > 0).all() and (grown < 1).all()
    np.testing.assert_array_equal(final.c, ys[-1])
    run = lambda carry: lj.unroll_reference(LSTM97_INPUT_GATE, params, xs, carry)[0]
    (moved,) = jax.jvp(run, (carry,), (jax.tree.map(jnp.ones_like, carry),))[1]
    np.testing.assert_array_equal(moved, np.ones_like(carry.c))


@in_float64
def test_truncated_errors_of_2000_travel_through_the_forget_gates_alone():
    cell = lstm2000(2, truncated=True)
    params, carry, xs, *_ = make_problem(cell)
    memories = lambda carry: lj.unroll_reference(cell, params, xs, carry)[0].c
    (back,) = jax.vjp(memories, carry)[1](jnp.ones_like(carry.c))
    np.testing.assert_array_equal(back.h, np.zeros_like(back.h))
    kept = 1.0
    for x in xs:
        gates = x @ params.w_ih[:, :6] + carry.h @ params.w_hh[:, :6] + params.b
        kept = kept * jax.nn.sigmoid(gates[:, 2:4])
        carry, _ = cell.step(params, carry, x)
    assert_close(back.c, np.repeat(kept, 2, axis=-1))


def test_blocks_of_2000_begin_with_their_biases_and_orthogonal_gate_by_gate(key):
    steps = jnp.array([0.5, 1.0, 1.5, 2.0])
    biases = {"input_bias": -steps, "forget_bias": steps, "output_bias": -2 * steps}
    params = lstm2000(2).init(key, 7, 8, **biases)
    np.testing.assert_array_equal(params.b, jnp.concatenate([*biases.values()]))
    _, w_hh, b = lstm2000(2).init(key, 7, 8)
    np.testing.assert_array_equal(b, np.repeat([0, 1, 0], 4))
    for group in np.split(w_hh, [4, 8, 12], axis=-1):
        assert_close(jnp.asarray(group.T @ group), np.eye(group.shape[1]))


def test_blocks_of_1997_open_one_after_the_other(key):
    later = jnp.array([-1.0, -2.0])
    cell = lj.cells.lstm97(block_size=2, biased="gates")
    params = cell.init(key, 1, 4, input_bias=later, output_bias=2 * later)
    np.testing.assert_array_equal(params.b, [-1, -2, -2, -4])


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        (
            lj.cells.lstm97(2),
            {},
            "hidden_size: got 3; it must be a multiple of block_size=2",
        ),
        (lstm2000(2), {}, "hidden_size: got 3; it must be a multiple of block_size=2"),
        (
            lj.cells.lstm97(biased="none"),
            {"input_bias": -1.0},
            "input_bias: it was given",
        ),
        (
            lj.cells.peephole_lstm("NFG"),
            {"forget_bias": 1.0},
            "there is no forget gate",
        ),
        (lj.cells.peephole_lstm("NIG"), {"input_bias": 1.0}, "there is no input gate"),
        (
            lj.cells.PROJECTION_LSTM,
            {"projection_size": 0},
            "projection_size: got 0; it must",
        ),
    ],
)
def test_init_refuses_what_has_nothing_to_act_on(cell, options, message, key):
    with pytest.raises(ValueError, match=message):
        cell.init(key, 2, 3, **options)


@in_float64
def test_irnn_that_is_active_and_hears_nothing_keeps_its_gradient():
    """SCIENCE 24."""
    params = lj.cells.IRNN.init(jax.random.key(0), 2, 3, dtype=jnp.float64)
    np.testing.assert_array_equal(params.w_hh, np.eye(3))
    carry = lj.RNNCarry(h=jnp.array([0.5, 0.1, 2.0]))
    measure = jax.jit(lj.gradient_norms, static_argnames="loss_fn")
    loss_fn = lambda ys: ys[-1].sum()
    norms = measure(lj.cells.IRNN, params, jnp.zeros((50, 2)), loss_fn, carry)
    assert_close(norms.h, np.full(50, 3**0.5))


@in_float64
def test_an_active_unit_of_indrnn_keeps_the_power_of_its_weight():
    params = lj.cells.INDRNN.init(jax.random.key(0), 1, 3, dtype=jnp.float64)
    assert (params.u >= 0).all() and (params.u <= 1).all()
    last = lambda h: lj.unroll_reference(
        lj.cells.INDRNN, params, jnp.zeros((9, 1)), lj.RNNCarry(h=h)
    )[1][-1]
    ones = jnp.ones(3)
    assert_close(jax.jvp(last, (ones,), (ones,))[1], params.u**9)


@in_float64
def test_clipped_indrnn_grows_no_gradient_beyond_gamma():
    params = lj.cells.INDRNN.init(
        jax.random.key(0), 1, 50, smallest=-3.0, largest=3.0, dtype=jnp.float64
    )
    clipped = lj.cells.clip_indrnn(params, max_lag=20, gamma=2.0)
    assert_close(jnp.abs(clipped.u).max() ** 20, np.array(2.0))
    small = jnp.abs(params.u) < 1
    np.testing.assert_array_equal(clipped.u[small], params.u[small])
    by_default = lj.cells.clip_indrnn(params, max_lag=20)
    np.testing.assert_array_equal(by_default.u, clipped.u)


@in_float64
@pytest.mark.parametrize(("gamma", "epsilon"), [(0.0, 0.1), (0.5, 0.2)])
def test_the_antisymmetric_rnn_turns_at_rest_and_shrinks_by_its_diffusion(
    gamma, epsilon
):
    """At h = 0, x = 0: J = I + ε A, and J + Jᵀ = 2 (1 - ε γ) I for every W_hh."""
    cell = lj.cells.antisymmetric_rnn(gamma, epsilon)
    params = cell.init(jax.random.key(1), 2, 5, dtype=jnp.float64)
    step = lambda h: cell.step(params, lj.RNNCarry(h=h), jnp.zeros(2))[1]
    jacobian = np.asarray(jax.jacobian(step)(jnp.zeros(5)))
    assert_close(jacobian + jacobian.T, 2 * (1 - epsilon * gamma) * np.eye(5))
    turning = np.linalg.eigvals(jacobian).imag
    modulus = np.hypot(1 - epsilon * gamma, turning)
    assert_close(np.sort(np.abs(np.linalg.eigvals(jacobian))), np.sort(modulus))
    assert np.abs(turning).max() > 0.1 * epsilon


@in_float64
def test_a_minimal_rnn_that_keeps_nothing_shows_its_encoding():
    """u = 0 gives h = z, whatever was before; u = 1 gives h = h_{t-1}."""
    params, carry, xs, *_ = make_problem(lj.cells.MINIMAL_RNN)
    z = jnp.tanh(xs[0] @ params.w_ih + params.b_z)
    for bias, wanted in [(-800.0, z), (800.0, carry.h)]:
        sure = params._replace(b=jnp.full(SIZES.hidden, bias))
        assert_close(lj.cells.MINIMAL_RNN.step(sure, carry, xs[0])[1], wanted)


@in_float64
def test_layer_norm_lstm_does_not_see_the_size_of_its_weights():
    """LN(s v) = LN(v) for s > 0, but for ε."""
    cell = lj.cells.layer_norm_lstm(epsilon=1e-30)
    params, carry, xs, *_ = make_problem(cell)
    louder = params._replace(w_ih=7 * params.w_ih, w_hh=0.1 * params.w_hh)
    assert_close(cell.step(louder, carry, xs[0]), cell.step(params, carry, xs[0]))


def test_layer_norm_lstm_starts_with_the_norm_alone(key):
    params = lj.cells.LAYER_NORM_LSTM.init(
        key, 2, 3, recurrent_init=initializers.uniform
    )
    for scale in (params.scale_ih, params.scale_hh, params.scale_c):
        np.testing.assert_array_equal(scale, np.ones(scale.shape))
    np.testing.assert_array_equal(params.b_c, np.zeros(3))


def test_half_precision_keeps_a_small_spread_around_a_large_mean(key):
    """All of c is kept and shown; its mean, 64.875, is no bfloat16."""
    params = lj.cells.LAYER_NORM_LSTM.init(key, 1, 4, dtype=jnp.bfloat16)
    gates = jnp.repeat(jnp.array([-100, 100, 0, 100], jnp.bfloat16), 4)
    c = jnp.array([64, 64.5, 65, 66], jnp.bfloat16)
    low = (params._replace(b=gates), lj.LSTMCarry(h=0 * c, c=c), 0 * c[:1])
    high = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), low)
    assert_close(
        lj.cells.LAYER_NORM_LSTM.step(*low)[1], lj.cells.LAYER_NORM_LSTM.step(*high)[1]
    )


def test_projection_size_is_half_unless_given(key):
    shape = lambda **options: (
        lj.cells.PROJECTION_LSTM.init(key, 2, 5, **options).w_hr.shape
    )
    assert shape() == (5, 3)
    assert shape(projection_size=7) == (5, 7)


# --- Initial weights ------------------------------------------------------------------


@pytest.mark.parametrize("max_lag", [2, 3, 1000])
def test_chrono_biases_are_logarithms_of_lags(max_lag, key, x64):
    chrono = lj.initializers.chrono_biases(key, 2000, max_lag, jnp.float64)
    lags = np.exp(chrono.forget_bias)
    np.testing.assert_array_equal(chrono.input_bias, -chrono.forget_bias)
    assert lags.min() >= 1 and lags.max() <= max_lag - 1 + 1e-9
    assert abs(lags.mean() - max_lag / 2) <= 0.05 * (max_lag - 2)


def test_chrono_biases_are_options_of_init_and_max_lag_may_be_traced(key):
    def init(max_lag):
        chrono = lj.initializers.chrono_biases(key, 3, max_lag)
        return chrono, lj.LSTM.init(
            key, 2, 3, **chrono._asdict(), recurrent_init=initializers.uniform
        )

    chrono, params = jax.vmap(init)(jnp.array([10.0, 100.0]))
    np.testing.assert_array_equal(params.b[:, :3], chrono.input_bias)
    np.testing.assert_array_equal(params.b[:, 3:6], chrono.forget_bias)
    np.testing.assert_array_equal(params.b[:, 6:], np.zeros((2, 6)))


def test_chrono_biases_refuse_a_lag_below_two(key):
    with pytest.raises(ValueError, match="max_lag: got 1; it must be at least 2"):
        lj.initializers.chrono_biases(key, 3, 1)


@pytest.mark.parametrize(("size", "density"), [(2, 1.0), (10, 0.3), (50, 0.3), (50, 0)])
def test_sparse_weights_have_their_spectral_radius(size, density, key, x64):
    density = density or 1 / size
    drawn = initializers.sparse(0.9, density)(key, (size, size), jnp.float64)
    assert_close(np.abs(np.linalg.eigvals(drawn)).max(), np.array(0.9))
    reads = np.asarray(drawn) != 0
    np.testing.assert_array_equal(reads.sum(0), np.full(size, round(density * size)))
    assert density == 1 or len(np.unique(reads, axis=1).T) > 1, "all read the same"


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.0, -6.0], [1.5, 0.0]],
        [[0.9, 5.0], [0.0, 0.9]],
        [[1e-30, 0.0], [0.0, 1e-40]],
        [[0.0, 1e50], [1e-50, 0.0]],
    ],
    ids=["complex pair", "Jordan block", "tiny", "far from normal"],
)
def test_spectral_radius_without_eigenvalues(matrix, x64):
    wanted = np.abs(np.linalg.eigvals(matrix)).max()
    got = initializers._spectral_radius(jnp.array(matrix))
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_sparse_weights_sweep_their_radius_and_seed_under_vmap(key):
    radii = jnp.array([0.5, 1.5])
    draw = lambda key, radius: initializers.sparse(radius, 0.5)(key, (6, 6), float)
    swept = jax.jit(jax.vmap(draw))(jax.random.split(key, 2), radii)
    found = np.abs(np.linalg.eigvals(swept)).max(-1)
    np.testing.assert_allclose(found, radii, rtol=1e-5)


def test_sparse_refuses_what_it_cannot_draw(key):
    with pytest.raises(ValueError, match="density: got 0; it must be in"):
        initializers.sparse(density=0)
    with pytest.raises(ValueError, match=r"shape: got \(2, 3\); a spectral radius"):
        initializers.sparse()(key, (2, 3), jnp.float32)


def test_gaussian_weights_have_the_variance_of_their_fan_in(key):
    drawn = initializers.gaussian(key, (100, 400), jnp.float32)
    assert abs(float(drawn.std()) - 0.1) < 0.002 and abs(float(drawn.mean())) < 0.002


def test_the_antisymmetric_rnn_starts_gaussian(key):
    named = lj.rnn().init(key, 2, 3, recurrent_init=initializers.gaussian)
    assert_close(lj.cells.ANTISYMMETRIC_RNN.init(key, 2, 3), named)


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_every_initializer_has_the_shape_and_dtype_asked_for(name, key):
    drawn = initializers.INITIALIZERS[name](key, (4, 4), jnp.bfloat16)
    assert drawn.shape == (4, 4) and drawn.dtype == jnp.bfloat16
