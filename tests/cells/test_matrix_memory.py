"""Cells with a matrix for a memory: what they recall, replace, add and forget."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import assert_close
from problems import make_params

import lstm_jax as lj
from lstm_jax.cells import DELTA_NET, GATED_DELTA_NET, GATED_LINEAR_ATTENTION

in_float64 = pytest.mark.usefixtures("x64")
KEYS, VALUES = 5, 3
OPEN = 1000.0  # σ of it is 1 in float64
MATRICES = [DELTA_NET, GATED_LINEAR_ATTENTION, GATED_DELTA_NET]
for_every_matrix = pytest.mark.parametrize("cell", MATRICES, ids=lambda c: c.name)


def told(cell):
    """Params by which an event is (key, query, value), all gates open: β = 1, α = 1."""
    inputs = 2 * KEYS + VALUES
    options = {"key_size": KEYS, "dtype": jnp.float64}
    init = partial(cell.init, input_size=inputs, hidden_size=VALUES, **options)
    params = jax.eval_shape(init, jax.random.key(0))
    rows = np.eye(inputs)
    fields = {name: np.zeros(leaf.shape) for name, leaf in params._asdict().items()}
    fields |= {name: leaf + OPEN for name, leaf in fields.items() if name[0] == "b"}
    if cell is GATED_DELTA_NET:  # its α is 1 where nothing says that it fades
        fields["b_alpha"] = -fields["b_alpha"]
    picks = np.split(rows, [KEYS, 2 * KEYS], axis=1)
    return type(params)(**fields | dict(zip(("w_k", "w_q", "w_v"), picks, strict=True)))


def writing(keys, values):
    """Events that write and ask nothing."""
    return np.concatenate([keys, 0 * keys, values], axis=1)


def asking(queries):
    """Events that ask and have no key."""
    return np.concatenate([0 * queries, queries, np.zeros((len(queries), VALUES))], 1)


def drawn(*shape):
    return np.random.default_rng(0).standard_normal(shape)


# They hold what NumPy made.
MatrixCarry: Any = lj.cells.MatrixCarry
unroll = jax.jit(lj.unroll)
NOTHING = MatrixCarry(s=np.zeros((VALUES, KEYS)))
TIME = 2 * KEYS  # of every run, so that one program has them all


def answers(cell, params, written, queries):
    """What is answered when all was written; the last query is repeated."""
    asked = np.concatenate([queries, *[queries[-1:]] * TIME])
    events = np.concatenate([written, asking(asked)])[:TIME]
    return np.asarray(unroll(cell, params, events, NOTHING)[1])[len(written) :]


@in_float64
@for_every_matrix
def test_as_many_pairs_as_a_key_has_numbers_are_recalled_exactly(cell):
    """S = Σ v_i k_iᵀ and k_iᵀ k_j = δ_ij, so that S k_j = v_j."""
    keys = np.linalg.qr(drawn(KEYS, KEYS))[0]
    values = drawn(KEYS, VALUES)
    order = np.array([3, 0, 4, 1, 2])
    got = answers(cell, told(cell), writing(keys, values), keys[order])
    np.testing.assert_allclose(got, values[order], atol=1e-12)


@in_float64
@for_every_matrix
def test_a_second_value_replaces_the_first_or_is_added_to_it(cell):
    key = np.eye(KEYS)[:1]
    first, second = drawn(2, 1, VALUES)
    written = [writing(key, value) for value in (first, second)]
    got = answers(cell, told(cell), np.concatenate(written), key)
    added = cell is GATED_LINEAR_ATTENTION
    assert_close(got[:1], first + second if added else second)


@in_float64
def test_the_delta_rule_moves_what_a_key_has_by_a_share_of_the_error():
    """S k = (1 - β) S k + β v: after n times, v (1 - (1 - β)^n), with β = 1/2."""
    params = told(DELTA_NET)._replace(b_beta=np.zeros(1))
    key, value = drawn(1, KEYS), drawn(1, VALUES)
    got = answers(DELTA_NET, params, np.repeat(writing(key, value), 4, 0), 3.0 * key)
    assert_close(got[:1], value * (1 - 0.5**4))


@in_float64
@pytest.mark.parametrize("largest", [1, 2])
def test_the_determinant_of_a_delta_rule_says_what_it_took_out(largest):
    """det (I - β k kᵀ) = 1 - β, and β = 2 keeps the length of every row."""
    cell = lj.cells.delta_net((0, largest))
    params, x, rows = make_params(cell, input_size=3), drawn(2, 3), drawn(2, 6, 4)
    beta = largest / (1 + np.exp(-(x @ params.w_beta + params.b_beta)))
    transition: Any = cell.transition

    @jax.jit
    def moved(params):
        a, _ = transition(params, x)
        return a.closed().matrix, a.on(rows)

    assert_close(np.linalg.det(moved(params)[0]), 1 - beta)
    _, after = moved(params._replace(b_beta=np.full(1, OPEN)))
    lengths = [np.linalg.norm(s, axis=-1) for s in (after, rows)]
    if largest == 2:
        np.testing.assert_allclose(*lengths, rtol=1e-12)
    else:
        assert (lengths[0] < lengths[1]).all()


@in_float64
def test_a_gated_delta_net_is_a_delta_net_that_fades():
    """With α = 1 they are one; with values under no key, S_t = α^t S_0."""
    gated, xs = told(GATED_DELTA_NET), drawn(TIME, 2 * KEYS + VALUES)
    plain = told(DELTA_NET)._replace(b_beta=np.full(1, 0.3))
    gated = gated._replace(b_beta=plain.b_beta)
    runs = (GATED_DELTA_NET, gated), (DELTA_NET, plain)
    one, other = (unroll(*run, xs, NOTHING) for run in runs)
    assert_close(one, other)
    softplus_is_one = np.full(1, np.log(np.e - 1))
    fading = gated._replace(b_alpha=softplus_is_one, a_log=np.log(np.full(1, 0.25)))
    start = MatrixCarry(s=drawn(VALUES, KEYS))
    final, _ = unroll(GATED_DELTA_NET, fading, 0 * xs, start)
    assert_close(final.s, start.s * np.exp(-0.25 * len(xs)))


@in_float64
def test_the_keys_of_gated_linear_attention_fade_each_at_its_rate():
    """S_t = S_0 diag(α)^t without values; at init α is 2^(-1/16)."""
    cell, time = GATED_LINEAR_ATTENTION, 32
    init = partial(cell.init, input_size=2, hidden_size=3, dtype=jnp.float64)
    params = jax.jit(init)(jax.random.key(0))
    bias = np.array([0.0, 2.0, -1.0])
    start = MatrixCarry(s=drawn(3, 3))
    params = params._replace(b_alpha=np.asarray(params.b_alpha) + bias)
    final = jax.tree.map(
        np.asarray, unroll(cell, params, np.zeros((time, 2)), start)[0]
    )
    wanted = start.s / (1 + np.exp(-bias)) ** (time / 16)
    assert_close(final.s, wanted)
    assert_close(final.s[:, 0], start.s[:, 0] / 4)


@for_every_matrix
def test_keys_have_a_size_of_their_own_and_y_that_of_the_cell(cell):
    def everything():
        params = cell.init(jax.random.key(0), 2, 1, key_size=4)
        return cell.step(params, cell.init_carry(params, (6,)), jnp.ones((6, 2)))

    carry, y = jax.eval_shape(everything)
    assert (carry.s.shape, y.shape) == ((6, 1, 4), (6, 1))
    with pytest.raises(ValueError, match="key_size: got 0; it must be"):
        cell.init(jax.random.key(0), 2, 3, key_size=0)


def test_a_range_that_no_delta_net_has_is_refused():
    with pytest.raises(
        ValueError, match=r"beta_range: got \(0, 3\); allowed: \(0, 1\)"
    ):
        lj.cells.delta_net((0, 3))
