"""Modules in half precision, that remember images, or are their own params."""

from functools import partial
from typing import Any

import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.foreign import (
    BATCH,
    HALF,
    HIDDEN,
    INPUT,
    TIME,
    close,
    default_dtype,
    drawn,
    make_inputs,
    new_params,
    refusal,
    weighted_last,
)
from flax import nnx
from problems import slow_but

import lstm_jax as lj
from lstm_jax.adapters.function import from_function
from lstm_jax.adapters.haiku import from_haiku
from lstm_jax.adapters.linen import from_linen
from lstm_jax.adapters.nnx import from_nnx


def value_and_slopes(loop, params, xs):
    weights = jnp.asarray(np.cos(np.arange(1.0, 4.0)))

    def loss(params, xs):
        of_steps = jnp.sum(loop(params, xs), axis=tuple(range(1, xs.ndim)))
        return jnp.sum(weights * of_steps.astype(weights.dtype))

    return jax.jit(jax.value_and_grad(loss, (0, 1)))(params, xs)


def all_close(one, other, tolerance=1e-12):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
        close(np.asarray(a, np.float64), np.asarray(b, np.float64), tolerance)


def stepped(step, begin):
    """Returns `(params, xs) -> ys`, the plainest loop over a library's own step."""

    def loop(params, xs):
        carry, ys = begin(xs.shape[1]), []
        for x in xs:
            carry, y = step(params, carry, x)
            ys.append(y)
        return jnp.stack(ys)

    return loop


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", slow_but([nn.GRUCell], [nn.LSTMCell, nn.GRUCell, nn.SimpleCell])
)
@pytest.mark.parametrize("dtypes", [{"param_dtype": HALF}, {"dtype": HALF}])
def test_linen_cells_in_half_precision(kind, dtypes):
    module = kind(HIDDEN, **dtypes)
    cell = from_linen(module)
    with jax.numpy_dtype_promotion("standard"):
        params = cell.init(jax.random.key(0), INPUT, HIDDEN)
    weights = {leaf.dtype for leaf in jax.tree.leaves(params)}
    assert weights == {jnp.dtype(dtypes.get("param_dtype", jnp.float32))}

    def begin(batch):
        carry = module.initialize_carry(jax.random.key(0), (batch, 1))
        # In which alone the library itself runs this one.
        return carry.astype(HALF) if kind is nn.SimpleCell else carry

    with jax.numpy_dtype_promotion("standard"):
        xs = make_inputs().astype(HALF)
        found = value_and_slopes(lambda *given: lj.unroll(cell, *given)[1], params, xs)
        wanted = value_and_slopes(stepped(module.apply, begin), params, xs)
    all_close(found, wanted, 4e-2)


def test_weights_of_half_precision_are_drawn_in_float32_and_rounded():
    halves, whole = (
        from_linen(nn.LSTMCell(HIDDEN, param_dtype=dtype)).init(
            jax.random.key(0), INPUT, HIDDEN
        )
        for dtype in (HALF, jnp.float32)
    )
    all_close(halves, jax.tree.map(lambda leaf: np.asarray(leaf, HALF), whole), 0)


def test_nnx_cells_in_half_precision():
    module = nnx.LSTMCell(INPUT, HIDDEN, param_dtype=HALF, rngs=nnx.Rngs(0))
    cell, xs = from_nnx(module), make_inputs().astype(HALF)
    params = nnx.state(module, nnx.Param)
    ys = lj.unroll(cell, params, xs)[1]
    wanted: Any = nnx.jit(lambda m, xs: nnx.RNN(m, time_major=True)(xs))(module, xs)
    assert ys.dtype == HALF
    close(np.asarray(ys, float), np.asarray(wanted, float), 1e-2)


def linen_images():
    module = nn.ConvLSTMCell(HIDDEN, (3, 3), param_dtype=default_dtype())

    def loop(variables, xs):
        layer = nn.RNN(module, time_major=True)
        return layer.apply({"params": {"cell": variables["params"]}}, xs)

    return from_linen(module, space=(4, 6)), loop


def haiku_images():
    make = partial(hk.Conv2DLSTM, (4, 6), output_channels=HIDDEN, kernel_shape=3)

    def whole(xs):
        core = make()
        return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    return from_haiku(make), hk.without_apply_rng(hk.transform(whole)).apply


@pytest.mark.slow
@pytest.mark.parametrize("make", [linen_images, haiku_images])
def test_cells_that_remember_images(make, x64):
    cell, loop = make()
    params = drawn(cell.init(jax.random.key(0), INPUT, HIDDEN))
    xs = jax.random.normal(jax.random.key(1), (TIME, BATCH, 4, 6, INPUT))
    found = value_and_slopes(lambda *given: lj.unroll(cell, *given)[1], params, xs)
    all_close(found, value_and_slopes(loop, params, xs))
    alone = lj.unroll(cell, params, xs[:2, 1])[1]
    short = lj.unroll(cell, params, xs, lengths=jnp.array([TIME, 2]))[1]
    close(short[:2, 1], alone)
    assert not short[2:, 1].any()
    told = r"x: the shape is \(2, 4, 5, 3\); 'Conv.*' wants \(4, 6, 3\) after time and"
    with pytest.raises(ValueError, match=told):
        lj.unroll(cell, params, xs[..., :5, :])


def test_resets_do_what_a_reset_core_does(x64):
    def whole(xs, flags):
        core = hk.ResetCore(hk.LSTM(HIDDEN))
        start = core.initial_state(xs.shape[1])
        return hk.dynamic_unroll(core, (xs, flags), start)[0]

    loop = hk.without_apply_rng(hk.transform(whole)).apply
    cell, xs = from_haiku(partial(hk.LSTM, HIDDEN)), make_inputs()
    params = drawn(new_params(cell.init))
    resets = np.zeros((TIME, BATCH), bool)
    resets[1, 0] = True
    found = value_and_slopes(
        lambda *given: lj.unroll(cell, *given, resets=resets)[1], params, xs
    )
    all_close(found, value_and_slopes(lambda p, xs: loop(p, xs, resets), params, xs))


def test_a_module_of_nnx_is_its_own_params(x64):
    dtype = default_dtype()
    module = nnx.GRUCell(
        INPUT, HIDDEN, dtype=dtype, param_dtype=dtype, rngs=nnx.Rngs(0)
    )
    own = from_function(
        lambda module, carry, x: module(carry, x),
        lambda module, batch: jnp.zeros((*batch, module.hidden_features), dtype),
    )
    xs, found = make_inputs(), []

    def loss(run):
        derive = nnx.value_and_grad(lambda module: jnp.sum(jnp.sin(run(module))))
        return nnx.jit(derive)(module)

    for cell in (own, from_nnx(module)):
        found.append(loss(lambda module, cell=cell: lj.unroll(cell, module, xs)[1]))
    wanted = loss(lambda module: nnx.RNN(module, time_major=True)(xs))
    for value, slopes in found:
        close(value, wanted[0])
        jax.tree.map(close, slopes, wanted[1])


class Dropping(nnx.Module):
    """A cell that writes to itself: the dropout counts its draws."""

    def __init__(self, rngs):
        self.read = nnx.Linear(INPUT, HIDDEN, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, carry, x):
        y = self.drop(self.read(x))
        return carry + y, y


def dropping():
    """Returns (step, module, cell, inputs) of a module that changes at every step."""

    def step(module, carry, x):
        return module(carry, x)

    cell = from_function(step, lambda _, batch: jnp.zeros((*batch, HIDDEN)))
    return step, Dropping(nnx.Rngs(0)), cell, jnp.ones((TIME, BATCH, INPUT))


def test_a_module_that_changes_at_every_step_is_refused_and_runs_in_evaluation():
    step, module, cell, xs = dropping()
    start = jnp.zeros((BATCH, HIDDEN))
    told = "params: a step changes leaf .drop.rngs.count.value; it must leave"
    for run in (
        lambda: lj.scan(step, module, start, xs),
        lambda: lj.scan_report(step, module, start, xs),
        lambda: lj.unroll(cell, module, xs),
        lambda: lj.log_gradient_norms(cell, module, xs, weighted_last),
    ):
        assert refusal(run).startswith(told)
    module.eval()
    ys = jax.vmap(module.read)(xs)
    close(lj.scan(step, module, start, xs)[1], ys, 1e-6)
    close(lj.unroll(cell, module, xs)[1], ys, 1e-6)
