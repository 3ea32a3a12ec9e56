"""Cells of other libraries against those libraries' own loops."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import lstm_jax as lj
from lstm_jax.adapters.equinox import from_equinox
from lstm_jax.adapters.function import from_function
from lstm_jax.adapters.haiku import from_haiku
from lstm_jax.adapters.linen import from_linen
from lstm_jax.adapters.modules import library
from lstm_jax.adapters.nnx import from_nnx

TIME, BATCH, INPUT, HIDDEN = 3, 2, 3, 5
ROOT = Path(__file__).parents[2]


class Foreign(NamedTuple):
    """A cell of another library, with a loop in which we have no part.

    Attributes:
      cell: ours around it.
      params: the user's own.
      loop: `(params, xs) -> ys`, the library's.
      fields: of the carry, what a user of the library calls them.
    """

    cell: lj.Cell
    params: Any
    loop: Callable[[Any, Any], Any]
    fields: int


def default_dtype():
    """float64 where the test asks for it."""
    return jnp.zeros(()).dtype


def drawn(tree):
    """The same structure with every leaf drawn, the biases too."""
    leaves, structure = jax.tree.flatten(tree)
    rng = np.random.default_rng(0)
    return structure.unflatten(
        [jnp.asarray(0.7 * rng.standard_normal(leaf.shape)) for leaf in leaves]
    )


def make_inputs():
    return jnp.asarray(np.random.default_rng(1).standard_normal((TIME, BATCH, INPUT)))


def linen(make, fields=1):
    module = make(features=HIDDEN, param_dtype=default_dtype())
    cell = from_linen(module)

    def loop(variables, xs):
        layer = nn.RNN(module, time_major=True)
        return layer.apply({"params": {"cell": variables["params"]}}, xs)

    return Foreign(
        cell, drawn(cell.init(jax.random.key(0), INPUT, HIDDEN)), loop, fields
    )


def of_nnx(make, fields=1):
    def module_of(key):
        dtype = default_dtype()
        rngs = nnx.Rngs(key)
        return make(INPUT, HIDDEN, dtype=dtype, param_dtype=dtype, rngs=rngs)

    module = module_of(jax.random.key(0))
    params = drawn(nnx.state(module, nnx.Param))

    def loop(params, xs):
        layer = nnx.RNN(module_of(jax.random.key(0)), time_major=True)
        nnx.update(layer.cell, params)
        return layer(xs)

    return Foreign(from_nnx(module, module_of), params, loop, fields)


def haiku(make, fields=1):
    cell = from_haiku(partial(make, HIDDEN))

    def whole(xs):
        core = make(HIDDEN)
        return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    loop = hk.without_apply_rng(hk.transform(whole)).apply
    return Foreign(
        cell, drawn(cell.init(jax.random.key(0), INPUT, HIDDEN)), loop, fields
    )


def equinox(make, fields=1):
    def module_of(key):
        return make(INPUT, HIDDEN, key=key)

    module = module_of(jax.random.key(0))
    params = drawn(eqx.filter(module, eqx.is_inexact_array))

    def loop(params, xs):
        """The one of the library's documentation, for every example."""

        def of_one(xs):
            cell = eqx.combine(params, module)
            h = jnp.zeros(HIDDEN)

            def body(state, x):
                state = cell(x, state)
                return state, state[0] if fields == 2 else state

            return jax.lax.scan(body, (h, h) if fields == 2 else h, xs)[1]

        return jax.vmap(of_one, in_axes=1, out_axes=1)(xs)

    return Foreign(from_equinox(module, module_of), params, loop, fields)


def leaky(params, carry, x):
    """A step of nobody's: a memory that leaks, and what is shown of it."""
    keep = jax.nn.sigmoid(params["leak"])
    memory = keep * carry["memory"] + jnp.tanh(x @ params["in"])
    return {"memory": memory}, memory @ params["out"]


def empty_memory(params, batch_shape):
    shape = (*batch_shape, *params["leak"].shape)
    return {"memory": jnp.zeros(shape, params["leak"].dtype)}


def leaky_params(key, input_size, hidden_size):
    keys = jax.random.split(key, 3)
    return {
        "leak": jax.random.normal(keys[0], (hidden_size,)),
        "in": jax.random.normal(keys[1], (input_size, hidden_size)),
        "out": jax.random.normal(keys[2], (hidden_size, 2)),
    }


def function():
    def loop(params, xs):
        carry, ys = empty_memory(params, xs.shape[1:-1]), []
        for x in xs:
            carry, y = leaky(params, carry, x)
            ys.append(y)
        return jnp.stack(ys)

    cell = from_function(leaky, empty_memory, leaky_params)
    params = drawn(leaky_params(jax.random.key(0), INPUT, HIDDEN))
    return Foreign(cell, params, loop, 1)


FOREIGN = {
    "linen LSTMCell": lambda: linen(nn.LSTMCell, 2),
    "linen OptimizedLSTMCell": lambda: linen(nn.OptimizedLSTMCell, 2),
    "linen GRUCell": lambda: linen(nn.GRUCell),
    "linen MGUCell": lambda: linen(nn.MGUCell),
    "linen SimpleCell": lambda: linen(nn.SimpleCell),
    "nnx LSTMCell": lambda: of_nnx(nnx.LSTMCell, 2),
    "nnx OptimizedLSTMCell": lambda: of_nnx(nnx.OptimizedLSTMCell, 2),
    "nnx GRUCell": lambda: of_nnx(nnx.GRUCell),
    "nnx SimpleCell": lambda: of_nnx(nnx.SimpleCell),
    "haiku LSTM": lambda: haiku(hk.LSTM, 2),
    "haiku GRU": lambda: haiku(hk.GRU),
    "haiku VanillaRNN": lambda: haiku(hk.VanillaRNN),
    "equinox LSTMCell": lambda: equinox(eqx.nn.LSTMCell, 2),
    "equinox GRUCell": lambda: equinox(eqx.nn.GRUCell),
    "function": function,
}
ONE_OF_EACH = (
    "linen OptimizedLSTMCell",
    "nnx GRUCell",
    "haiku LSTM",
    "equinox LSTMCell",
    "function",
)


def close(got, wanted, tolerance=1e-12):
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def weighted_last(ys):
    """A loss on the last step only, different for every output."""
    last = ys[-1]
    return jnp.sum(last * jnp.arange(1.0, 1 + last.size).reshape(last.shape))


@pytest.mark.parametrize("name", FOREIGN)
def test_unroll_is_the_loop_of_the_library(name, x64):
    cell, params, loop, fields = FOREIGN[name]()
    xs = make_inputs()
    carry, ys = lj.unroll(cell, params, xs)
    close(ys, loop(params, xs))
    assert len(jax.tree.leaves(carry)) == fields
    assert {leaf.dtype for leaf in jax.tree.leaves(carry)} == {np.dtype("float64")}
    report = lj.scan_report(cell.step, params, carry, xs)
    assert report.implementation == "weighted"
    assert report.refused == ()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_gradients_over_time_are_those_of_the_library_restarted(name, x64):
    """dL/d(carry entering t) is what starting the loop again at t would find."""
    cell, params, _, _ = FOREIGN[name]()
    xs = make_inputs()

    @jax.jit
    def restarted(params, xs):
        def loss(carry, t):
            ys = []
            for x in xs[t:]:
                carry, y = cell.step(params, carry, x)
                ys.append(y)
            return weighted_last(ys)

        found, carry = [], cell.init_carry(params, (BATCH,))
        for t in range(TIME):
            found.append(jax.grad(loss)(carry, t))
            carry, _ = cell.step(params, carry, xs[t])
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)

    measure = jax.jit(
        lambda params, xs: (
            lj.carry_gradients(cell, params, xs, weighted_last),
            lj.log_gradient_norms(cell, params, xs, weighted_last),
        )
    )
    wanted = restarted(params, xs)
    gradients, log_norms = measure(params, xs)
    assert jax.tree.structure(gradients) == jax.tree.structure(wanted)
    for got, norm, want in zip(
        *(jax.tree.leaves(tree) for tree in (gradients, log_norms, wanted)), strict=True
    ):
        close(got, want)
        close(np.exp(norm), np.linalg.norm(want, axis=-1))


@pytest.mark.parametrize("name", ["linen GRUCell", "haiku LSTM", "equinox LSTMCell"])
def test_any_batch_axes_and_masks(name, x64):
    cell, params, _, _ = FOREIGN[name]()
    xs = make_inputs()
    lengths = jnp.array([TIME, 2])
    _, ys = lj.unroll(cell, params, xs, lengths=lengths)
    _, alone = lj.unroll(cell, params, xs[:2, 1])
    _, deep = lj.unroll(cell, params, xs[:, None, :], lengths=lengths[None])
    close(ys[:2, 1], alone)
    assert not ys[2:, 1].any()
    close(deep[:, 0], ys)


def made_for(input_size, adapter):
    """A cell whose module was made with its number of inputs."""

    def make(key):
        if adapter is from_nnx:
            return nnx.GRUCell(input_size, HIDDEN, rngs=nnx.Rngs(key))
        return eqx.nn.LSTMCell(input_size, HIDDEN, key=key)

    return adapter(make(jax.random.key(0)), make)


TRAINED = {
    "linen": lambda size: from_linen(nn.GRUCell(HIDDEN)),
    "nnx": partial(made_for, adapter=from_nnx),
    "haiku": lambda size: from_haiku(lambda: hk.VanillaRNN(HIDDEN)),
    "equinox": partial(made_for, adapter=from_equinox),
    "function": lambda size: from_function(leaky, empty_memory, leaky_params),
}


@pytest.mark.parametrize("name", TRAINED)
def test_init_draws_what_the_cell_takes_and_an_optimizer_trains(name):
    task = lj.tasks.nature_show("vectors")
    cell = TRAINED[name](task.input_size)
    options: Any = {"hidden_size": HIDDEN, "num_steps": 1, "batch_size": 2, "length": 3}
    state, history = jax.eval_shape(
        lambda key: lj.train(key, cell, task, optax.sgd(0.1), **options),
        jax.random.key(0),
    )
    assert history.loss.shape == (1,)
    drawn_now = cell.init(jax.random.key(1), task.input_size, HIDDEN)
    assert jax.tree.structure(drawn_now) == jax.tree.structure(state.params.cell)


def test_new_weights_follow_the_key():
    for name in ("linen LSTMCell", "nnx GRUCell", "haiku LSTM", "equinox LSTMCell"):
        cell = FOREIGN[name]().cell
        a, b = (
            jax.tree.leaves(cell.init(jax.random.key(k), INPUT, HIDDEN)) for k in (0, 1)
        )
        assert any((x != y).any() for x, y in zip(a, b, strict=True)), name


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_memory_begins_in_the_dtype_of_the_weights(name, x64):
    cell, params, _, _ = FOREIGN[name]()
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    carry = cell.init_carry(narrow, (BATCH,))
    assert {leaf.dtype for leaf in jax.tree.leaves(carry)} == {np.dtype("float32")}


def test_equal_modules_and_functions_give_equal_cells():
    assert from_linen(nn.GRUCell(4)) is from_linen(nn.GRUCell(4))
    assert from_linen(nn.GRUCell(4)) != from_linen(nn.GRUCell(5))
    assert from_function(leaky, empty_memory) == from_function(leaky, empty_memory)


def test_an_equinox_module_is_its_own_params(x64):
    module = eqx.nn.LSTMCell(INPUT, HIDDEN, use_bias=False, key=jax.random.key(0))
    cell, xs = from_equinox(module), make_inputs()
    params = eqx.filter(module, eqx.is_inexact_array)
    close(lj.unroll(cell, module, xs)[1], lj.unroll(cell, params, xs)[1], 0)


def test_a_module_of_nnx_with_streams_of_its_own_runs(x64):
    with pytest.warns(UserWarning, match="keep_rngs"):
        module = nnx.LSTMCell(INPUT, HIDDEN, keep_rngs=True, rngs=nnx.Rngs(0))
    params = drawn(nnx.state(module, nnx.Param))
    plain = from_nnx(nnx.LSTMCell(INPUT, HIDDEN, rngs=nnx.Rngs(0)))
    got = lj.unroll(from_nnx(module), params, make_inputs())[1]
    close(got, lj.unroll(plain, params, make_inputs())[1], 0)


# -- half precision, images, modules as params -----------------------------------------


def value_and_slopes(loop, params, xs):
    weights = jnp.cos(jnp.arange(1.0, 4.0))

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


HALF = jnp.bfloat16


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.SimpleCell])
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
    all_close(halves, jax.tree.map(lambda leaf: leaf.astype(HALF), whole), 0)


def test_nnx_cells_in_half_precision():
    module = nnx.LSTMCell(INPUT, HIDDEN, param_dtype=HALF, rngs=nnx.Rngs(0))
    cell, xs = from_nnx(module), make_inputs().astype(HALF)
    params = nnx.state(module, nnx.Param)
    ys = lj.unroll(cell, params, xs)[1]
    assert ys.dtype == HALF
    wanted: Any = nnx.RNN(module, time_major=True)(xs)
    close(ys.astype(float), wanted.astype(float), 1e-2)


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
    params = drawn(cell.init(jax.random.key(0), INPUT, HIDDEN))
    resets = jnp.zeros((TIME, BATCH), bool).at[1, 0].set(True)
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
        return nnx.value_and_grad(lambda module: jnp.sum(jnp.sin(run(module))))(module)

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


# -- what is refused ----------------------------------------------------------------


def refusal(action):
    with pytest.raises((ValueError, TypeError, ImportError)) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", [n for n in ONE_OF_EACH if n != "function"])
def test_params_of_another_structure_or_shape_are_refused(name):
    cell, params, _, _ = FOREIGN[name]()
    xs, key = jnp.ones((TIME, BATCH, INPUT)), jax.random.key(0)
    message = refusal(lambda: lj.unroll(cell, lj.LSTM.init(key, 3, 5), xs))
    assert message.startswith("params: ")
    assert f"{cell.name!r} wants " in message
    wider = jax.tree.map(lambda leaf: jnp.ones((*leaf.shape[:-1], 9)), params)
    message = refusal(lambda: lj.unroll(cell, wider, xs))
    assert message.startswith("params: ")
    assert f"9); {cell.name!r} wants (" in message or "9,); " in message


def test_params_name_what_is_missing_and_what_is_too_much():
    cell, params, _, _ = FOREIGN["linen LSTMCell"]()
    xs = jnp.ones((TIME, BATCH, INPUT))
    inner = params["params"]
    less = {"params": {k: v for k, v in inner.items() if k != "hf"}}
    assert "'params/hf/bias' is missing" in refusal(lambda: lj.unroll(cell, less, xs))
    more = {"params": {**inner, "aa": inner["hf"]}}
    message = refusal(lambda: lj.unroll(cell, more, xs))
    assert message.startswith("params: got 'params/aa/bias'; 'LSTMCell' wants params/")
    assert refusal(lambda: lj.unroll(cell, inner, xs)).startswith(
        "params: got 'hf/bias'"
    )


@pytest.mark.parametrize("name", [n for n in ONE_OF_EACH if n != "function"])
def test_inputs_of_another_width_are_refused(name):
    cell, params, _, _ = FOREIGN[name]()
    message = refusal(lambda: lj.unroll(cell, params, jnp.ones((TIME, BATCH, 8))))
    assert message.startswith(("x: the last axis is 8", "params: "))
    assert "3" in message


def with_an_activation():
    """A cell of a user's own, whose params are a module with a function for a leaf."""

    def step(module, h, x):
        h = jax.vmap(module)(jnp.concatenate([h, x], -1))
        return h, h

    cell = from_function(step, lambda _, batch: jnp.zeros((*batch, HIDDEN)))
    return cell, eqx.nn.MLP(HIDDEN + INPUT, HIDDEN, 2, 1, key=jax.random.key(0))


def test_a_module_goes_without_what_is_no_array_and_gets_it_back_in_the_step():
    cell, module = with_an_activation()
    params, rest = eqx.partition(module, eqx.is_array)
    xs, start = make_inputs(), jnp.zeros((BATCH, HIDDEN))
    whole = from_function(
        lambda params, h, x: cell.step(eqx.combine(params, rest), h, x), cell.init_carry
    )
    close(lj.unroll(whole, params, xs)[1], lj.scan(cell.step, module, start, xs)[1], 0)


def in_two_dtypes(name):
    cell, params, _, _ = FOREIGN[name]()
    params = jax.tree.map(lambda leaf: leaf.astype(HALF), params)
    with jax.numpy_dtype_promotion("standard"):
        lj.unroll(cell, params, jnp.ones((TIME, BATCH, INPUT)))


NO_ADAPTER = {
    "class": (lambda: from_linen(nn.LSTMCell), "module: got the class LSTMCell; it"),
    "layer": (lambda: from_linen(nn.Dense(3)), "module: got Dense; it must be an RNN"),
    "nnx": (lambda: from_nnx(nn.LSTMCell(3)), "module: got LSTMCell; it must be"),
    "equinox": (
        lambda: from_equinox(eqx.nn.Identity()),
        "module: got Identity; it must be an equinox.nn.LSTMCell or GRUCell",
    ),
    "no init": (
        lambda: from_function(leaky, empty_memory).init(jax.random.key(0), 3, 5),
        "init: got None; from_function must be given one to draw new weights",
    ),
    "no make": (
        lambda: from_equinox(eqx.nn.GRUCell(3, 5, key=jax.random.key(0))).init(0, 3, 5),
        "make: got None; from_equinox must be given one to draw new weights",
    ),
    "inputs of a module": (
        lambda: made_for(8, from_nnx).init(jax.random.key(0), 3, HIDDEN),
        "input_size: got 3; it must be 8, with which 'GRUCell' was made",
    ),
    "units of a module": (
        lambda: made_for(8, from_equinox).init(jax.random.key(0), 8, 7),
        "hidden_size: got 7; it must be 5, with which 'LSTMCell' was made",
    ),
    "features": (
        lambda: from_linen(nn.GRUCell(5)).init(jax.random.key(0), 3, 4),
        "hidden_size: got 4; it must be 5, with which 'GRUCell' was made",
    ),
    "width": (
        lambda: FOREIGN["haiku LSTM"]().cell.init(jax.random.key(0), 3, 4),
        "hidden_size: got 4; it must be 5, with which 'LSTM' was made",
    ),
    "carry": (
        lambda: lj.unroll(
            from_function(leaky, lambda params, batch: jnp.zeros(5)),
            {},
            np.ones((2, 3, 1)),
        ),
        "init_carry: got a leaf of shape (5,) for the batch_shape (3,); it must be",
    ),
    "images": (
        lambda: from_linen(nn.ConvLSTMCell(5, (3, 3))),
        "space: got (); it must have 2 sizes, of the axes that one input of ConvLSTM",
    ),
    "no images": (
        lambda: from_linen(nn.GRUCell(5), space=(28, 28)),
        "space: got (28, 28); it must have 0 sizes",
    ),
    "a size of images": (
        lambda: from_linen(nn.ConvLSTMCell(5, (3, 3)), space=28),
        "space: got 28; it must be a tuple, such as (28, 28)",
    ),
    "resets inside": (
        lambda: from_haiku(lambda: hk.DeepRNN([hk.ResetCore(hk.LSTM(5))])).init(
            jax.random.key(0), 2, 5
        ),
        "make: got a ResetCore, which reads (x, flags); it must make the core inside, "
        "and lj.unroll(..., resets=flags) resets it",
    ),
    "half precision": (
        lambda: in_two_dtypes("haiku GRU"),
        "carry: 'GRU' makes float32 of its bfloat16 memory; xs, params and what the "
        "module computes in must have one dtype: give xs.astype(bfloat16), or params",
    ),
    "no array": (
        lambda: lj.unroll(*with_an_activation(), jnp.ones((TIME, BATCH, INPUT))),
        "params: leaf .activation is custom_jvp; it must be an array: keep the rest",
    ),
    "no array in a layer": (
        lambda: lj.unroll(
            lj.stack(with_an_activation()[0]),
            (with_an_activation()[1],),
            jnp.ones((TIME, BATCH, INPUT)),
        ),
        "params: leaf [0].activation is custom_jvp; it must be an array",
    ),
    "missing": (
        lambda: library("no_such_library", "no-such-library"),
        "no_such_library: not installed; it is part of the package no-such-library",
    ),
}


@pytest.mark.parametrize("case", NO_ADAPTER)
def test_what_no_adapter_takes_is_refused_in_one_line(case):
    action, start = NO_ADAPTER[case]
    assert refusal(action).startswith(start)


def test_the_library_imports_no_other_library():
    peers = "{'haiku', 'equinox', 'flax'} & set(sys.modules)"
    modules = "linen nnx haiku equinox function".split()
    lines = ["import sys", *(f"import lstm_jax.adapters.{m}" for m in modules)]
    code = "; ".join([*lines, f"sys.exit(bool({peers}))"])
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
