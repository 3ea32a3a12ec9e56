"""Every cell against its equations, other libraries, and the promises of `Cell`."""

import dataclasses
import inspect
import itertools
import re
from collections.abc import Callable
from functools import cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as nn
import haiku as hk
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import torch
from flax import nnx
from oracles import assert_close, drawn_like

import lstm_jax as lj
from lstm_jax import initializers
from lstm_jax.cells.lstm97_input_gate import LSTM97_INPUT_GATE
from lstm_jax.cells.lstm2000 import LSTM2000, lstm2000

FACTORY_VARIANTS = [
    lj.rnn("relu"),
    lj.rnn("logistic"),
    lj.rnn("linear"),
    lj.four_gate("ltm"),
]
EVERY_CELL = [*lj.CELLS.values(), *FACTORY_VARIANTS]
WITHOUT_PARTS = [
    lj.cells.peephole_lstm(variant)
    for variant in ("NIG", "NFG", "NOG", "NIAF", "NOAF", "FGR")
]
OF_PAPERS = [
    lj.cells.lstm97(block_size=2, truncated=True, biased="gates"),
    LSTM97_INPUT_GATE,
    LSTM2000,
    lstm2000(block_size=2, truncated=True),
]
EVERY_WIRING = [*EVERY_CELL, *WITHOUT_PARTS, *OF_PAPERS]
FORGET_BIASES = {
    "lstm": ("b", 1),
    "four_gate": ("b_f", 0),
    "peephole_lstm": ("b", 1),
    "lesson_peephole_lstm": ("b_ifv", 1),
    "cifg_lstm": ("b", 0),
    "layer_norm_lstm": ("b", 1),
    "projection_lstm": ("b", 1),
    "gru": ("b", 1),
    "gru_reset_before": ("b", 1),
    "mgu": ("b", 0),
    "janet": ("b", 0),
    "minimal_rnn": ("b", 0),
}
"""Where the bias of the gate that keeps lies: in which field, as which gate."""
INPUT_BIASES = {
    "lstm": ("b", 0),
    "four_gate": ("b_i", 0),
    "lstm97": ("b", 0),
    "peephole_lstm": ("b", 0),
    "lesson_peephole_lstm": ("b_ifv", 0),
    "layer_norm_lstm": ("b", 0),
    "projection_lstm": ("b", 0),
}
"""The same for the gate that learns."""
NOT_ORTHOGONAL = ("irnn", "indrnn", "antisymmetric_rnn")

for_every_cell = pytest.mark.parametrize("cell", EVERY_CELL, ids=lambda cell: cell.name)
for_every_family = pytest.mark.parametrize("cell", lj.CELLS.values(), ids=lj.CELLS)
FEW_CELLS = [lj.RNN, lj.LSTM, lj.FOUR_GATE, lj.cells.LSTM97]
for_a_few_families = pytest.mark.parametrize(  # where a cell costs a second
    "cell", FEW_CELLS, ids=lambda cell: cell.name
)
for_every_dtype = pytest.mark.parametrize("dtype", oracles.TOLERANCES)


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


def make_problem(cell: lj.Cell, dtype: Any = jnp.float32, sizes: Sizes = SIZES):
    """Draws a problem of NumPy arrays; no bias and no initial memory is zero."""
    time, batch, input_size, hidden = sizes

    def shapes():
        init = partial(cell.init, dtype=dtype)
        params = init(jax.random.key(0), input_size, hidden)
        carry = cell.init_carry(params, (batch,))
        xs = jnp.zeros((time, batch, input_size), dtype)
        step = partial(cell.step, params)
        ys = jnp.stack([step(carry, x)[1] for x in xs])
        return Problem(params, carry, xs, ys, carry)

    return drawn_like(jax.eval_shape(shapes), seed=1)


def as_jax(tree):
    return jax.tree.map(jnp.asarray, tree)


def make_params(cell, dtype: Any = jnp.float32):
    return as_jax(make_problem(cell, dtype).params)


def inner(tree, other):
    return sum(map(jnp.vdot, jax.tree.leaves(tree), jax.tree.leaves(other)))


@partial(jax.jit, static_argnums=0)
def solve(run: Callable, problem: Problem):
    """Returns the final carry, ys, and dL with respect to params, carry and xs."""

    def loss(params, carry, xs):
        final, ys = run(params, carry, xs)
        return inner((ys, final), (problem.dys, problem.dcarry)), (final, ys)

    compute = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)
    gradients, values = compute(problem.params, problem.carry, problem.xs)
    return *values, *gradients


@cache  # one function per cell, so that `solve` is compiled once for each
def unrolled(cell):
    return lambda params, carry, xs: lj.unroll(cell, params, xs, carry)


# --- Against the oracles --------------------------------------------------------------


@pytest.mark.parametrize("name", lj.CELLS)
def test_a_cell_is_listed_under_its_own_name(name):
    assert lj.CELLS[name].name == name


@pytest.mark.parametrize("cell", EVERY_WIRING, ids=lambda cell: cell.name)
def test_values_and_gradients_agree_with_the_oracle(cell, x64):
    problem = make_problem(cell, jnp.float64)
    final, ys, wanted = oracles.run(oracles.ORACLES[cell.name], *problem)
    got = solve(unrolled(cell), problem)
    assert_close(got, (final, ys, wanted.params, wanted.carry, wanted.xs))


@pytest.mark.parametrize(
    "cell", [*FEW_CELLS, *FACTORY_VARIANTS], ids=lambda cell: cell.name
)
def test_adjoint_of_every_entering_carry_agrees_with_the_oracle(cell, x64):
    params, carry, xs, dys, dcarry = problem = make_problem(cell, jnp.float64)
    _, _, wanted = oracles.run(oracles.ORACLES[cell.name], *problem)

    def probed_step(params, carry, x_and_probe):
        x, probe = x_and_probe
        return cell.step(params, jax.tree.map(jnp.add, carry, probe), x)

    @jax.jit
    @jax.grad
    def adjoints(probes):
        final, ys = lj.scan(probed_step, params, as_jax(carry), (xs, probes))
        return inner((ys, final), (dys, dcarry))

    assert_close(
        adjoints(jax.tree.map(jnp.zeros_like, wanted.entering)), wanted.entering
    )


# --- Against torch --------------------------------------------------------------------

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


@pytest.mark.parametrize("cell", TORCH, ids=lambda cell: cell.name)
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


# --- Against flax, equinox and haiku --------------------------------------------------
#
# Each peer is a step on OUR params and carry, which hands our weights to the peer. Its
# gradients with respect to our weights are then JAX's, through the peer's own code.


def by_gate(params):
    """Yields the letter of each gate of an LSTM with its w_ih, w_hh and b."""
    quarters = (jnp.split(leaf, 4, axis=-1) for leaf in params)
    return zip("ifgo", *quarters, strict=True)


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


# --- The four gates -------------------------------------------------------------------

FOUR_GATES = {"kept": lj.FOUR_GATE, "ltm": lj.four_gate("ltm")}


class Moment(NamedTuple):
    """One step of the four-gate cell: its params, the memories it meets, its event."""

    params: Any
    carry: Any
    event: Any


def make_moment(**changes):
    """Draws a moment in float64; `changes` replace params."""
    problem = as_jax(make_problem(lj.FOUR_GATE, jnp.float64))
    return Moment(problem.params._replace(**changes), problem.carry, problem.xs[0])


def through_the_gates(params, carry, event, use_input):
    """The step, composed by hand of the four gates."""
    learned = lj.learn_gate(params, carry.stm, event)
    kept = lj.forget_gate(params, carry.ltm, carry.stm, event)
    ltm = lj.remember_gate(kept, learned)
    read = {"kept": kept, "ltm": ltm}[use_input]
    return lj.FourGateCarry(ltm=ltm, stm=lj.use_gate(params, read, carry.stm, event))


def test_each_gate_called_alone_gives_its_equation(x64):
    params, (ltm, stm), event = moment = make_moment()
    gates = oracles.four_gates(*moment)
    used = np.tanh(gates.kept @ params.w_u + params.b_u) * gates.v
    assert_close(lj.learn_gate(params, stm, event), gates.n * gates.i)
    assert_close(lj.forget_gate(params, ltm, stm, event), gates.f * ltm)
    assert_close(lj.remember_gate(ltm, stm), ltm + stm)
    assert_close(lj.use_gate(params, jnp.asarray(gates.kept), stm, event), used)


@pytest.mark.parametrize("use_input", FOUR_GATES)
def test_a_step_is_the_composition_of_the_four_gates(use_input):
    params, carry, xs, *_ = as_jax(make_problem(lj.FOUR_GATE))
    after, y = FOUR_GATES[use_input].step(params, carry, xs[0])
    composed = through_the_gates(params, carry, xs[0], use_input)
    assert_close((after, y), (composed, composed.stm))


def test_first_stm_is_zero_for_every_input_when_nothing_is_remembered(x64):
    params, carry, _ = make_moment(b_u=jnp.zeros(SIZES.hidden))
    empty = carry._replace(ltm=jnp.zeros_like(carry.ltm))
    for event in 10 * jax.random.normal(jax.random.key(3), (5, *SIZES[1:3])):
        after, y = lj.FOUR_GATE.step(params, empty, event)
        np.testing.assert_array_equal((after.stm, y), np.zeros_like((after.stm, y)))
        assert (after.ltm != 0).all()


def test_stm_is_the_squashed_ltm_without_what_was_just_learned(x64):
    """With W_u = I and b_u = 0: STM_t = V_t tanh(LTM_t - i_t N_t)."""
    problem = make_problem(lj.FOUR_GATE, jnp.float64)
    identity, zeros = np.eye(SIZES.hidden), np.zeros(SIZES.hidden)
    params = as_jax(problem.params._replace(w_u=identity, b_u=zeros))
    carry = as_jax(problem.carry)
    for event in as_jax(problem.xs):
        gates = oracles.four_gates(params, carry, event)
        carry, _ = lj.FOUR_GATE.step(params, carry, event)
        wanted = gates.v * np.tanh(carry.ltm - gates.i * gates.n)
        assert_close(carry.stm, wanted)


@pytest.mark.parametrize("use_input", FOUR_GATES)
def test_what_is_learned_reaches_the_stm_a_step_later_or_at_once(use_input, x64):
    """dSTM_t/dN_t = 0 within a step, seen through b_n, which only N_t reads."""
    params, carry, event = make_moment()
    cell = FOUR_GATES[use_input]

    @jax.jacobian
    def memories(b_n):
        first, _ = cell.step(params._replace(b_n=b_n), carry, event)
        second, _ = cell.step(params, first, event)
        return first.stm, first.ltm, second.stm

    at_once, remembered, a_step_later = memories(params.b_n)
    assert (at_once == 0).all() == (use_input == "kept")
    assert (remembered != 0).any()
    assert (a_step_later != 0).any()


def test_four_gates_that_read_the_ltm_through_the_identity_are_an_lstm(x64):
    """N = g, i = i, f = f, V = o, LTM = c, STM = h; with W_u = I and b_u = 0."""
    params, carry, xs, *_ = as_jax(make_problem(lj.LSTM, jnp.float64))
    gates = {}
    for letter, w_ih, w_hh, b in by_gate(params):
        name = {"g": "n", "o": "v"}.get(letter, letter)
        gates[f"w_{name}"] = jnp.concatenate([w_hh, w_ih])
        gates[f"b_{name}"] = b
    gates |= {"w_u": jnp.eye(SIZES.hidden), "b_u": jnp.zeros(SIZES.hidden)}
    memories = lj.FourGateCarry(ltm=carry.c, stm=carry.h)
    final, ys = lj.unroll(lj.LSTM, params, xs, carry)
    (ltm, stm), shown = lj.unroll(
        lj.four_gate("ltm"), lj.FourGateParams(**gates), xs, memories
    )
    assert_close((ltm, stm, shown), (final.c, final.h, ys))


@pytest.mark.parametrize(("d", "h"), [(1, 1), (2, 3), (7, 4)])
def test_number_of_parameters(d, h):
    def number(cell):
        params = jax.eval_shape(partial(cell.init, jax.random.key(0), d, h))
        return sum(leaf.size for leaf in params)

    assert number(lj.RNN) == h**2 + h * d + h
    assert number(lj.LSTM) == 4 * h**2 + 4 * h * d + 4 * h
    assert number(lj.FOUR_GATE) == 5 * h**2 + 4 * h * d + 5 * h


def test_lstm_gates_give_their_equations(x64):
    params, carry, xs, *_ = as_jax(make_problem(lj.LSTM, jnp.float64))
    got = lj.lstm_gates(params, carry.h, xs[0])
    i, f, g, o = oracles.lstm_gates(params, carry.h, xs[0])
    assert_close((got.i, got.f, got.g, got.o), (i, f, g, o))


# --- Promises of every cell -----------------------------------------------------------


@for_every_cell
def test_a_compiled_step_equals_an_eager_one(cell):
    params, carry, xs, *_ = as_jax(make_problem(cell))
    compiled = jax.jit(cell.step)(params, carry, xs[0])
    assert_close(compiled, cell.step(params, carry, xs[0]))


@for_every_cell
def test_vmap_over_examples_equals_the_native_batch(cell):
    params, carry, xs, *_ = as_jax(make_problem(cell))
    one_by_one = jax.vmap(cell.step, in_axes=(None, 0, 0))
    assert_close(one_by_one(params, carry, xs[0]), cell.step(params, carry, xs[0]))


@for_a_few_families
def test_gradients_under_vmap_equal_those_of_the_native_batch(cell):
    problem = make_problem(cell)

    def one_by_one(params, carry, xs):
        run = partial(unrolled(cell), params)
        return jax.vmap(run, in_axes=(0, 1), out_axes=(0, 1))(carry, xs)

    assert_close(solve(one_by_one, problem), solve(unrolled(cell), problem))


@pytest.mark.parametrize("batch_shape", [(), (SIZES.batch,), (1, SIZES.batch)])
@for_every_cell
def test_any_number_of_batch_axes(cell, batch_shape):
    params, carry, xs, *_ = as_jax(make_problem(cell))
    wanted = cell.step(params, carry, xs[0])

    def shaped(leaf):
        return leaf[0] if batch_shape == () else leaf.reshape(*batch_shape, -1)

    got = cell.step(params, *jax.tree.map(shaped, (carry, xs[0])))
    assert_close(got, jax.tree.map(shaped, wanted))
    fresh = cell.init_carry(params, batch_shape)
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, got[0])


@for_every_cell
def test_the_carry_starts_empty(cell):
    params = make_params(cell)
    for leaf in cell.init_carry(params, (2, 3)):
        np.testing.assert_array_equal(leaf, np.zeros((2, 3, leaf.shape[-1])))


@for_every_dtype
@pytest.mark.parametrize("cell", [*EVERY_CELL, *OF_PAPERS], ids=lambda cell: cell.name)
def test_dtype_is_kept(cell, dtype, x64):
    """Under x64, so that a stray double shows, also where float32 was asked for."""

    def everything(key, problem):
        params = cell.init(key, SIZES.input, SIZES.hidden, dtype=dtype)
        carry = cell.init_carry(params, (SIZES.batch,))
        return params, carry, solve(unrolled(cell), problem)

    traced = jax.eval_shape(everything, jax.random.key(0), make_problem(cell, dtype))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(traced)} == {dtype}


@for_every_cell
def test_bfloat16_stays_near_float32(cell):
    low = make_problem(cell, jnp.bfloat16)
    high = jax.tree.map(lambda leaf: leaf.astype(np.float32), low)
    step = jax.jit(cell.step)
    (got, _), (wanted, _) = (step(p.params, p.carry, p.xs[0]) for p in (low, high))
    assert_close(got, wanted)


@for_every_cell
def test_equal_cells_hash_equal_and_share_one_trace(cell):
    twin = dataclasses.replace(cell)
    traced = []

    @jax.jit
    def start(cell, params):
        traced.append(cell.name)
        return cell.init_carry(params)

    assert twin is not cell and twin == cell and hash(twin) == hash(cell)
    params = make_params(cell)
    start(cell, params)
    start(twin, params)
    assert traced == [cell.name]


def test_cells_with_other_wiring_are_not_equal():
    cells = [*EVERY_WIRING, lj.cells.janet(0.5), lj.cells.layer_norm_lstm(1e-3)]
    cells += [lj.cells.antisymmetric_rnn(gamma=0.1), lj.cells.peephole_lstm("NP")]
    assert len(set(cells)) == len({cell.name for cell in cells}) == len(cells)


SPELLINGS = {
    "rnn": [lj.RNN, lj.rnn(), lj.rnn("tanh"), lj.rnn(activation="tanh")],
    "rnn_relu": [lj.rnn("relu"), lj.rnn(activation="relu")],
    "four_gate": [lj.FOUR_GATE, lj.four_gate(), lj.four_gate(use_input="kept")],
    "four_gate_ltm": [lj.four_gate("ltm"), lj.four_gate(use_input="ltm")],
    "lstm97": [
        lj.cells.LSTM97,
        lj.cells.lstm97(),
        lj.cells.lstm97(1, truncated=False, biased="all"),
    ],
    "lstm2000": [LSTM2000, lstm2000(), lstm2000(1, truncated=False)],
    "peephole_lstm": [
        lj.cells.PEEPHOLE_LSTM,
        lj.cells.peephole_lstm(),
        lj.cells.peephole_lstm("V"),
    ],
    "layer_norm_lstm": [
        lj.cells.LAYER_NORM_LSTM,
        lj.cells.layer_norm_lstm(epsilon=1e-5),
    ],
    "janet": [
        lj.cells.JANET,
        lj.cells.janet(),
        lj.cells.janet(1),
        lj.cells.janet(beta=1.0),
    ],
    "antisymmetric_rnn": [
        lj.cells.ANTISYMMETRIC_RNN,
        lj.cells.antisymmetric_rnn(0.01),
        lj.cells.antisymmetric_rnn(epsilon=0.01, gamma=0.01),
    ],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_factory_returns_the_same_cell_however_it_is_called(name):
    first, *others = SPELLINGS[name]
    assert first.name == name
    assert all(cell is first for cell in others)


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        (
            lj.rnn,
            {"activation": "sine"},
            "activation: got 'sine'; allowed: tanh, relu, logistic, linear",
        ),
        (lj.four_gate, {"use_input": "stm"}, "use_input: .*; allowed: kept, ltm"),
        (lj.cells.peephole_lstm, {"variant": "v"}, "variant: got 'v'; allowed: V, NIG"),
        (
            lj.cells.lstm97,
            {"biased": "g"},
            "biased: got 'g'; allowed: all, gates, none",
        ),
        (
            lj.cells.layer_norm_lstm,
            {"epsilon": 0},
            "epsilon: got 0; it must be above 0",
        ),
        (
            lj.cells.antisymmetric_rnn,
            {"epsilon": 0},
            "epsilon: got 0; it must be above 0",
        ),
        (
            lj.cells.antisymmetric_rnn,
            {"gamma": -1},
            "gamma: got -1; it must be at least 0",
        ),
    ],
)
def test_a_factory_refuses_a_wiring_that_no_cell_has(factory, options, message):
    with pytest.raises(ValueError, match=message):
        factory(**options)


@pytest.mark.parametrize("factory", [lj.cells.lstm97, lstm2000])
@pytest.mark.parametrize("block_size", [0, 2.0, 1.5, True, "2"])
def test_blocks_are_of_a_whole_number_of_cells(factory, block_size):
    # As outside the tests, where no type checker stands before the function.
    unchecked = inspect.unwrap(factory)
    message = f"block_size: got {block_size!r}; it must be "
    error = ValueError if block_size == 0 else TypeError
    with pytest.raises(error, match=re.escape(message)):
        unchecked(block_size)


WRONG_WIDTH = r"the last axis is 5; .* made with input_size=2"


@pytest.mark.parametrize("cell", [*EVERY_CELL, *OF_PAPERS], ids=lambda cell: cell.name)
def test_a_step_refuses_an_input_of_another_width(cell):
    params, carry, *_ = as_jax(make_problem(cell))
    with pytest.raises(ValueError, match=WRONG_WIDTH):
        cell.step(params, carry, jnp.ones((SIZES.batch, 5)))


@pytest.mark.parametrize(
    "call",
    [
        lambda lstm, four, memory, event: lj.lstm_gates(lstm, memory, event),
        lambda lstm, four, memory, event: lj.learn_gate(four, memory, event),
        lambda lstm, four, memory, event: lj.forget_gate(four, memory, memory, event),
        lambda lstm, four, memory, event: lj.use_gate(four, memory, memory, event),
    ],
    ids=["lstm_gates", "learn_gate", "forget_gate", "use_gate"],
)
def test_a_single_gate_refuses_an_event_of_another_width(call):
    lstm, four = make_params(lj.LSTM), make_params(lj.FOUR_GATE)
    with pytest.raises(ValueError, match=WRONG_WIDTH):
        call(lstm, four, jnp.ones(SIZES.hidden), jnp.ones(5))


# --- Initial weights ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("input_size", "hidden_size", "message"),
    [
        (0, 3, "input_size: got 0; it must be at least 1"),
        (3, 0, "hidden_size: got 0; it must be at least 1"),
        (-2, 3, "input_size: got -2; it must be at least 1"),
        (3, -2, "hidden_size: got -2; it must be at least 1"),
    ],
)
@for_every_cell
def test_init_refuses_sizes_below_one(cell, input_size, hidden_size, message, key):
    with pytest.raises(ValueError, match=message):
        cell.init(key, input_size, hidden_size)


def assert_only_bias(params, place, wanted, hidden=3):
    """Asserts that this gate has the bias and the other biases are zero."""
    for field, leaf in params._asdict().items():
        if field.startswith("b"):
            gates = leaf.reshape(-1, hidden)
            for k, bias in enumerate(gates):
                expected = wanted if (field, k) == place else 0.0
                np.testing.assert_array_equal(bias, np.broadcast_to(expected, hidden))


PER_UNIT = np.array([2.5, -1.0, 0.5], np.float32)


def biases_only(options):
    """Options of init that draw as little as possible beside the biases."""
    draw = initializers.uniform
    return {"input_init": draw, "recurrent_init": draw, **options}


def test_every_cell_with_such_an_option_is_in_these_lists():
    for option, places in [
        ("forget_bias", FORGET_BIASES),
        ("input_bias", INPUT_BIASES),
    ]:
        named = [
            name
            for name, cell in lj.CELLS.items()
            if option in inspect.signature(cell.init).parameters
        ]
        assert named == [name for name in lj.CELLS if name in places]


@pytest.mark.parametrize("name", FORGET_BIASES)
def test_forget_bias_lands_on_the_forget_gate_only(name, key):
    for options, wanted in [
        ({}, 1.0),
        ({"forget_bias": 2.5}, 2.5),
        ({"forget_bias": jnp.asarray(PER_UNIT)}, PER_UNIT),
    ]:
        params = lj.CELLS[name].init(key, 2, 3, **biases_only(options))
        assert_only_bias(params, FORGET_BIASES[name], wanted)


@pytest.mark.parametrize("name", INPUT_BIASES)
def test_input_bias_lands_on_the_input_gate_only(name, key):
    none = {"forget_bias": 0.0} if name in FORGET_BIASES else {}
    for wanted in (-1.5, PER_UNIT):
        options = none | {"input_bias": jnp.asarray(wanted)}
        params = lj.CELLS[name].init(key, 2, 3, **biases_only(options))
        assert_only_bias(params, INPUT_BIASES[name], wanted)


@pytest.mark.parametrize("name", FORGET_BIASES)
def test_a_bias_of_another_number_of_units_is_refused(name, key):
    message = r"forget_bias: shape is \(4,\); it must be \(\) or \(3,\)"
    with pytest.raises(ValueError, match=message):
        options = biases_only({"forget_bias": jnp.ones(4)})
        lj.CELLS[name].init(key, 2, 3, **options)


@pytest.mark.parametrize("name", [n for n in lj.CELLS if n not in FORGET_BIASES])
def test_biases_of_cells_without_a_gate_that_keeps_are_zero(name, key):
    assert_only_bias(lj.CELLS[name].init(key, 2, 3), place=None, wanted=None)


def test_biases_of_full_gate_recurrence_are_those_of_the_vanilla_lstm(key):
    options = biases_only({"input_bias": -1.5, "forget_bias": jnp.asarray(PER_UNIT)})
    full, vanilla = (
        lj.cells.peephole_lstm(variant).init(key, 2, 3, **options)
        for variant in ("FGR", "V")
    )
    np.testing.assert_array_equal(full.b, vanilla.b)


class Blocks(NamedTuple):
    """The weights of every gate that read the short-term memory, and those of x."""

    recurrent: Any
    input: Any


def blocks_of(params, hidden):
    """Returns arrays (gates, rows, hidden): what reads a memory, and what reads x."""
    by_gate = lambda w: list(jnp.split(w, w.shape[-1] // hidden, axis=-1))
    if isinstance(params, lj.cells.IndRNNParams):
        return Blocks(params.u[None], params.w_ih[None])
    if isinstance(params, lj.FourGateParams):
        joint = jnp.stack([params.w_n, params.w_i, params.w_f, params.w_v])
        recurrent = jnp.concatenate([joint[:, :hidden], params.w_u[None]])
        return Blocks(recurrent=recurrent, input=joint[:, hidden:])
    if isinstance(params, lj.cells.LessonPeepholeParams):
        ltm, stm, event = jnp.split(params.w_ifv, [hidden, 2 * hidden])
        stm_n, event_n = params.w_n[:hidden], params.w_n[hidden:]
        recurrent = [*by_gate(ltm), *by_gate(stm), stm_n, params.w_u]
        return Blocks(jnp.stack(recurrent), jnp.stack([*by_gate(event), event_n]))
    return Blocks(*(jnp.stack(by_gate(w)) for w in (params.w_hh, params.w_ih)))


@pytest.mark.parametrize("name", [n for n in lj.CELLS if n not in NOT_ORTHOGONAL])
def test_recurrent_weights_are_orthogonal_gate_by_gate(name, key, x64):
    """Rows of a narrow short-term memory, columns of a wide one, are orthonormal."""
    params = lj.CELLS[name].init(key, 2, 3, dtype=jnp.float64)
    blocks = blocks_of(params, 3).recurrent
    if blocks.shape[1] < blocks.shape[2]:
        blocks = blocks.swapaxes(1, 2)
    overlaps = np.einsum("kab,lac->klbc", blocks, blocks)
    size = blocks.shape[2]
    for k, l in np.ndindex(overlaps.shape[:2]):
        if k == l:
            assert_close(overlaps[k, l], np.eye(size))
        else:
            assert overlaps[k, l].trace() < size - 0.1, "two gates were drawn alike"


@pytest.mark.parametrize("cell", EVERY_WIRING, ids=lambda cell: cell.name)
def test_no_weights_start_at_zero_and_no_two_are_drawn_alike(cell, key):
    allowed = inspect.signature(cell.init).parameters
    options = {name: o for name, o in biases_only({}).items() if name in allowed}
    drawn = cell.init(key, 4, 4, **options)._asdict()
    weights = {name: leaf for name, leaf in drawn.items() if name[0] in "wpu"}
    for (name, one), (other, two) in itertools.combinations(weights.items(), 2):
        assert one.shape != two.shape or (one != two).all(), f"{name} is {other}"
    for name, leaf in weights.items():
        assert (leaf != 0).any(axis=0).all(), name


@for_every_family
def test_gain_scales_the_recurrent_weights_only(cell, key):
    plain = blocks_of(cell.init(key, 2, 3), 3)
    scaled = blocks_of(cell.init(key, 2, 3, gain=0.5), 3)
    np.testing.assert_array_equal(scaled.recurrent, 0.5 * plain.recurrent)
    np.testing.assert_array_equal(scaled.input, plain.input)


INPUT, HIDDEN = 40, 20
BOUNDS = {
    initializers.glorot: (6 / (INPUT + HIDDEN)) ** 0.5,
    initializers.uniform: HIDDEN**-0.5,
}


@pytest.mark.parametrize("draw", BOUNDS, ids=lambda draw: draw.__name__)
@for_a_few_families
def test_input_weights_fill_the_bounds_of_their_initializer(cell, draw, key):
    blocks = blocks_of(cell.init(key, INPUT, HIDDEN, input_init=draw), HIDDEN).input
    for block in np.asarray(blocks, np.float64) / BOUNDS[draw]:
        assert 0.97 < np.abs(block).max() <= 1
        assert abs(block.mean()) < 0.08
        assert abs((block**2).mean() - 1 / 3) < 0.05


@for_every_family
def test_input_weights_are_glorot_by_default(cell, key):
    named = cell.init(key, 2, 3, input_init=initializers.glorot)
    assert_close(cell.init(key, 2, 3), named)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4)])
@for_every_dtype
def test_orthogonal_has_orthonormal_rows_or_columns(shape, dtype, key, x64):
    drawn = initializers.orthogonal(key, shape, dtype)
    assert drawn.shape == shape and drawn.dtype == dtype
    narrow = drawn if shape[0] >= shape[1] else drawn.T
    assert_close((narrow.T @ narrow).astype(dtype), np.eye(min(shape)))


def test_orthogonal_draws_both_signs():
    """QR alone gives every (1, 1) matrix the same sign; the Haar measure does not."""
    keys = jax.random.split(jax.random.key(0), 10)
    drawn = [initializers.orthogonal(key, (1, 1), jnp.float32).item() for key in keys]
    assert set(drawn) == {-1.0, 1.0}


QR_PRIMITIVES = {"qr", "geqrf", "geqp3", "householder_product", "orgqr"}


@for_every_family
def test_vmapped_init_never_asks_for_a_batched_qr(cell, key):
    """Such a call can wait for ever on CPU; see `initializers._qr`."""
    keys = jax.random.split(key, 3)
    for init in (cell.init, jax.jit(cell.init, static_argnums=(1, 2))):
        traced = jax.make_jaxpr(jax.vmap(lambda k, init=init: init(k, 4, 4)))(keys)
        factorised = [
            operand.aval.ndim
            for equation in oracles.equations_of(traced.jaxpr)
            if equation.primitive.name in QR_PRIMITIVES
            for operand in equation.invars
        ]
        assert bool(factorised) == (cell.name not in NOT_ORTHOGONAL)
        assert max(factorised, default=2) == 2


def test_vmapped_orthogonal_equals_one_draw_after_the_other(key):
    keys = jax.random.split(key, 3)
    draw = partial(initializers.orthogonal, shape=(2, 2), dtype=jnp.float32)
    assert_close(jax.vmap(draw)(keys), jnp.stack([draw(k) for k in keys]))


@pytest.mark.parametrize(
    "cell", [lj.LSTM, lj.FOUR_GATE, lj.GRU], ids=lambda cell: cell.name
)
def test_a_traced_forget_bias_and_gain_sweep_under_vmap(cell, key):
    values = jnp.array([-1.0, 3.0])

    def init(value):
        draw = initializers.uniform  # compiled sooner than the default
        options = {"input_init": draw, "recurrent_init": draw}
        return cell.init(key, 2, 2, forget_bias=value, gain=value, **options)

    swept = jax.vmap(init)(values)
    for k, value in enumerate(values.tolist()):
        assert_close(jax.tree.map(itemgetter(k), swept), init(value))


def test_a_cell_is_made_by_name_and_never_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(lj.LSTM, "name", "another")  # noqa: B010
    of_cell: Any = lj.Cell
    with pytest.raises(TypeError, match="positional"):
        of_cell("mine", lj.LSTM.init, lj.LSTM.init_carry, lj.LSTM.step)
