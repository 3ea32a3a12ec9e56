"""The LSTM of 1997: truncated errors, blocks, activations and counts of weights."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import GATES_BIASED, float64_problem
from comparing import assert_close
from problems import slow_but

import lstm_jax as lj
from lstm_jax.cells.lstm97_input_gate import LSTM97_INPUT_GATE
from lstm_jax.cells.lstm2000 import lstm2000
from lstm_jax.readouts import init_linear, linear

in_float64 = pytest.mark.usefixtures("x64")


@in_float64
@pytest.mark.parametrize("block_size", slow_but([2], [1, 2]))
def test_truncated_errors_of_1997_travel_along_the_carousel_alone(block_size):
    """dc_T/dc_t is the identity, and nothing else reaches back."""
    cell = lj.cells.lstm97(block_size, truncated=True)
    params, carry, xs, *_ = float64_problem(cell)

    def memories(carry):
        return lj.unroll_reference(cell, params, xs, carry)[0].c

    weights = np.arange(1.0, 1 + carry.c.size).reshape(carry.c.shape)
    (back,) = jax.jit(lambda carry: jax.vjp(memories, carry)[1](weights))(carry)
    np.testing.assert_array_equal(back.c, weights)
    for leaf in (back.h, back.i, back.o):
        np.testing.assert_array_equal(leaf, np.zeros_like(leaf))
    whole = lj.cells.lstm97(block_size)
    full = lambda c: lj.unroll_reference(whole, params, xs, carry._replace(c=c))[0].c
    (of_all,) = jax.jit(lambda c: jax.vjp(full, c)[1](weights))(carry.c)
    assert (np.asarray(of_all) != weights).all()


@in_float64
def test_truncation_changes_no_value_of_1997():
    problem = float64_problem(lj.cells.LSTM97)
    got, wanted = (
        lj.unroll_reference(cell, problem.params, problem.xs, problem.carry)
        for cell in (lj.cells.lstm97(truncated=True), lj.cells.LSTM97)
    )
    assert_close(got, wanted)


@in_float64
def test_cells_of_a_block_share_their_gates():
    """Two cells with the same input weights, in one block, stay the same for ever."""
    cell = lj.cells.lstm97(block_size=2)
    params, _, xs, *_ = float64_problem(cell)
    first = 2 * 2  # the gates of two blocks come first
    twins = params._replace(
        w_ih=params.w_ih.at[:, first + 1].set(params.w_ih[:, first]),
        w_hh=params.w_hh.at[:, first + 1].set(params.w_hh[:, first]),
        b=params.b.at[first + 1].set(params.b[first]),
    )
    _, ys = lj.unroll_reference(cell, twins, xs)
    np.testing.assert_array_equal(ys[..., 0], ys[..., 1])
    assert (ys[1:, :, 1] != ys[1:, :, 2]).all()


@pytest.mark.slow
def test_the_activations_of_1997_have_its_ranges():
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
def test_one_input_gate_keeps_all_that_it_ever_let_in():
    """Experiment 2a: dc_T/dc_0 is the identity, and c grows by less than 1 a step."""
    params, carry, xs, *_ = float64_problem(LSTM97_INPUT_GATE)
    final, ys = lj.unroll_reference(LSTM97_INPUT_GATE, params, xs, carry)
    grown = np.diff(ys, axis=0, prepend=carry.c[None])
    assert (grown > 0).all() and (grown < 1).all()
    np.testing.assert_array_equal(final.c, ys[-1])
    run = lambda carry: lj.unroll_reference(LSTM97_INPUT_GATE, params, xs, carry)[0]
    (moved,) = jax.jvp(run, (carry,), (jax.tree.map(jnp.ones_like, carry),))[1]
    np.testing.assert_array_equal(moved, np.ones_like(carry.c))


def test_blocks_of_1997_open_one_after_the_other(key):
    later = jnp.array([-1.0, -2.0])
    cell = lj.cells.lstm97(block_size=2, biased="gates")
    params = cell.init(key, 1, 4, input_bias=later, output_bias=2 * later)
    np.testing.assert_array_equal(params.b, [-1, -2, -2, -4])
