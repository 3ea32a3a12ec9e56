"""Weights for other libraries, in the layouts that `load` reads; `to_torch` for torch.

All return what the library itself would: arrays are those of JAX, may be traced, and
have the dtype they came with.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.adapters.loading import (
    flax_layout,
    haiku_layout,
    keras_layout,
    own_layout,
    torch_layout,
)
from lstm_jax.adapters.modules import library
from lstm_jax.adapters.torch import GATES, described
from lstm_jax.cells.gru import GRUParams
from lstm_jax.cells.gru_reset_before import GRUResetBeforeParams
from lstm_jax.cells.lstm import LSTMParams
from lstm_jax.cells.rnn import RNNParams
from lstm_jax.cells.wrappers.directions import Directions
from lstm_jax.types import Params

FLAX = (LSTMParams, GRUParams, RNNParams)
HAIKU = (LSTMParams, GRUResetBeforeParams, RNNParams)
EQUINOX = (LSTMParams, GRUParams)
KERAS = ONNX = (LSTMParams, GRUParams, GRUResetBeforeParams, RNNParams)


def to_flax(params: Params) -> dict[str, Any]:
    """Returns the variables of a `flax.linen` cell, as its `init` does.

        variables = lj.adapters.to_flax(params)
        carry, y = nn.OptimizedLSTMCell(64).apply(variables, carry, x)

    Args:
      params: of one layer: `LSTMParams` for LSTMCell and OptimizedLSTMCell, whose
        variables are alike, `GRUParams` for GRUCell, `RNNParams` for SimpleCell.

    Returns:
      {"params": {gate: {"kernel": ..., "bias": ...}}}.

    Raises:
      TypeError: `params` are of another kind.
      ValueError: shapes do not fit one another.

    Example:
      >>> params = lj.RNN.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> jax.tree.map(jnp.shape, lj.adapters.to_flax(params)["params"])
      {'h': {'kernel': (4, 4)}, 'i': {'bias': (4,), 'kernel': (3, 4)}}
    """
    return {"params": flax_layout.write_gates(checked_layer(params, FLAX))}


def to_flax_nnx(params: Params) -> dict[str, Any]:
    """Returns the state of a `flax.nnx` cell, for `nnx.update`.

        nnx.update(module, lj.adapters.to_flax_nnx(params))

    Args:
      params: of one layer: `LSTMParams` for OptimizedLSTMCell, `GRUParams` for GRUCell,
        which has no b_hn, `RNNParams` for SimpleCell.

    Returns:
      {"dense_i": {"kernel": ...}, "dense_h": {"kernel": ...}}, one with a "bias".

    Raises:
      TypeError: `params` are of another kind.
      ValueError: shapes do not fit one another, or b_hn is not zero, which `jit` can't
        tell.

    Example:
      >>> from flax import nnx
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> module = nnx.OptimizedLSTMCell(3, 4, rngs=nnx.Rngs(0))
      >>> nnx.update(module, lj.adapters.to_flax_nnx(params))
      >>> bool((module.dense_h.kernel[...] == params.w_hh).all())
      True
    """
    checked = checked_layer(params, FLAX)
    if isinstance(params, GRUParams) and np.any(params.b_hn):
        raise ValueError(
            "params: b_hn is not zero; it must be, for nnx.GRUCell, which has no such "
            "bias; linen's has one, and takes lj.adapters.to_flax(params)"
        )
    return flax_layout.write_dense(checked)


def to_haiku(params: Params) -> dict[str, Any]:
    """Returns the params of a haiku core that is in no other module.

        step = hk.transform(lambda x, state: hk.LSTM(64)(x, state))
        y, state = step.apply(lj.adapters.to_haiku(params), None, x, state)

    hk.LSTM adds 1 to its forget gate, so 1 is taken off here: the sum may be off by the
    rounding of a number near 1.

    Args:
      params: of one layer: `LSTMParams` for hk.LSTM, `GRUResetBeforeParams` for hk.GRU,
        which resets before the product, `RNNParams` for hk.VanillaRNN, whose activation
        is relu: weights of `lj.rnn("relu")`.

    Returns:
      {"lstm/linear": {"w": ..., "b": ...}}, {"gru": {"w_i": ...}} or
      {"vanilla_rnn/linear": ..., "vanilla_rnn/linear_1": ...}.

    Raises:
      TypeError: `params` are of another kind.
      ValueError: shapes do not fit one another.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> jax.tree.map(jnp.shape, lj.adapters.to_haiku(params))
      {'lstm/linear': {'b': (16,), 'w': (7, 16)}}
    """
    return haiku_layout.write(checked_layer(params, HAIKU))


def to_equinox(params: Params) -> Any:
    """Returns an `eqx.nn.LSTMCell` or `eqx.nn.GRUCell` with these weights.

    Args:
      params: of one layer: `LSTMParams` or `GRUParams`.

    Raises:
      ImportError: equinox is not installed.
      TypeError: `params` are of another kind.
      ValueError: shapes do not fit one another.

    Example:
      >>> params = lj.GRU.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> lj.adapters.to_equinox(params)(jnp.ones(3), jnp.zeros(4)).shape
      (4,)
    """
    params = checked_layer(params, EQUINOX)
    equinox = library("equinox", "equinox")
    make = equinox.nn.GRUCell if isinstance(params, GRUParams) else equinox.nn.LSTMCell
    sizes = params.w_ih.shape[0], params.w_hh.shape[0]
    empty = equinox.filter_eval_shape(make, *sizes, key=jax.random.key(0))
    arrays = torch_layout.write_equinox(params)
    of_names = lambda module: [getattr(module, name) for name in arrays]
    return equinox.tree_at(of_names, empty, list(arrays.values()))


def to_keras(params: Params) -> list[Any]:
    """Returns the weights of a Keras layer, for its `set_weights`.

        layer = keras.layers.LSTM(64, return_sequences=True)
        layer.build((None, None, 3))
        layer.set_weights(lj.adapters.to_keras(params))

    Args:
      params: of one layer: `LSTMParams` for LSTM, `GRUParams` for GRU,
        `GRUResetBeforeParams` for GRU(reset_after=False), `RNNParams` for SimpleRNN, or
        `Directions` of two alike for a Bidirectional of it. Activations are not among
        the weights: those of `lj.cells.lstm("hard_sigmoid")` need
        LSTM(recurrent_activation="hard_sigmoid").

    Returns:
      [kernel, recurrent_kernel, bias], of both directions the forward's first.

    Raises:
      TypeError: `params` are of another kind.
      ValueError: shapes do not fit one another.

    Example:
      >>> params = lj.GRU.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> [array.shape for array in lj.adapters.to_keras(params)]
      [(3, 12), (4, 12), (2, 12)]
    """
    if not isinstance(params, Directions):
        return keras_layout.write(checked_layer(params, KERAS))
    sides = Directions(*(checked_layer(one, KERAS) for one in params))
    if type(sides.forward) is not type(sides.backward):
        raise TypeError(f"params: got {described(params)}; both must be alike")
    return keras_layout.write(sides)


def checked_layer(params: Any, kinds: tuple[type, ...]) -> Any:
    """Returns the params of one layer as arrays of JAX."""
    if type(params) not in kinds:
        raise TypeError(
            f"params: got {described(params)}; it must be "
            f"{' or '.join(kind.__name__ for kind in kinds)}, of one layer"
        )
    kind = type(params)
    gates = GATES.get(kind, 3)  # of torch, which has no GRU that resets before
    params = jax.tree.map(jnp.asarray, params)
    try:
        own_layout.checked(params._asdict(), kind, gates)
    except ValueError as error:
        raise ValueError(f"params: {error}") from error
    return params
