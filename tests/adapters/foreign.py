"""Cells of other libraries, their weights drawn, and what runs them there."""

from collections.abc import Callable
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

import lstm_jax as lj
from lstm_jax.adapters.equinox import from_equinox
from lstm_jax.adapters.function import from_function
from lstm_jax.adapters.haiku import from_haiku
from lstm_jax.adapters.linen import from_linen
from lstm_jax.adapters.nnx import from_nnx

TIME, BATCH, INPUT, HIDDEN = 3, 2, 3, 5


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
        [jax.device_put(0.7 * rng.standard_normal(leaf.shape)) for leaf in leaves]
    )


def make_inputs():
    drawn = np.random.default_rng(1).standard_normal((TIME, BATCH, INPUT))
    return jax.device_put(drawn)


def new_params(init):
    """What a cell begins with, in shapes and dtypes: nothing is drawn."""
    return jax.eval_shape(lambda key: init(key, INPUT, HIDDEN), jax.random.key(0))


def linen(make, fields=1):
    module = make(features=HIDDEN, param_dtype=default_dtype())
    cell = from_linen(module)

    def loop(variables, xs):
        layer = nn.RNN(module, time_major=True)
        return layer.apply({"params": {"cell": variables["params"]}}, xs)

    return Foreign(cell, drawn(new_params(cell.init)), jax.jit(loop), fields)


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

    return Foreign(from_nnx(module, module_of), params, jax.jit(loop), fields)


def haiku(make, fields=1):
    cell = from_haiku(partial(make, HIDDEN))

    def whole(xs):
        core = make(HIDDEN)
        return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    loop = hk.without_apply_rng(hk.transform(whole)).apply
    return Foreign(cell, drawn(new_params(cell.init)), jax.jit(loop), fields)


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

    return Foreign(from_equinox(module, module_of), params, jax.jit(loop), fields)


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
    return Foreign(cell, drawn(new_params(leaky_params)), jax.jit(loop), 1)


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


def made_for(input_size, adapter):
    """A cell whose module was made with its number of inputs."""

    def make(key):
        if adapter is from_nnx:
            return nnx.GRUCell(input_size, HIDDEN, rngs=nnx.Rngs(key))
        return eqx.nn.LSTMCell(input_size, HIDDEN, key=key)

    return adapter(make(jax.random.key(0)), make)


HALF = jnp.bfloat16


def refusal(action):
    with pytest.raises((ValueError, TypeError, ImportError)) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message
