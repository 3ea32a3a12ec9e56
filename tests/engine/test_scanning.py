"""scan: the engine against `lax.scan`, for every cell, the peers' and a user's."""

import os
import re
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from oracles import equations_of, programs_in

import lstm_jax as lj
from lstm_jax.engine.scanning import ScanReport, scan, scan_report

TIME, BATCH, INPUT, HIDDEN = 7, 3, 4, 5


EVERY_DERIVATIVE = ["rnn", "lstm", "four_gate", "gru", "projection_lstm", "lstm97"]
OTHERS = [name for name in lj.CELLS if name not in EVERY_DERIVATIVE]


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
        return jnp.asarray(scale * rng.standard_normal(leaf.shape), leaf.dtype)

    return jax.tree.map(draw, tree)


def normal(*shape, seed=0):
    """Double precision wherever the test has it."""
    dtype = jax.dtypes.canonicalize_dtype(np.float64)
    return drawn(jax.ShapeDtypeStruct(shape, dtype), seed)


def is_smooth(leaf):
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def doubled(tree):
    """Draws in the dtype of the test, whatever the library begins with."""
    return jax.tree.map(lambda leaf: normal(*leaf.shape), tree)


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


KEY = jax.ShapeDtypeStruct((2,), np.uint32)


def hidden_states(number):
    return tuple(normal(BATCH, HIDDEN, seed=seed) for seed in range(number))


def linen_run(make, carry):
    cell = make(HIDDEN, dtype=jnp.float64, param_dtype=jnp.float64)
    return (
        cell.apply,
        jax.eval_shape(cell.init, KEY, carry, normal(BATCH, INPUT)),
        carry,
    )


def nnx_run(make):
    def init():
        return make(
            INPUT, HIDDEN, rngs=nnx.Rngs(0), dtype=jnp.float64, param_dtype=jnp.float64
        )

    cell = nnx.eval_shape(init)
    graph, state = nnx.split(cell)
    return lambda state, c, x: nnx.merge(graph, state)(c, x), state, hidden_states(2)


def haiku_run(make):
    core = hk.without_apply_rng(hk.transform(lambda x, s: make(HIDDEN)(x, s)))
    hidden = hk.LSTMState(*hidden_states(2))
    params = jax.eval_shape(core.init, KEY, normal(BATCH, INPUT), hidden)
    return lambda p, c, x: core.apply(p, x, c)[::-1], params, hidden


def equinox_run(make):
    cell = eqx.filter_eval_shape(make, INPUT, HIDDEN, key=KEY)
    arrays, rest = eqx.partition(cell, lambda a: isinstance(a, jax.ShapeDtypeStruct))

    def step(arrays, carry, x):
        carry = jax.vmap(eqx.combine(arrays, rest))(x, carry)
        return carry, carry[0]

    return step, arrays, hidden_states(2)


PEERS = {
    "linen LSTM": lambda: linen_run(nn.OptimizedLSTMCell, hidden_states(2)),
    "linen GRU": lambda: linen_run(nn.GRUCell, *hidden_states(1)),
    "nnx LSTM": lambda: nnx_run(nnx.LSTMCell),
    "haiku LSTM": lambda: haiku_run(hk.LSTM),
    "equinox LSTM": lambda: equinox_run(eqx.nn.LSTMCell),
}


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


def probed(run):
    """The run with probes that are added to the carry inside the step."""

    def step(params, carry, inputs):
        x, probe = inputs
        return run.step(params, jax.tree.map(jnp.add, carry, probe), x)

    probes = jax.tree.map(lambda leaf: jnp.stack([leaf] * TIME), run.carry)
    return run._replace(step=step, xs=(run.xs, drawn(probes, 4, scale=0.1)))


# Engine = plain, for every cell


@pytest.mark.parametrize("name", EVERY_DERIVATIVE)
def test_every_derivative_is_that_of_the_plain_scan(name, x64):
    run = cell_run(name)
    wanted = plainly(second, run)
    close(second(run), wanted)
    *_, moved, bent = wanted
    close(second_again(run), ((moved, bent), (moved, bent)))


@pytest.mark.parametrize("name", EVERY_DERIVATIVE)
def test_probes_in_reverse_have_the_derivatives_of_the_plain_scan(name, x64):
    run = probed(cell_run(name))
    close(first(run, reverse=True), plainly(first, run, reverse=True))


@pytest.mark.parametrize("name", OTHERS)
def test_first_derivatives_are_those_of_the_plain_scan(name, x64):
    run = cell_run(name)
    close(first(run), plainly(first, run))


@pytest.mark.parametrize("peer", PEERS)
def test_cells_of_other_libraries(peer, x64):
    step, params, carry = PEERS[peer]()
    xs = normal(TIME, BATCH, INPUT, seed=3)
    run = Run(step, doubled(params), drawn(carry, 2), xs)
    assert run.report.refused == ()
    close(second(run), plainly(second, run))


def test_values_are_those_of_a_loop(x64):
    """Neither side of the other tests is asked whether time runs the right way."""
    run = cell_run("rnn")
    for reverse in (False, True):
        carry, ys = run.carry, [run.xs] * TIME
        for t in reversed(range(TIME)) if reverse else range(TIME):
            carry, ys[t] = run.step(run.params, carry, run.xs[t])
        got = jax.jit(partial(scan, run.step, reverse=reverse))(*run[1:])
        close(got, (carry, jnp.stack(ys)))


def test_unroll_changes_nothing(x64):
    run = cell_run("rnn")
    close(first(run, unroll=3), plainly(first, run))


# vmap


def test_vmap_is_a_loop(x64):
    """Of gradient and jvp: over examples, and over params, as seeds are."""
    run = cell_run("lstm")
    seeds = drawn(stacked([run.params, run.params]), 5)

    def derivatives(params, carry, xs):
        def loss(params, carry, xs):
            return weighted(scan(run.step, params, carry, xs))

        given = params, carry, xs
        moves = jax.tree.map(jnp.cos, given)
        slopes = jax.value_and_grad(loss, argnums=(0, 1, 2))
        return jax.jvp(loss, given, moves), slopes(*given)

    one = jax.jit(derivatives)
    example = [one(run.params, at(run.carry, b), run.xs[:, b]) for b in range(BATCH)]
    examples = jax.jit(jax.vmap(derivatives, in_axes=(None, 0, 1)))(*run[1:])
    close(examples, stacked(example))

    first = at(run.carry, 0), run.xs[:, 0]
    close(
        jax.jit(jax.vmap(derivatives, in_axes=(0, None, None)))(seeds, *first),
        stacked([one(at(seeds, seed), *first) for seed in range(2)]),
    )


def at(tree, place):
    return jax.tree.map(lambda leaf: leaf[place], tree)


def stacked(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


# Steps that the engine has to take apart

X, H = f"float64[{BATCH},{INPUT}]", f"float64[{BATCH},{HIDDEN}]"
W, U = f"{X} @ {INPUT}x{HIDDEN}", f"{H} @ {HIDDEN}x{HIDDEN}"
BOTH = (W, U)


class Case(NamedTuple):
    """A step on the weights of `weights`, and the pre-activations it should show."""

    step: Any
    wanted: tuple[tuple[str, ...], ...] = (BOTH,)
    refused: int = 0
    carry: Any = None
    xs: Any = None


def weights():
    names = {
        "w": (INPUT, HIDDEN),
        "u": (HIDDEN, HIDDEN),
        "v": (HIDDEN, HIDDEN),
        "b": (HIDDEN,),
        "out": (HIDDEN, 2),
        "wide_w": (INPUT, 2 * HIDDEN),
        "wide_u": (HIDDEN, 2 * HIDDEN),
        "tall": (INPUT + HIDDEN, HIDDEN),
        "examples": (BATCH, HIDDEN),
        "tokens": (6, HIDDEN),
    }
    return {name: normal(*names[name], seed=i) for i, name in enumerate(names)}


def case_run(case):
    carry = normal(BATCH, HIDDEN, seed=11) if case.carry is None else case.carry()
    xs = normal(TIME, BATCH, INPUT, seed=12) if case.xs is None else case.xs()
    return Run(case.step, weights(), carry, xs)


def z_of(p, h, x):
    return x @ p["w"] + h @ p["u"] + p["b"]


def activated(activation):
    def step(p, h, x):
        h = activation(z_of(p, h, x))
        return h, h

    return step


def nested_jit(p, h, x):
    h = jax.jit(lambda p, h, x: jnp.tanh(jax.jit(z_of)(p, h, x)))(p, h, x)
    return h, h


def masked(p, h, inputs):
    x, counts = inputs
    h = jnp.where(counts[:, None], jnp.tanh(z_of(p, h, x)), h)
    return h, jnp.where(counts[:, None], h, 0)


def in_a_row(p, h, x):
    a = jnp.tanh(z_of(p, h, x))
    h = jnp.tanh(a @ p["v"])
    return h, h @ p["out"]


def cayley(p, h, x):
    skew, one = p["u"] - p["u"].T, jnp.eye(HIDDEN)
    h = jnp.tanh(x @ p["w"] + h @ jnp.linalg.solve(one + skew, one - skew))
    return h, h


def masked_weight(p, h, x):
    h = jnp.tanh(z_of(p | {"u": p["u"] * jnp.tri(HIDDEN, dtype=x.dtype)}, h, x))
    return h, h


def weight_norm(p, h, x):
    u = p["b"] * p["u"] / jnp.linalg.norm(p["u"], axis=0)
    h = jnp.tanh(x @ p["w"] + h @ u)
    return h, h


def read_twice(p, h, x):
    z = z_of(p, h, x)
    h = jnp.tanh(z) + 0.1 * z
    return h, z


def in_two_sums(p, h, x):
    z = h @ p["u"]
    n = jnp.tanh(x @ p["w"] + z)
    h = jnp.tanh(z + n)
    return h, n


def subtracted(p, h, x):
    h = jnp.tanh(p["b"] - x @ p["w"] + -(1.5 - h @ p["u"]))
    return h, h


def same_operand(p, h, x):
    h = jnp.tanh(x @ p["w"] + h @ p["u"] - h @ p["v"].T)
    return h, h


def overlapping(p, h, x):
    z = x @ p["wide_w"] + h @ p["wide_u"]
    a, b = jnp.tanh(z[:, :HIDDEN]), jax.nn.sigmoid(z[:, 3:])
    h = a * b[:, :HIDDEN] + b[:, -1:]
    return h, h


def strided(p, h, x):
    z = x @ p["wide_w"] + h @ p["wide_u"]
    h = jnp.tanh(z[:, ::2]) + z[:1, :HIDDEN]
    return h, h


def merged(p, h, x):
    i = jax.nn.sigmoid(x @ p["w"] + h @ p["u"] + p["b"])
    g = jnp.tanh(x @ p["tall"][:INPUT] + h @ p["v"])
    h = i * h + (1 - i) * g
    return h, h


def concatenated(p, h, x):
    h = jnp.tanh(jnp.concatenate([x, h], axis=-1) @ p["tall"] + p["examples"] + 1.0)
    return h, h


def einsum(p, h, x):
    z = jnp.einsum("dh,bd->hb", p["w"], x) + (h @ p["u"]).T
    h = jnp.tanh(z.T) + jnp.einsum("bk,hk->bh", h, p["v"])
    return h, h


def features_first(p, h, x):
    h = jnp.tanh(p["w"].T @ x + p["u"] @ h + p["b"][:, None])
    return h, h


def one_feature(p, h, x):
    h = jnp.tanh(x @ p["w"][:1] + h @ p["u"])
    return h, h


def many_kinds(p, carry, inputs):
    x, token = inputs
    key, now = jax.random.split(carry["key"])
    kept = jax.random.bernoulli(now, 0.7, carry["h"].shape)
    z = x @ p["w"] + carry["h"] @ p["u"] + p["tokens"][token]
    h = jnp.where(kept, jnp.tanh(z + carry["fixed"]), 0)
    after = {"h": h, "fixed": carry["fixed"], "key": key, "count": carry["count"] + 1}
    return after, {"h": h, "token": token, "count": carry["count"], "none": None}


def kinds():
    return {
        "h": normal(BATCH, HIDDEN),
        "fixed": normal(BATCH, HIDDEN, seed=1),
        "key": jax.random.key(7),
        "count": jnp.zeros((), jnp.int32),
    }


def no_y(p, h, x):
    return jnp.tanh(z_of(p, h, x)), None


def constant_y(p, h, x):
    h = jnp.tanh(z_of(p, h, x))
    return h, (p["b"], 1.0, x)


def matrix_in_carry(p, carry, x):
    h, u = carry
    h = jnp.tanh(x @ p["w"] + h @ u)
    return (h, u + 0.1 * h.T @ h), h


def loop_inside(p, h, x):
    h = jax.lax.fori_loop(0, 2, lambda _, h: jnp.tanh(h @ p["u"]), h)
    h = jnp.tanh(h + x @ p["w"])
    return h, h


def examples_inside(p, h, x):
    h = jnp.tanh(z_of(p, h, x) + jnp.einsum("bh,bh->b", h, p["examples"])[:, None])
    return h, h


STEPS = {
    "jit in jit": Case(nested_jit),
    "relu": Case(activated(jax.nn.relu)),
    "silu": Case(activated(jax.nn.silu)),
    "gelu": Case(activated(jax.nn.gelu)),
    "where": Case(
        masked,
        xs=lambda: (
            normal(TIME, BATCH, INPUT, seed=12),
            jnp.arange(TIME)[:, None] % 3 < jnp.arange(BATCH),
        ),
    ),
    "in a row": Case(in_a_row, (BOTH, (U,), (f"{H} @ {HIDDEN}x2",))),
    "Cayley": Case(cayley),
    "mask on weights": Case(masked_weight),
    "weight norm": Case(weight_norm),
    "z read twice": Case(read_twice),
    "z in two sums": Case(in_two_sums, ((U,), (W,))),
    "minus": Case(subtracted),
    "one operand twice": Case(same_operand, ((W, U, U),)),
    "slices overlap": Case(overlapping, ((f"{X} @ 4x12", f"{H} @ 5x12"),)),
    "strided": Case(strided, ((f"{X} @ 4x10", f"{H} @ 5x10"),)),
    "gates apart": Case(merged, ((f"{X} @ 4x10", f"{H} @ 5x10"),)),
    "concatenated": Case(concatenated),
    "einsum": Case(einsum, (BOTH, (U,))),
    "features first": Case(
        features_first,
        (("float64[4,3] @ 4x5", "float64[5,3] @ 5x5"),),
        carry=lambda: normal(HIDDEN, BATCH),
        xs=lambda: normal(TIME, INPUT, BATCH, seed=12),
    ),
    "one input feature": Case(
        one_feature,
        (("float64[3,1] @ 1x5", U),),
        xs=lambda: normal(TIME, BATCH, 1, seed=12),
    ),
    "rank 1": Case(
        activated(jnp.tanh),
        (("float64[4] @ 4x5", "float64[5] @ 5x5"),),
        carry=lambda: normal(HIDDEN),
        xs=lambda: normal(TIME, INPUT, seed=12),
    ),
    "two batch axes": Case(
        activated(jnp.tanh),
        (("float64[2,3,4] @ 4x5", "float64[2,3,5] @ 5x5"),),
        carry=lambda: normal(2, BATCH, HIDDEN),
        xs=lambda: normal(TIME, 2, BATCH, INPUT, seed=12),
    ),
    "integers and keys": Case(
        many_kinds,
        carry=kinds,
        xs=lambda: (
            normal(TIME, BATCH, INPUT, seed=12),
            jnp.arange(TIME * BATCH, dtype=jnp.int32).reshape(TIME, BATCH) % 6,
        ),
    ),
    "no y": Case(no_y),
    "constant y": Case(constant_y),
    "matrix in the carry": Case(
        matrix_in_carry,
        ((W,),),
        carry=lambda: (normal(BATCH, HIDDEN), normal(HIDDEN, HIDDEN)),
    ),
    "loop inside": Case(loop_inside, ((W,),), refused=1),
    "product of examples": Case(examples_inside, refused=1),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_every_kind(name, x64):
    case = STEPS[name]
    run = case_run(case)
    report = run.report
    assert sorted(map(sorted, report.weight_products)) == sorted(
        map(sorted, case.wanted)
    )
    assert len(report.refused) == case.refused
    close(first(run), plainly(first, run))


@pytest.mark.parametrize("name", ["integers and keys", "in a row", "z read twice"])
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


def scans_of(program):
    return [e for e in equations_of(program) if e.primitive.name == "scan"]


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


def test_a_report_shows_numbers_as_they_are(x64):
    assert "Literal" not in str(case_run(STEPS["loop inside"]).report)


# What falls through


def batched_product(p, h, x):
    h = jnp.tanh(jnp.einsum("bh,bkh->bk", h, p["each"]) + x[:, :1])
    return h, h


def elementwise(p, h, x):
    h = jnp.tanh(p["b"] * h + x[:, :1])
    return h, h


def printing(p, h, x):
    h = jnp.tanh(z_of(p, h, x))
    jax.debug.print("{}", h[0, 0])
    return h, h


@pytest.mark.parametrize(
    ("step", "reason", "refused"),
    [
        (elementwise, "no weight product was found", ()),
        (
            batched_product,
            "no weight product was found",
            "dot_general(float64[3,5,5], float64[3,5]): it has batch dimensions",
        ),
        (printing, "the step has side effects", ()),
    ],
)
def test_what_falls_through_to_the_plain_scan(step, reason, refused, x64):
    run = case_run(Case(step))
    run = run._replace(params=run.params | {"each": normal(BATCH, HIDDEN, HIDDEN)})
    report = run.report
    assert (report.implementation, report.reason) == ("plain", reason)
    text = str(report)
    assert text.splitlines()[0] == f"plain scan: {reason}"
    if refused:
        assert sorted_operands(report.refused[0]) == sorted_operands(refused)
        assert f"not improved: {report.refused[0]}" in text

    def program(implementation):
        traced = jax.make_jaxpr(
            lambda *given: scan(step, *given, implementation=implementation)
        )(*run[1:])
        return re.sub("0x[0-9a-f]+", "", str(traced))

    assert program("auto") == program("plain")


def sorted_operands(line):
    name, operands, reason = re.split(r"\((?=float)|\): ", line)
    return name, sorted(operands.split(", ")), reason


def test_a_report_reads_well(x64):
    lines = str(case_run(STEPS["product of examples"]).report).splitlines()
    assert lines[:2] == ["weighted scan", f"  pre-activation: {W} + {U}"]
    (refused,) = lines[2:]
    assert refused.startswith("  not improved: dot_general(float64[3,5], float64[3,5])")


# What the loops carry, and what they keep

DISTINCT = {"batch": 3, "sizes": (7, 11), "time": 5}


@pytest.mark.parametrize("name", lj.CELLS)
def test_no_loop_carries_anything_weight_shaped(name):
    """In the engine, what a loop carries has the batch in front, or is a vector."""
    run = cell_run(name, **DISTINCT)
    matrices = {leaf.shape for leaf in jax.tree.leaves(run.params) if leaf.ndim == 2}
    assert matrices & carried_shapes(run, "plain")
    shapes = carried_shapes(run, "auto")
    assert (DISTINCT["batch"], DISTINCT["sizes"][1]) in shapes
    assert {shape for shape in shapes if len(shape) > 1 and shape[0] != 3} == set()


def carried_shapes(run, implementation):
    """Of all that the loops of a gradient hand from step to step."""
    loss, smooth = losses(run, implementation=implementation)
    program = jax.make_jaxpr(jax.grad(lambda s: loss(s)[0]))(smooth).jaxpr
    loops = scans_of(program)
    assert len(loops) >= 2
    # What is stacked has the time axis in front on its way out.
    return {
        var.aval.shape
        for eqn in loops
        for var, inside in zip(
            eqn.outvars, eqn.params["jaxpr"].jaxpr.outvars, strict=True
        )
        if var.aval.shape == inside.aval.shape
    }


def temporary_bytes(function, *arguments):
    """Of a program compiled as everywhere but in the tests, which keep more arrays."""
    lowered = jax.jit(function).lower(*arguments)
    as_usual: Any = {
        "xla_backend_optimization_level": 3,
        "xla_llvm_disable_expensive_passes": False,
        "xla_cpu_use_fusion_emitters": True,
    }
    changed = {k: v for k, v in as_usual.items() if k in os.environ["XLA_FLAGS"]}
    memory = lowered.compile(changed).memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def gradient_of(run, **options):
    def loss(params, carry, xs):
        return weighted(scan(run.step, params, carry, xs, **options))

    return jax.grad(loss, argnums=(0, 1, 2))


def test_memory_of_native_and_vmapped_batches():
    run = cell_run("lstm", time=64, batch=16, sizes=(32, 32))
    native = temporary_bytes(gradient_of(run), *run[1:])
    plain = temporary_bytes(gradient_of(run, implementation="plain"), *run[1:])
    assert native <= 1.1 * plain

    def of_vmapped(params, carry, xs):
        def loss(params, carry, xs):
            out = jax.vmap(partial(scan, run.step, params), in_axes=(0, 1))(carry, xs)
            return weighted(out)

        return jax.grad(loss, argnums=(0, 1, 2))(params, carry, xs)

    vmapped = jax.vmap(gradient_of(run), in_axes=(None, 0, 1))
    assert temporary_bytes(of_vmapped, *run[1:]) <= 1.2 * native
    assert temporary_bytes(vmapped, *run[1:]) <= 1.2 * native


def test_memory_without_differentiation():
    """At batch 1, where a copy of the bias would show."""
    run = cell_run("lstm", time=8, batch=1, sizes=(16, 32))
    planned, plain = (
        temporary_bytes(partial(scan, run.step, implementation=one), *run[1:])
        for one in ("auto", "plain")
    )
    assert planned <= 1.1 * plain


# checkpoint_every


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "in reverse"])
def test_checkpoints_change_nothing(reverse, x64):
    run = cell_run("rnn")
    wanted = plainly(first, run, reverse=reverse)
    for every in (1, 2, 3, TIME):
        close(first(run, reverse=reverse, checkpoint_every=every), wanted)


def test_checkpoints_of_every_kind_of_leaf(x64):
    """Also of a plain scan, and with derivatives of derivatives."""
    run = case_run(STEPS["integers and keys"])
    wanted = plainly(second, run)
    close(second(run, checkpoint_every=3), wanted)
    close(plainly(first, run, checkpoint_every=3), wanted[:-1])


def test_checkpoints_save_memory():
    run = cell_run("lstm", time=512, batch=4, sizes=(8, 8))
    everything = temporary_bytes(gradient_of(run), *run[1:])
    for every in (16, 32):
        saving = temporary_bytes(gradient_of(run, checkpoint_every=every), *run[1:])
        assert saving < everything / 4


@pytest.mark.parametrize("every", [None, 16])
def test_programs_do_not_grow_with_time(every):
    def equations(time):
        run = cell_run("lstm", time=time)
        derive = gradient_of(run, checkpoint_every=every)
        return len(list(equations_of(jax.make_jaxpr(derive)(*run[1:]).jaxpr)))

    assert equations(32) == equations(512)


# Bad input


def tanh_run():
    return Run(activated(jnp.tanh), weights(), normal(BATCH, HIDDEN), normal(7, 3, 4))


@pytest.mark.parametrize("under_jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"checkpoint_every": 0},
            "checkpoint_every: got 0; it must be None or in [1, 7]",
        ),
        (
            {"checkpoint_every": 8},
            "checkpoint_every: got 8; it must be None or in [1, 7]",
        ),
        ({"unroll": -1}, "unroll: got -1; it must be True, False or at least 0"),
        (
            {"implementation": "fast"},
            "implementation: got 'fast'; allowed: auto, plain",
        ),
    ],
)
def test_bad_options_are_refused(options, message, under_jit):
    run = tanh_run()
    call = partial(scan, run.step, **options)
    refused(call, run[1:], ValueError, message, under_jit)


@pytest.mark.parametrize("under_jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("xs", "shapes"),
    [
        (np.float32(1), "[()]"),
        ((np.zeros((7, 3)), np.zeros((6, 3))), "[(7, 3), (6, 3)]"),
        ((np.zeros((7, 3)), np.zeros(())), "[(7, 3), ()]"),
    ],
)
def test_bad_sequences_are_refused(xs, shapes, under_jit):
    message = f"xs: leaves have shapes {shapes}; they must be (time, ...) with one time"
    run = tanh_run()._replace(xs=xs)
    refused(partial(scan, run.step), run[1:], ValueError, message, under_jit)
    refused(partial(scan_report, run.step), run[1:], ValueError, message, under_jit)


def changing(change):
    def step(p, h, x):
        h = jnp.tanh(z_of(p, h, x))
        return change(h), h

    return step


@pytest.mark.parametrize("under_jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("implementation", ["auto", "plain"])
@pytest.mark.parametrize(
    ("change", "leaves_as"),
    [
        (lambda h: h.astype(jnp.bfloat16), "bfloat16[3,5]"),
        (lambda h: h[:, :2], "float32[3,2]"),
        (lambda h: h[0], "float32[5]"),
        (lambda h: (h,), "('float32[3,5]',)"),
        (lambda h: None, "None"),
    ],
    ids=["dtype", "shape", "rank", "structure", "nothing"],
)
def test_a_step_that_changes_its_carry_is_refused(
    change, leaves_as, implementation, under_jit
):
    run = tanh_run()._replace(step=changing(change))
    message = f"carry: it enters the step as float32[3,5] and leaves it as {leaves_as};"
    call = partial(scan, run.step, implementation=implementation)
    refused(call, run[1:], TypeError, message, under_jit)


def refused(call, arguments, error, message, under_jit):
    """In one line that names the argument, what came and what is allowed."""
    with pytest.raises(error) as caught:
        (jax.jit(call) if under_jit else call)(*arguments)
    line = str(caught.value)
    assert line.startswith(message)
    assert "\n" not in line
