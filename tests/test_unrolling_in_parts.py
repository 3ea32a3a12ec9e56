"""Runs in both directions, in pieces, and with params of another cell."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.short_runs import BATCH, HIDDEN, INPUT, close, sequence
from comparing import drawn_like
from problems import ONE_OF_EACH_KIND, assert_trees_close, draw, make_params, slow_but

import lstm_jax as lj


@pytest.mark.parametrize("lengths", [None, np.array([7, 0, 4])])
def test_bidirectional_is_one_cell_each_way(key, x64, lengths):
    cells = (lj.LSTM, lj.GRU)
    params = make_params(lj.LSTM, INPUT, HIDDEN), make_params(lj.GRU, INPUT, HIDDEN)
    xs = draw(7, BATCH, INPUT)

    @jax.jit
    def three(params, xs):
        how = {"lengths": lengths}
        return (
            lj.unroll_bidirectional(cells, params, xs, **how),
            lj.unroll(lj.LSTM, params[0], xs, **how),
            lj.unroll(lj.GRU, params[1], xs, **how, reverse=True),
        )

    (carries, ys), forward, backward = three(params, xs)
    close(carries, (forward[0], backward[0]))
    close(ys, np.concatenate([forward[1], backward[1]], -1))
    if lengths is not None:
        # Element 2 has 4 steps: what its backward cell shows at step 3 is the first
        # thing it shows, and knows of x_3 alone.
        alone = lj.GRU.step(params[1], lj.GRU.init_carry(params[1]), xs[3, 2])[1]
        close(ys[3, 2, HIDDEN:], alone)
    with pytest.raises(ValueError, match="cells: got 1 entries; it must be a pair"):
        lj.unroll_bidirectional((lj.LSTM,), params, xs)


@pytest.mark.parametrize("name", slow_but(ONE_OF_EACH_KIND[1:3], lj.CELLS))
def test_a_sequence_in_pieces_is_the_sequence_whole(key, x64, name):
    cell, time = lj.CELLS[name], 6
    init = partial(cell.init, key, INPUT, HIDDEN, dtype=jnp.float64)
    params = drawn_like(jax.eval_shape(init), seed=1)
    start = cell.init_carry(params, (BATCH,))
    xs = np.asarray(draw(time, BATCH, INPUT))
    lengths = np.array([6, 0, 4])
    resets = np.zeros((time, BATCH), bool)
    resets[[1, 5], [0, 2]] = True
    whole = lj.unroll(cell, params, xs, start, lengths=lengths, resets=resets)

    def piece(carry, begin):  # of one length, so that both share a compilation
        end = begin + 3
        left = np.clip(lengths - begin, 0, 3)
        masks = {"lengths": left, "resets": resets[begin:end]}
        return lj.unroll(cell, params, xs[begin:end], carry, **masks)

    carry, first = piece(start, 0)
    carry, rest = piece(carry, 3)
    close((carry, jnp.concatenate([first, rest])), whole)


@pytest.mark.parametrize("name", slow_but(ONE_OF_EACH_KIND, lj.CELLS))
def test_a_stream_step_by_step_or_in_pieces_is_the_sequence_whole(key, x64, name):
    cell, xs = lj.CELLS[name], sequence(key)[:5]
    init = partial(cell.init, key, INPUT, HIDDEN, dtype=jnp.float64)
    params = drawn_like(jax.eval_shape(init), seed=1)
    start = drawn_like(cell.init_carry(params, (BATCH,)), seed=2)
    step = jax.jit(lambda carry, x: cell.step(params, carry, x))
    by_step, by_piece, shown = start, start, {"step": [], "piece": []}
    for x in xs:
        by_step, y = step(by_step, x)
        shown["step"].append(y[None])
    for piece in (xs[:1], xs[1:3], xs[3:]):  # pieces of any length
        by_piece, ys = lj.unroll(cell, params, piece, by_piece)
        shown["piece"].append(ys)
    whole = lj.unroll(cell, params, xs, start)
    for carry, ys in zip((by_step, by_piece), shown.values(), strict=True):
        assert_trees_close((carry, jnp.concatenate(ys)), whole, rtol=0, atol=1e-12)


def test_params_of_another_cell_are_refused(key):
    params = lj.RNN.init(key, INPUT, HIDDEN)
    xs = sequence(key, dtype=jnp.float32)
    message = "params: got RNNParams; 'lstm' wants LSTMParams"
    with pytest.raises(TypeError, match=message):
        jax.jit(lambda xs: lj.unroll(lj.LSTM, params, xs))(xs)


def test_unroll_compiles_once_for_equal_cells_without_a_jit_around_it(key):
    traces = []

    def counting(params, carry, x):
        traces.append(x.shape)
        return lj.RNN.step(params, carry, x)

    cell = lj.Cell(
        name="counting", init=lj.RNN.init, init_carry=lj.RNN.init_carry, step=counting
    )
    params = cell.init(key, INPUT, HIDDEN)
    xs = sequence(key, dtype=jnp.float32)
    lj.unroll(cell, params, xs)
    first = len(traces)
    lj.unroll(cell, params, xs + 1)
    assert len(traces) == first
