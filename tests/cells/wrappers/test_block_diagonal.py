"""Heads: the cell itself with zeros between its heads, and each starts as a cell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import SIZES, float64_problem, solve, unrolled
from comparing import assert_close
from problems import slow_but

import lstm_jax as lj
from lstm_jax.cells import block_diagonal, whole_params

HIDDEN = SIZES.hidden
SPLIT = [
    *(lj.CELLS[name] for name in ("lstm", "four_gate", "rnn", "gru", "mgu", "janet")),
    *(lj.CELLS[name] for name in ("peephole_lstm", "cifg_lstm", "layer_norm_lstm")),
    *(lj.CELLS[name] for name in ("gru_reset_before", "minimal_rnn", "slstm")),
    *(lj.CELLS[name] for name in ("antisymmetric_rnn", "exp_rnn", "irnn")),
]
FEW = [lj.LSTM, lj.FOUR_GATE]


def spread(params, heads=2):
    """Params of the cell itself: column j of a gate reads the units of its head."""
    units = HIDDEN // heads

    def whole(leaf):
        rows = np.zeros((HIDDEN + len(leaf) - units, leaf.shape[1]))
        rows[HIDDEN:] = leaf[units:]
        for column in range(leaf.shape[1]):
            first = column % HIDDEN // units * units
            rows[first : first + units, column] = leaf[:units, column]
        return rows

    names = (
        ("w_hh",) if hasattr(params, "w_hh") else ("w_n", "w_i", "w_f", "w_v", "w_u")
    )
    return params._replace(**{name: whole(getattr(params, name)) for name in names})


@pytest.mark.parametrize("cell", slow_but(FEW, SPLIT), ids=lambda cell: cell.name)
def test_it_is_the_cell_with_zeros_between_the_heads(cell, x64):
    split = block_diagonal(cell, 2)
    problem = float64_problem(split)
    *got, dparams, dcarry, dxs = solve(unrolled(split), problem)
    dense = problem._replace(params=spread(problem.params))
    assert_close(whole_params(problem.params, 2), dense.params)
    *wanted, of_dense, dcarry_dense, dxs_dense = solve(unrolled(cell), dense)
    assert_close((*got, dcarry, dxs), (*wanted, dcarry_dense, dxs_dense))
    own = spread(jax.tree.map(np.ones_like, dparams))
    assert_close(spread(dparams), jax.tree.map(np.multiply, own, of_dense))


def test_gates_keep_their_names(x64):
    split = block_diagonal(lj.FOUR_GATE, 2)
    params, carry, xs, *_ = float64_problem(split)
    found = lj.trace(split, params, xs, carry)
    wanted = lj.trace(lj.FOUR_GATE, whole_params(params, 2), xs, carry)
    assert_close(tuple(found.values()), tuple(wanted[name] for name in found))


def test_no_head_reads_another(x64):
    for cell in FEW:
        split = block_diagonal(cell, 2)
        params, carry, xs, *_ = float64_problem(split)
        run = jax.jit(lambda *of, split=split: lj.step_jacobians(split, *of))
        across = np.asarray(run(params, xs[:1], carry)).reshape(-1, 2, 2, 2, 2, 2, 2)
        assert not across[:, :, 0, :, :, 1].any() and not across[:, :, 1, :, :, 0].any()
        assert across[:, :, 0, :, :, 0].any()


def test_the_scan_finds_its_products(x64):
    split = block_diagonal(lj.FOUR_GATE, 2)
    params, carry, xs, *_ = float64_problem(split)
    report = lj.scan_report(split.step, params, carry, xs)
    assert report.implementation == "weighted" and not report.refused
    assert len(report.weight_products) == 2


def test_every_gate_of_every_head_starts_orthogonal_and_drawn_anew(key, x64):
    bias = jnp.arange(6.0)
    options = {"gain": 0.5, "forget_bias": bias, "dtype": jnp.float64}
    params = block_diagonal(lj.LSTM, 2).init(key, 2, 6, **options)
    blocks = np.moveaxis(params.w_hh.reshape(3, 8, 3), 1, 0)
    overlaps = np.einsum("kab,lac->klbc", blocks, blocks)
    assert_close(
        overlaps[np.arange(8), np.arange(8)], np.tile(np.eye(3) / 4, (8, 1, 1))
    )
    assert len(np.unique(blocks[:, 0, 0])) == 8
    np.testing.assert_array_equal(params.b[6:12], bias)


def test_four_gate_heads_start_with_what_the_lesson_starts_with(key):
    params = block_diagonal(lj.FOUR_GATE, 2).init(key, 3, 4, use_gain=2.0)
    np.testing.assert_array_equal(params.w_u, 2 * np.tile(np.eye(2), 2))
    assert params.w_n.shape == (2 + 3, 4) and bool((params.b_i == -3).all())


def test_around_a_cell_that_draws():
    split = block_diagonal(lj.zoneout(lj.LSTM, 0.5), 2)
    assert isinstance(split, lj.cells.KeyedCell)
    assert split.evaluated is block_diagonal(lj.LSTM, 2)
    assert split.name == "zoneout(lstm)_2_heads"


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda key: block_diagonal(lj.LSTM, 0), "heads: got 0; it must be at least 1"),
        (
            lambda key: block_diagonal(lj.LSTM, 3).init(key, 2, 4),
            "hidden_size: got 4; it must be a multiple of heads=3",
        ),
        *(
            (
                lambda key, cell=cell: block_diagonal(cell, 2).init(key, 2, 6),
                f"cell: got '{cell.name}'; it must have a w_hh .hidden, gates . hidden",
            )
            for cell in (
                lj.cells.LRU,
                lj.cells.LSTM97,
                lj.cells.lstm2000(block_size=3),
                lj.cells.LESSON_PEEPHOLE_LSTM,
            )
        ),
    ],
)
def test_what_cannot_be_split_is_refused(call, line, key):
    with pytest.raises(ValueError, match=line):
        call(key)
