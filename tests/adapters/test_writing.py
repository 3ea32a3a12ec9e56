"""Exported weights in the libraries they are for: values, gradients, and back."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.loading import originals
from flax import nnx
from problems import make_params, slow_but

import lstm_jax as lj

HIDDEN, INPUT = originals.HIDDEN, originals.INPUT
GRU_RESET_BEFORE, Directions = lj.cells.GRU_RESET_BEFORE, lj.adapters.Directions
to_flax, to_flax_nnx = lj.adapters.to_flax, lj.adapters.to_flax_nnx
to_haiku, to_keras = lj.adapters.to_haiku, lj.adapters.to_keras


class Export(NamedTuple):
    """A cell, what writes its params, and what the library makes of that."""

    cell: lj.Cell
    write: Any
    run: Any  # written, xs -> ys


def linen(make):
    return lambda written, xs: originals.run_linen(make, written)(xs)


def of_nnx(make):
    return lambda written, xs: originals.run_nnx(make, written)(xs)


def haiku(make):
    return lambda written, xs: originals.run_haiku(make, written)(xs)


def equinox(written, xs):
    return originals.run_equinox(written)(xs)


EXPORTS = {
    "linen.LSTMCell": Export(lj.LSTM, to_flax, linen(nn.LSTMCell)),
    "linen.OptimizedLSTMCell": Export(lj.LSTM, to_flax, linen(nn.OptimizedLSTMCell)),
    "linen.GRUCell": Export(lj.GRU, to_flax, linen(nn.GRUCell)),
    "linen.SimpleCell": Export(lj.RNN, to_flax, linen(nn.SimpleCell)),
    "nnx.OptimizedLSTMCell": Export(
        lj.LSTM, to_flax_nnx, of_nnx(nnx.OptimizedLSTMCell)
    ),
    "nnx.SimpleCell": Export(lj.RNN, to_flax_nnx, of_nnx(nnx.SimpleCell)),
    "hk.LSTM": Export(lj.LSTM, to_haiku, haiku(hk.LSTM)),
    "hk.GRU": Export(GRU_RESET_BEFORE, to_haiku, haiku(hk.GRU)),
    "hk.VanillaRNN": Export(lj.rnn("relu"), to_haiku, haiku(hk.VanillaRNN)),
    "eqx.nn.LSTMCell": Export(lj.LSTM, lj.adapters.to_equinox, equinox),
    "eqx.nn.GRUCell": Export(lj.GRU, lj.adapters.to_equinox, equinox),
}
FEW = ("linen.GRUCell", "nnx.OptimizedLSTMCell", "hk.LSTM", "hk.GRU", "eqx.nn.GRUCell")


def value_and_gradients(run, params, dtype):
    """ys, and the gradients of one number made of them by params and xs."""

    def loss(params, xs):
        ys = run(params, xs)
        return jnp.sum(ys * originals.weighting(ys.shape).astype(dtype)), ys

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    return compiled(params, jnp.asarray(originals.inputs(dtype)))


def assert_same(theirs, ours, params, dtype: Any = np.float64, atol=1e-12):
    """Compares two runs `params, xs -> ys`: values and all gradients."""
    jax.tree.map(
        lambda found, wanted: np.testing.assert_allclose(found, wanted, 0, atol),
        value_and_gradients(theirs, params, dtype),
        value_and_gradients(ours, params, dtype),
    )


def ours_of(cell):
    return lambda params, xs: lj.unroll(cell, params, xs)[1]


def assert_equal(found, wanted):
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.parametrize("case", slow_but(FEW, EXPORTS))
def test_the_library_gives_our_values_and_gradients(case, x64):
    cell, write, run = EXPORTS[case]
    params = make_params(cell, INPUT, HIDDEN)
    assert_same(lambda params, xs: run(write(params), xs), ours_of(cell), params)


@pytest.mark.parametrize("case", EXPORTS)
def test_written_weights_load_as_they_were(case, x64):
    cell, write, _ = EXPORTS[case]
    params = make_params(cell, INPUT, HIDDEN)
    if case == "hk.LSTM":  # 1 comes off the forget gate: numbers that lose no bit
        params = params._replace(b=jnp.round(params.b * 64) / 64)
    loaded = lj.adapters.load(write(params))
    assert loaded.cell == cell
    assert_equal(loaded.params, params)


def test_a_gru_of_nnx_has_no_bias_inside(x64):
    params = make_params(lj.GRU, INPUT, HIDDEN)
    with pytest.raises(ValueError, match=r"b_hn is not zero; .* nnx\.GRUCell"):
        to_flax_nnx(params)
    zeros: Any = np.zeros(HIDDEN)
    without = lambda some: lj.GRUParams(*some, b_hn=zeros)
    theirs = lambda some, xs: of_nnx(nnx.GRUCell)(to_flax_nnx(without(some)), xs)
    ours = lambda some, xs: lj.unroll(lj.GRU, without(some), xs)[1]
    assert_same(theirs, ours, params[:3])
    loaded = lj.adapters.load(to_flax_nnx(without(params[:3])))
    assert_equal(loaded.params, without(params[:3]))


def keras_layer(case):
    from keras import layers

    hard: Any = {"reset_after": False, "recurrent_activation": "hard_sigmoid"}
    cell, make, options = {
        "LSTM": (lj.LSTM, layers.LSTM, {}),
        "GRU": (lj.GRU, layers.GRU, {}),
        "GRU, reset before, hard": (
            lj.cells.gru_reset_before("hard_sigmoid"),
            layers.GRU,
            hard,
        ),
        "SimpleRNN": (lj.RNN, layers.SimpleRNN, {}),
    }[case]
    return cell, make(HIDDEN, return_sequences=True, **options)


KERAS = ("LSTM", "GRU", "GRU, reset before, hard", "SimpleRNN")


def drawn(cell):
    init = partial(cell.init, input_size=INPUT, hidden_size=HIDDEN)
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(jnp.float32, originals.drawn(shapes))


def run_keras(layer):
    def run(params, xs):
        rest = [variable.value for variable in layer.non_trainable_variables]
        ys, _ = layer.stateless_call(to_keras(params), rest, jnp.swapaxes(xs, 0, 1))
        return jnp.swapaxes(ys, 0, 1)

    return run


@pytest.mark.parametrize("case", slow_but(["GRU"], KERAS))
def test_keras_gives_our_values_and_gradients(case):
    cell, layer = keras_layer(case)
    params = drawn(cell)
    layer.build((None, None, INPUT))
    layer.set_weights(to_keras(params))
    assert_same(run_keras(layer), ours_of(cell), params, np.float32, 1e-5)
    loaded = lj.adapters.load(layer)
    assert loaded.cell == cell
    assert_equal(loaded.params, params)


def test_keras_takes_both_directions():
    from keras import layers

    one = layers.GRU(HIDDEN, return_sequences=True)
    layer = layers.Bidirectional(one, name="both")
    layer.build((None, None, INPUT))
    forward = drawn(lj.GRU)
    both = Directions(forward, jax.tree.map(np.cos, forward))
    layer.set_weights(to_keras(both))
    loaded = lj.adapters.load(layer)
    assert_equal(loaded.params, both)

    @jax.jit
    def run(xs):
        return layer(xs.swapaxes(0, 1)).swapaxes(0, 1), lj.adapters.run(loaded, xs)[1]

    np.testing.assert_allclose(*run(originals.inputs(np.float32)), atol=1e-5)


LSTM = lj.LSTM.init(jax.random.key(0), 3, 4)
GRU = lj.GRU.init(jax.random.key(0), 3, 4)
REFUSED = {
    "several layers": (to_flax, (LSTM, LSTM), r"got tuple\(LSTMParams, LSTMParams\); "),
    "directions": (to_haiku, Directions(LSTM, LSTM), r"got Directions\(.*one layer"),
    "another gru": (to_haiku, GRU, "got GRUParams; it must be LSTMParams or GRUReset"),
    "rnn": (lj.adapters.to_equinox, lj.RNN.init(jax.random.key(0), 3, 4), "RNNParams"),
    "a cell": (to_flax_nnx, lj.LSTM, "params: got Cell; it must be LSTMParams or "),
    "two kinds": (to_keras, Directions(LSTM, GRU), "both must be alike"),
    "shapes": (
        to_keras,
        LSTM._replace(b=jnp.zeros(3)),
        r"params: b has shape \(3,\); it must be \(16,\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_params_are_refused(case):
    write, params, message = REFUSED[case]
    with pytest.raises((TypeError, ValueError), match=message):
        write(params)
