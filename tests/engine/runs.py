"""Runs of cells and steps in float64, and derivatives of what they show."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from comparing import equations_of

import lstm_jax as lj
from lstm_jax.engine.scanning import ScanReport, scan, scan_report

TIME, BATCH, INPUT, HIDDEN = 7, 3, 4, 5


class Run(NamedTuple):
    """What `scan` is given."""

    step: Any
    params: Any
    carry: Any
    xs: Any

    @property
    def report(self) -> ScanReport:
        return scan_report(*self)


def drawn(tree, seed=0, scale=0.4):
    """The tree with floating leaves drawn from N(0, scale²), in their dtype."""
    rng = np.random.default_rng(seed)

    def draw(leaf):
        if not is_smooth(leaf):
            return leaf
        drawn = scale * rng.standard_normal(leaf.shape)
        return jax.device_put(drawn.astype(leaf.dtype))

    return jax.tree.map(draw, tree)


def normal(*shape, seed=0):
    """Double precision wherever the test has it."""
    dtype = jax.dtypes.canonicalize_dtype(np.float64)
    return drawn(jax.ShapeDtypeStruct(shape, dtype), seed)


def is_smooth(leaf):
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def close(got, wanted, tolerance=1e-12):
    """Relative to the largest entry of every leaf."""
    gots, wanteds = jax.tree.leaves(got), jax.tree.leaves(wanted)
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    assert gots
    for number, (a, b) in enumerate(zip(gots, wanteds, strict=True)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        bound = tolerance * np.max(np.abs(b), initial=1e-6)
        np.testing.assert_allclose(a, b, rtol=0, atol=bound, err_msg=f"leaf {number}")


# The runs


def cell_run(name, time=TIME, batch=BATCH, sizes=(INPUT, HIDDEN), dtype=None):
    """A cell of ours from memories that are not empty; no bias is zero."""
    cell = lj.CELLS[name]
    dtype = dtype or jax.dtypes.canonicalize_dtype(np.float64)
    params = jax.eval_shape(
        partial(cell.init, input_size=sizes[0], hidden_size=sizes[1], dtype=dtype),
        jax.random.key(0),
    )
    params = drawn(params, 1)
    carry = drawn(jax.eval_shape(lambda: cell.init_carry(params, (batch,))), 2)
    xs = jax.ShapeDtypeStruct((time, batch, sizes[0]), dtype)
    return Run(cell.step, params, carry, drawn(xs, 3))


# What is compared


def losses(run, **options):
    """L(floating leaves) of everything that leaves the scan, and the leaves."""
    leaves, structure = jax.tree.flatten(tuple(run)[1:])
    smooth = [leaf for leaf in leaves if is_smooth(leaf)]

    def loss(smooth):
        given = iter(smooth)
        merged = [next(given) if is_smooth(leaf) else leaf for leaf in leaves]
        out = scan(run.step, *jax.tree.unflatten(structure, merged), **options)
        return weighted(out), out

    return loss, smooth


def weighted(tree):
    """A loss that no two numbers enter alike, and none linearly."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if is_smooth(leaf)]
    return sum(
        jnp.vdot(np.cos(np.arange(leaf.size)).astype(leaf.dtype), jnp.sin(leaf).ravel())
        for leaf in leaves
    )


def first(run, **options):
    """What leaves the scan, the loss, its gradient, and the jvp of the loss."""
    loss, smooth = losses(run, **options)

    @jax.jit
    def derivatives(smooth, moves):
        (value, out), slopes = jax.value_and_grad(loss, has_aux=True)(smooth)
        if options.get("implementation") == "plain":
            return value, out, slopes, inner(slopes, moves)
        _, moved, _ = jax.jvp(loss, (smooth,), (moves,), has_aux=True)
        return value, out, slopes, moved

    return derivatives(smooth, drawn(smooth, 9))


def second(run, **options):
    """As `first`, then the product of the Hessian with a vector: jvp of grad."""
    loss, smooth = losses(run, **options)

    @jax.jit
    def derivatives(smooth, moves):
        both = jax.value_and_grad(loss, has_aux=True)

        def value_and_slopes(smooth):
            (value, out), slopes = both(smooth)
            return (value, slopes), out

        (value, slopes), (moved, bent), out = jax.jvp(
            value_and_slopes, (smooth,), (moves,), has_aux=True
        )
        return value, out, slopes, moved, bent

    return derivatives(smooth, drawn(smooth, 9))


def second_again(run):
    """jvp, then the same product twice more: grad of jvp, and grad of grad."""
    loss, smooth = losses(run)

    @jax.jit
    def derivatives(smooth, moves):
        def value(smooth):
            return loss(smooth)[0]

        def jvp(smooth):
            return jax.jvp(value, (smooth,), (moves,))[1]

        def vjp(smooth):
            return inner(jax.grad(value)(smooth), moves)

        return jax.value_and_grad(jvp)(smooth), jax.value_and_grad(vjp)(smooth)

    return derivatives(smooth, drawn(smooth, 9))


def inner(left, right):
    """<left, right> of two trees."""
    return sum(map(jnp.vdot, jax.tree.leaves(left), jax.tree.leaves(right)))


def plainly(derive, run, **options):
    """The same with `lax.scan`; what is asked of the engine it must do itself."""
    assert run.report.implementation == "weighted"
    return derive(run, implementation="plain", **options)


def scans_of(program):
    return [e for e in equations_of(program) if e.primitive.name == "scan"]
