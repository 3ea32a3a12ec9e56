"""sLSTM: a weighted mean that no gate can blow up, and a stabiliser nobody sees."""

import jax
import numpy as np
import pytest
from cells.sequences import float64_problem
from comparing import assert_close
from problems import draw, make_carry, make_params

import lstm_jax as lj

pytestmark = pytest.mark.usefixtures("x64")
EXPONENTIAL = lj.cells.slstm(forget_gate="exp")
BOTH = pytest.mark.parametrize(
    "cell", [lj.cells.SLSTM, EXPONENTIAL], ids=lambda cell: cell.name
)


unroll = jax.jit(lj.unroll)


def started(cell, scale=1.0):
    """Params, an empty memory and inputs."""
    params = jax.tree.map(
        lambda leaf: scale * np.asarray(leaf), make_params(cell, 2, 3)
    )
    empty = jax.tree.map(np.zeros_like, make_carry(cell, params, (4,)))
    return params, empty, np.asarray(draw(10, 4, 2, seed=100))


@BOTH
def test_the_output_does_not_depend_on_the_stabiliser(cell):
    """c and n over e^m by any other m, such as m + 3, give the same h."""
    params, empty, xs = started(cell)
    carry = jax.tree.map(np.asarray, unroll(cell, params, xs, empty)[0])
    less = np.exp(-3.0)
    moved = carry._replace(m=carry.m + 3, c=carry.c * less, n=carry.n * less)
    ys, others = (unroll(cell, params, -xs, start)[1] for start in (carry, moved))
    np.testing.assert_allclose(ys, others, rtol=1e-12)


@BOTH
def test_stabilised_equals_the_plain_equations(cell):
    params, empty, xs = started(cell)
    h, c, n = np.zeros((3, 4, 3))
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    ys = np.asarray(unroll(cell, params, xs, empty)[1])
    for x, y in zip(xs, ys, strict=True):
        gates = x @ params.w_ih + h @ params.w_hh + params.b
        i, f, z, o = np.split(gates, 4, axis=-1)
        f = np.exp(f) if cell is EXPONENTIAL else sigmoid(f)
        c, n = f * c + np.exp(i) * np.tanh(z), f * n + np.exp(i)
        h = sigmoid(o) * c / n
        assert_close(y, h)


@BOTH
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_what_it_shows_is_at_most_one_for_any_weights(cell, scale):
    params, empty, xs = started(cell, scale)
    ys = np.asarray(unroll(cell, params, xs, empty)[1])
    assert np.isfinite(ys).all() and np.abs(ys).max() <= 1


def test_no_gradient_flows_through_the_stabiliser():
    params, carry, xs, *_ = float64_problem(lj.cells.SLSTM)
    show = lambda m, x: lj.cells.SLSTM.step(params, carry._replace(m=m), x)[1].sum()
    slope = jax.jit(jax.grad(show))(carry.m, np.asarray(xs)[0])
    np.testing.assert_array_equal(slope, 0)


def test_a_clip_shortens_what_passes_back_through_the_weights():
    params, empty, xs = started(lj.cells.SLSTM)
    carry, _ = unroll(lj.cells.SLSTM, params, xs, empty)

    def back(cell):
        show = lambda h: 100 * cell.step(params, carry._replace(h=h), xs[5])[1].sum()
        return np.linalg.norm(jax.jit(jax.grad(show))(carry.h), axis=-1)

    assert (back(lj.cells.SLSTM) > 0.1).all()
    clipped = back(lj.cells.slstm(backward_clip=0.1))
    np.testing.assert_allclose(clipped, 0.1, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: lj.cells.slstm(0), "heads: got 0; it must be"),
        (
            lambda: lj.cells.slstm(forget_gate="tanh"),
            "forget_gate: got 'tanh'; allowed: sigmoid, exp",
        ),
        (lambda: lj.cells.slstm(backward_clip=-1), "backward_clip: got -1"),
    ],
)
def test_wirings_that_no_cell_has_are_refused(call, line):
    with pytest.raises(ValueError, match=line):
        call()
