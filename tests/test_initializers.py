"""How weights are drawn."""

import itertools
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import comparing
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import (
    EVERY_WIRING,
    FEW_CELLS,
    biases_only,
    each_kind_of,
    for_every_dtype,
)
from comparing import assert_close
from problems import slow_but

import lstm_jax as lj
from lstm_jax import initializers

# Their weights read the input alone.
NO_RECURRENT = [n for n, cell in lj.CELLS.items() if cell.transition or n == "mlstm"]
OF_PAIRS = ("exp_rnn", "sco_rnn")
NOT_ORTHOGONAL = ("irnn", "indrnn", "antisymmetric_rnn", *OF_PAIRS, *NO_RECURRENT)

FEW = [lj.LSTM, lj.FOUR_GATE]
for_every_family = pytest.mark.parametrize(
    "cell", slow_but(FEW, lj.CELLS.values()), ids=lj.CELLS
)


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
        return Blocks(recurrent=joint[:, :hidden], input=joint[:, hidden:])
    if isinstance(params, lj.cells.LessonPeepholeParams):
        ltm, stm, event = jnp.split(params.w_ifv, [hidden, 2 * hidden])
        stm_n, event_n = params.w_n[:hidden], params.w_n[hidden:]
        recurrent = [*by_gate(ltm), *by_gate(stm), stm_n]
        return Blocks(jnp.stack(recurrent), jnp.stack([*by_gate(event), event_n]))
    return Blocks(*(jnp.stack(by_gate(w)) for w in (params.w_hh, params.w_ih)))


@pytest.mark.parametrize(
    "name",
    slow_but(["lstm", "four_gate"], [n for n in lj.CELLS if n not in NOT_ORTHOGONAL]),
)
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


@each_kind_of(EVERY_WIRING)
def test_no_weights_start_at_zero_and_no_two_are_drawn_alike(cell, key):
    drawn = cell.init(key, 4, 4, **biases_only({}, cell))._asdict()
    weights = {name: leaf for name, leaf in drawn.items() if name[0] in "wpu"}
    for (name, one), (other, two) in itertools.combinations(weights.items(), 2):
        assert one.shape != two.shape or (one != two).all(), f"{name} is {other}"
    for name, leaf in weights.items():
        assert (leaf != 0).any(axis=0).all(), name


@pytest.mark.parametrize(
    "cell",
    slow_but(FEW, [c for name, c in lj.CELLS.items() if name not in NO_RECURRENT]),
    ids=lambda cell: cell.name,
)
def test_gain_scales_the_recurrent_weights_only(cell, key):
    plain = blocks_of(cell.init(key, 2, 3), 3)
    scaled = blocks_of(cell.init(key, 2, 3, gain=0.5), 3)
    np.testing.assert_array_equal(scaled.recurrent, 0.5 * plain.recurrent)
    np.testing.assert_array_equal(scaled.input, plain.input)


@pytest.mark.parametrize("cell", [lj.FOUR_GATE, lj.cells.LESSON_PEEPHOLE_LSTM])
def test_every_unit_of_the_use_gate_starts_with_its_own_memory(cell, key):
    np.testing.assert_array_equal(cell.init(key, 2, 3).w_u, 10 * np.eye(3))
    small = cell.init(key, 2, 3, use_gain=0.5, gain=7.0)
    np.testing.assert_array_equal(small.w_u, 0.5 * np.eye(3))


def test_at_its_first_step_the_use_gate_reads_what_it_would_of_a_half_open_input():
    """i N W_u is that of b_i = 0 and W_u = I, to 6 %: 10 σ(-3) = 0.474 for 1/2."""
    params = lj.FOUR_GATE.init(jax.random.key(0), 2, 3)
    opening = jax.nn.sigmoid(params.b_i) @ params.w_u
    np.testing.assert_allclose(opening, 0.5, rtol=0.06)


INPUT, HIDDEN = 40, 20
BOUNDS = {
    initializers.glorot: (6 / (INPUT + HIDDEN)) ** 0.5,
    initializers.uniform: HIDDEN**-0.5,
}


@pytest.mark.parametrize("draw", BOUNDS, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("cell", slow_but(FEW, FEW_CELLS), ids=lambda cell: cell.name)
def test_input_weights_fill_the_bounds_of_their_initializer(cell, draw, key):
    blocks = blocks_of(cell.init(key, INPUT, HIDDEN, input_init=draw), HIDDEN).input
    for block in np.asarray(blocks, np.float64) / BOUNDS[draw]:
        assert 0.97 < np.abs(block).max() <= 1
        assert abs(block.mean()) < 0.08
        assert abs((block**2).mean() - 1 / 3) < 0.05


@pytest.mark.parametrize(
    "cell",
    slow_but(FEW, [cell for cell in lj.CELLS.values() if cell != lj.cells.LRU]),
    ids=lambda cell: cell.name,
)
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
            for equation in comparing.equations_of(traced.jaxpr)
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
    "cell",
    slow_but([lj.GRU], [lj.LSTM, lj.FOUR_GATE, lj.GRU]),
    ids=lambda cell: cell.name,
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


@pytest.mark.parametrize(
    ("size", "density"),
    slow_but([(10, 0.3)], [(2, 1.0), (10, 0.3), (50, 0.3), (50, 0)]),
)
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
    got = initializers.radius_of(jnp.array(matrix))
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
