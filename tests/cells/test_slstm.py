"""sLSTM: a weighted mean that no gate can blow up, and a stabiliser nobody sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import float64_problem
from comparing import assert_close

import lstm_jax as lj

pytestmark = pytest.mark.usefixtures("x64")
EXPONENTIAL = lj.cells.slstm(forget_gate="exp")
BOTH = pytest.mark.parametrize(
    "cell", [lj.cells.SLSTM, EXPONENTIAL], ids=lambda cell: cell.name
)


def started(cell, scale=1.0, time=20):
    params = cell.init(jax.random.key(0), 2, 3, dtype=jnp.float64)
    params = jax.tree.map(lambda leaf: scale * leaf, params)
    return params, jax.random.normal(jax.random.key(1), (time, 4, 2), jnp.float64)


@BOTH
def test_the_output_does_not_depend_on_the_stabiliser(cell):
    """c and n over e^m by any other m, such as m + 3, give the same h."""
    params, xs = started(cell)
    carry, _ = lj.unroll(cell, params, xs[:5])
    moved = carry._replace(
        m=carry.m + 3, c=carry.c * jnp.exp(-3.0), n=carry.n * jnp.exp(-3.0)
    )
    ys, others = (lj.unroll(cell, params, xs[5:], start)[1] for start in (carry, moved))
    np.testing.assert_allclose(ys, others, rtol=1e-12)


@BOTH
def test_stabilised_equals_the_plain_equations(cell):
    params, xs = started(cell)
    h, c, n = jnp.zeros((3, 4, 3))
    for x, y in zip(xs, lj.unroll(cell, params, xs)[1], strict=True):
        gates = x @ params.w_ih + h @ params.w_hh + params.b
        i, f, z, o = jnp.split(gates, 4, axis=-1)
        f = jnp.exp(f) if cell is EXPONENTIAL else jax.nn.sigmoid(f)
        c, n = f * c + jnp.exp(i) * jnp.tanh(z), f * n + jnp.exp(i)
        h = jax.nn.sigmoid(o) * c / n
        assert_close(y, h)


@BOTH
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_what_it_shows_is_at_most_one_for_any_weights(cell, scale):
    params, xs = started(cell, scale)
    ys = lj.unroll(cell, params, xs)[1]
    assert bool(jnp.isfinite(ys).all()) and float(jnp.abs(ys).max()) <= 1


def test_no_gradient_flows_through_the_stabiliser():
    params, carry, xs, *_ = float64_problem(lj.cells.SLSTM)
    slope = jax.grad(
        lambda m: lj.cells.SLSTM.step(params, carry._replace(m=m), xs[0])[1].sum()
    )(carry.m)
    np.testing.assert_array_equal(slope, 0)


def test_a_clip_shortens_what_passes_back_through_the_weights():
    params, xs = started(lj.cells.SLSTM)
    cell = lj.cells.slstm(backward_clip=0.1)
    carry, _ = lj.unroll(cell, params, xs[:5])

    def back(cell):
        show = lambda h: 100 * cell.step(params, carry._replace(h=h), xs[5])[1].sum()
        return jnp.linalg.norm(jax.grad(show)(carry.h), axis=-1)

    assert bool((back(lj.cells.SLSTM) > 0.1).all())
    np.testing.assert_allclose(back(cell), 0.1, rtol=1e-12)


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
