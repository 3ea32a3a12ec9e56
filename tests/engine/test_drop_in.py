"""scan in the place of `lax.scan`: what goes in there goes in here."""

import gc
import weakref
from functools import partial
from itertools import product
from typing import Any

import equinox as eqx
import flax.nnx as nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from numpy.testing import assert_allclose
from problems import slow_but, slow_where

import lstm_jax as lj

W, H0, XS = jnp.eye(2) * 0.5, jnp.full((1, 2), 0.3), jnp.ones((3, 1, 2))


def tanh_step(w, h, x):
    h = jnp.tanh(h @ w + (0 if x is None else x))
    return h, h


def summing(w, total, x):
    return total + (x @ w).sum(), None


def plain_scan(step, params, carry, xs=None, **options):
    return jax.lax.scan(lambda c, x: step(params, c, x), carry, xs, **options)


def same(got, wanted, **tolerance):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert_allclose(a, b, **tolerance or {"rtol": 1e-6})


@pytest.mark.parametrize(
    ("step", "arguments", "options"),
    {
        "length alone": (tanh_step, (W, H0), {"length": 4}),
        "length and xs": (tanh_step, (W, H0, XS), {"length": 3}),
        "no steps": (tanh_step, (W, H0, XS[:0]), {}),
        "no steps, by length": (tanh_step, (W, H0), {"length": 0}),
        "rolled": (tanh_step, (W, H0, XS), {"unroll": False}),
        "unrolled": (tanh_step, (W, H0, XS), {"unroll": True}),
        "unrolled by 0": (tanh_step, (W, H0, XS), {"unroll": 0}),
        "an integer that goes on as a float": (summing, (W, 0, XS), {}),
        "a float that goes on as bfloat16": (
            summing,
            (W.astype("bfloat16"), 0.0, XS.astype("bfloat16")),
            {},
        ),
        "in reverse": (tanh_step, (W, H0, XS), {"reverse": True}),
    }.values(),
)
def test_what_lax_takes(step, arguments, options):
    same(lj.scan(step, *arguments, **options), plain_scan(step, *arguments, **options))


def test_pieces_of_a_scan_without_inputs():
    got = lj.scan(tanh_step, W, H0, length=5, checkpoint_every=2)
    same(got, plain_scan(tanh_step, W, H0, length=5))


def test_a_step_that_returns_no_pair_gets_the_words_of_lax():
    with pytest.raises(TypeError) as of_lax:
        plain_scan(lambda w, h, x: h @ w, W, H0, XS)
    with pytest.raises(TypeError) as ours:
        lj.scan(lambda w, h, x: h @ w, W, H0, XS)
    assert str(ours.value) == str(of_lax.value).splitlines()[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "length: got None; it must be a number where xs has no leaves"),
        ({"length": -1}, "length: got -1; it must be at least 0"),
        ({"length": 2, "xs": XS}, "length: got 2; xs has 3 steps"),
    ],
)
def test_a_bad_length_is_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        lj.scan(tanh_step, W, H0, **options)


def test_a_carry_that_differs_is_named_by_its_leaf():
    carry = {f"leaf{k:02}": jnp.zeros(2) for k in range(30)}

    def step(w, carry, x):
        return carry | {"leaf17": carry["leaf17"].astype(jnp.bfloat16)}, None

    with pytest.raises(TypeError) as caught:
        lj.scan(step, W, carry, XS)
    assert str(caught.value) == (
        "carry: leaf ['leaf17'] enters the step as float32[2] and leaves it as "
        "bfloat16[2]; the two must agree"
    )


# Modules of other libraries as params


def test_a_module_whose_activation_is_a_leaf():
    module = eqx.nn.MLP(4, 2, 3, 1, key=jax.random.key(0))

    def step(module, h, x):
        h = jax.vmap(module)(jnp.concatenate([h, x], -1))
        return h, h

    @eqx.filter_jit
    def shown_and_slopes(module):
        def loss(module, scan):
            out = scan(step, module, H0, XS)
            return out[1].sum(), out

        derive = eqx.filter_value_and_grad(loss, has_aux=True)
        return [derive(module, scan) for scan in (lj.scan, plain_scan)]

    same(*eqx.filter(shown_and_slopes(module), eqx.is_array))


def test_a_module_of_nnx():
    module = nnx.GRUCell(2, 2, rngs=nnx.Rngs(0))

    def step(module, h, x):
        return module(h, x)

    graph, state = nnx.split(module)
    merged = lambda s, h, x: nnx.merge(graph, s)(h, x)
    got = nnx.jit(lambda module: lj.scan(step, module, H0, XS))(module)
    same(got, jax.jit(partial(plain_scan, merged))(state, H0, XS))


# What has no derivative, and zeros that stay zeros


def test_a_host_callback_on_a_stopped_value():
    def twice(v):
        shape = jax.ShapeDtypeStruct(v.shape, v.dtype)
        return jax.pure_callback(lambda v: np.asarray(v) * 2, shape, v)

    def step(w, h, x):
        h = jnp.tanh(x + h @ w + twice(jax.lax.stop_gradient(h)))
        return h, h

    ours, wanted = (
        jax.grad(lambda w, scan=scan: scan(step, w, H0, XS)[1].sum())(W)
        for scan in (lj.scan, plain_scan)
    )
    same(ours, wanted)


def normalised(w, carry, x):
    """The root of a carried zero has no slope, and no tangent passes it."""
    mean, h = carry
    h = jnp.tanh(x / (jnp.sqrt(mean) + 1e-2) + h @ w)
    return (0.9 * mean + 0.1 * (x**2).mean(), h), h


def pushed(f):
    return lambda w: jax.jvp(f, (w,), (w,))[1]


DERIVE = {
    "grad": jax.grad,
    "jacfwd": jax.jacfwd,
    "hessian": jax.hessian,
    "jvp": pushed,
    "grad of jvp": lambda f: jax.grad(pushed(f)),
}
SCANS = ("one scan", "scan in a scan")
QUICK = {("one scan", "grad"), ("one scan", "jvp"), ("scan in a scan", "grad of jvp")}


@pytest.mark.parametrize(
    ("scans", "derivative"), slow_but(QUICK, [*product(SCANS, DERIVE)])
)
def test_a_zero_tangent_meets_no_infinite_slope(scans, derivative, x64):
    w, xs = jnp.eye(2) * 0.5, jnp.ones((4, 1, 2))
    start = jnp.zeros(()), jnp.zeros((1, 2))

    def loss(scan, w):
        if scans == "one scan":
            return scan(normalised, w, start, xs)[1].sum()

        def piece(carry, xs):
            return scan(normalised, w, carry, xs)

        return jax.lax.scan(piece, start, xs.reshape(2, 2, 1, 2))[1].sum()

    derive, pair = DERIVE[derivative], (lj.scan, plain_scan)
    both = jax.jit(lambda w: [derive(partial(loss, scan))(w) for scan in pair])
    ours, wanted = both(w)
    assert np.all(np.isfinite(wanted))
    same(ours, wanted, rtol=1e-12, atol=1e-12)


# Memory and time of calls


def bytes_of(function, *arguments):
    compiled = jax.jit(function).lower(*arguments).compile()
    analysis: Any = compiled.memory_analysis()
    return analysis.temp_size_in_bytes


def long_losses(step, carry, xs):
    """The same loss by the engine and by `lax.scan`."""

    def loss(scan, params):
        carry_out, ys = scan(step, params, carry, xs)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves((carry_out, ys)))

    return [partial(loss, scan) for scan in (lj.scan, plain_scan)]


def wide_readout(p, h, x):
    h = jnp.tanh(x @ p["u"] + h @ p["w"])
    return h, jax.nn.logsumexp(h @ p["wide"], axis=-1)


def wide_outputs(p, h, x):
    h = jnp.tanh(x @ p["u"] + h @ p["w"])
    return h, h @ p["wide"]


def wide_layer(p, h, x):
    h = jnp.tanh(x @ p["u"] + jax.nn.relu(h @ p["wide"]) @ p["back"])
    return h, h


WIDE = {"u": (3, 16), "w": (16, 16), "wide": (16, 2048), "back": (2048, 16)}


@pytest.mark.parametrize("step", [wide_readout, wide_outputs, wide_layer])
def test_a_wide_step_keeps_no_more_than_lax_does(step):
    params = {name: jnp.ones(shape) for name, shape in WIDE.items()}
    losses = long_losses(step, jnp.ones((8, 16)), jnp.ones((50, 8, 3)))
    ours, wanted = (bytes_of(jax.grad(loss), params) for loss in losses)
    assert ours <= 1.1 * wanted


def test_forward_mode_keeps_nothing():
    cell, xs = lj.LSTM, jnp.ones((2000, 2, 3))
    params = jax.eval_shape(lambda key: cell.init(key, 3, 8), jax.random.key(0))

    def loss(scan, params):
        return scan(cell.step, params, cell.init_carry(params, (2,)), xs)[0].h.sum()

    ours, wanted = (
        bytes_of(lambda p, s=scan: jax.jvp(partial(loss, s), (p,), (p,)), params)
        for scan in (lj.scan, plain_scan)
    )
    # Quick compilation copies the inputs; the carries alone would be eleven times that.
    assert ours <= 1.1 * wanted + 1.1 * xs.nbytes


@pytest.mark.parametrize("name", ["scan", "grad", "unroll", "norms"])
def test_calls_without_a_jit_trace_once(name):
    traced = []

    def step(params, carry, x):
        traced.append(name)
        return lj.RNN.step(params, carry, x)

    cell = lj.from_function(step, lj.RNN.init_carry)
    params = lj.RNN.init(jax.random.key(0), 2, 2)
    calls = {
        "scan": lambda: lj.scan(step, params, lj.RNN.init_carry(params, (1,)), XS),
        "grad": lambda: jax.grad(lambda p: lj.unroll(cell, p, XS)[1].sum())(params),
        "unroll": lambda: lj.unroll(cell, params, XS),
        "norms": lambda: lj.log_gradient_norms(cell, params, XS, lambda ys: ys.sum()),
    }
    calls[name]()
    so_far = len(traced)
    for _ in range(3):
        calls[name]()
    assert so_far == len(traced) > 0


def test_a_step_that_is_gone_is_forgotten():
    def step(w, h, x):
        return tanh_step(w, h, x)

    lj.scan(step, W, H0, XS)
    held = weakref.ref(step)
    del step
    gc.collect()
    assert held() is None


def test_what_has_no_hash_runs_too():
    class Step:
        def __eq__(self, other):  # without a hash beside it, Python takes it away
            return self is other

        def __call__(self, w, h, x):
            return tanh_step(w, h, x)

    same(lj.scan(Step(), W, H0, XS), plain_scan(tanh_step, W, H0, XS))


# Sizes without numbers


@pytest.mark.slow
@pytest.mark.parametrize(
    "implementation", slow_where("plain".__eq__, ["auto", "plain"])
)
def test_exporting_with_symbolic_sizes(implementation):
    """At 1100 inputs the engine looks at how many rows there are (4 MiB of weights)."""
    params = lj.RNN.init(jax.random.key(0), 1100, 1000)
    time, batch = export.symbolic_shape("t, b")

    def slopes(x, lengths):
        run = partial(lj.unroll, lj.RNN, params, implementation=implementation)
        loss = lambda x: (run(x, lengths=lengths)[1] ** 2).sum()
        return jax.grad(loss)(x)

    shapes = (
        jax.ShapeDtypeStruct((time, batch, 1100), jnp.float32),
        jax.ShapeDtypeStruct((batch,), jnp.int32),
    )
    exported = export.export(jax.jit(slopes))(*shapes)
    x = jax.random.normal(jax.random.key(1), (3, 2, 1100))
    lengths = jnp.array([3, 2])
    wanted = jax.jit(slopes)(x, lengths)
    same(exported.call(x, lengths), wanted, rtol=1e-4, atol=1e-6)
