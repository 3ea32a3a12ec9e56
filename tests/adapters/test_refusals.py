"""What no adapter takes is refused in one line."""

from pathlib import Path

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.foreign import (
    BATCH,
    FOREIGN,
    HALF,
    HIDDEN,
    INPUT,
    ONE_OF_EACH,
    TIME,
    close,
    empty_memory,
    leaky,
    made_for,
    make_inputs,
    refusal,
)

import lstm_jax as lj
from lstm_jax.adapters.equinox import from_equinox
from lstm_jax.adapters.function import from_function
from lstm_jax.adapters.haiku import from_haiku
from lstm_jax.adapters.linen import from_linen
from lstm_jax.adapters.modules import library
from lstm_jax.adapters.nnx import from_nnx

ROOT = Path(__file__).parents[2]


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
