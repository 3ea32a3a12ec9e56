"""Steps of every kind: what is planned for them computes what the plain scan does."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest
from comparing import equations_of, programs_in
from engine.runs import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    Run,
    cell_run,
    close,
    first,
    losses,
    normal,
    plainly,
    scans_of,
    second,
    second_again,
    weighted,
)
from engine.steps import BOTH, STEPS, Case, activated, case_run, weights, z_of
from problems import slow_but

from lstm_jax.engine.scanning import scan, scan_report

# What the engine takes apart in a way of its own; the other steps are like one of them.
KINDS_OF_STEPS = (
    "where",
    "in a row",
    "z in two sums",
    "slices overlap",
    "einsum",
    "one input feature",
    "integers and keys",
    "no y",
    "loop inside",
)


@pytest.mark.parametrize("name", slow_but(KINDS_OF_STEPS, STEPS))
def test_steps_of_every_kind(name, x64):
    case = STEPS[name]
    run = case_run(case)
    report = run.report
    assert sorted(map(sorted, report.weight_products)) == sorted(
        map(sorted, case.wanted)
    )
    assert len(report.refused) == case.refused
    close(first(run), plainly(first, run))


@pytest.mark.slow
@pytest.mark.parametrize(  # of integers and keys: test_memory.py, with checkpoints
    "name",
    slow_but(["z read twice"], ["integers and keys", "in a row", "z read twice"]),
)
def test_second_derivatives_of_steps(name, x64):
    run = case_run(STEPS[name])
    wanted = plainly(second, run)
    close(second(run), wanted)
    *_, moved, bent = wanted
    close(second_again(run), ((moved, bent), (moved, bent)))


def test_closing_over_weights(x64):
    """They count as params, whether their values are known or traced."""
    p, h, xs = weights(), normal(BATCH, HIDDEN), normal(TIME, BATCH, INPUT)
    known = p["w"]

    def closing(u, b, implementation):
        def step(_, h, x):
            h = jnp.tanh(x @ known + h @ u + b)
            return h, h

        assert scan_report(step, None, h, xs).weight_products == (BOTH,)
        return scan(step, None, h, xs, implementation=implementation)

    def slopes(implementation):
        def loss(u, b):
            return weighted(closing(u, b, implementation))

        return jax.jit(jax.grad(loss, argnums=(0, 1)))(p["u"], p["b"])

    close(slopes("auto"), slopes("plain"))


def test_functions_of_params_are_computed_once():
    """Of the LU of expm none is in a loop, forwards and backwards."""

    def step(p, h, x):
        u = jax.scipy.linalg.expm(p["u"] - p["u"].T)
        h = jnp.tanh(x @ p["w"] + h @ u)
        return h, h

    run = case_run(Case(step))

    def inside_loops(implementation, derive):
        loss, smooth = losses(run, implementation=implementation)
        program = jax.make_jaxpr(derive(lambda smooth: loss(smooth)[0]))(smooth).jaxpr
        loops = [loop for loop in scans_of(program) if loop.params["length"] == TIME]
        bodies = [body for loop in loops for body in programs_in(loop)]
        assert bodies and "lu" in primitives(program)
        return any("lu" in primitives(body) for body in bodies)

    def itself(loss):
        return loss

    assert len(run.report.weight_products) == 1 and not run.report.refused
    assert inside_loops("plain", itself)
    assert not inside_loops("auto", itself)
    assert not inside_loops("auto", jax.grad)


def primitives(program):
    return {eqn.primitive.name for eqn in equations_of(program)}


def test_bfloat16_stays_bfloat16():
    """Close to the plain scan of the same numbers in float32, as `lax.scan` is."""
    run = cell_run("lstm", dtype=jnp.bfloat16)
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), run[1:])
    got = first(run)
    wanted = first(Run(run.step, *wide), implementation="plain")
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {jnp.dtype("bfloat16")}
    close(jax.tree.map(lambda a: a.astype(jnp.float32), got[1:3]), wanted[1:3], 0.04)


# A gradient rule of the user's own


@jax.custom_vjp
def clipped(h):
    return h


def clip_back(_, slope):
    return (jnp.clip(slope, -0.1, 0.1),)


clipped.defvjp(lambda h: (h, None), clip_back)


def test_a_gradient_rule_of_the_users_own_is_kept(x64):
    """It has no forward mode, with `lax.scan` neither."""

    def step(p, h, x):
        h = jnp.tanh(z_of(p, clipped(h), x))
        return h, h

    run = case_run(Case(step))

    def slopes(run, **options):
        loss, smooth = losses(run, **options)
        return jax.jit(jax.grad(loss, has_aux=True))(smooth)

    got, wanted = slopes(run), slopes(run, implementation="plain")
    close(got, wanted)
    unclipped = slopes(case_run(Case(activated(jnp.tanh))))
    with pytest.raises(AssertionError):
        close(unclipped, wanted)


# What the engine still gets wrong


def values_of_both(step, params, xs):
    run = Run(step, params, jnp.zeros((BATCH, HIDDEN), jnp.float32), xs)
    return [
        jax.jit(partial(scan, step, implementation=name))(*run[1:]) for name in KINDS
    ]


KINDS = ("auto", "plain")


def test_a_gate_that_is_nearly_closed():
    def step(b, h, x):
        gate = jax.nn.sigmoid(x @ jnp.zeros((INPUT, HIDDEN), jnp.float32) + b)
        return h + gate, jnp.log(gate)

    xs = jnp.ones((TIME, BATCH, INPUT), jnp.float32)
    close(*values_of_both(step, jnp.float32(-20), xs), tolerance=1e-5)


@pytest.mark.parametrize("weight_type", [jnp.bfloat16, jnp.float32])
def test_one_feature_of_another_type(weight_type):
    def step(w, h, x):
        z = jnp.tanh(
            jax.lax.dot_general(
                x, w, (((1,), (0,)), ((), ())), preferred_element_type=jnp.float32
            )
        )
        return z, z

    xs = jnp.ones((TIME, BATCH, 1), jnp.bfloat16)
    w = jnp.ones((1, HIDDEN), weight_type)
    close(*values_of_both(step, w, xs), tolerance=1e-5)


def test_inputs_without_features(x64):
    run = case_run(Case(activated(jnp.tanh), xs=lambda: normal(TIME, BATCH, 0)))
    run = run._replace(params=run.params | {"w": normal(0, HIDDEN)})
    close(first(run), plainly(first, run))
