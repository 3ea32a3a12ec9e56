"""An LSTM layer of every JAX library, with the same weights.

A `Layer` is made of pure functions. `copy` converts OUR weights to the library's
layout; it is affine, so its transpose converts the library's gradients back, and the
way back need not be written. PyTorch is in `benchmarks/peers/pytorch.py`.

Every library gets what suits it best: time-major arrays if it takes them, and nnx split
once, outside the compiled program. It is imported where it is used: it may be absent.
"""

import os
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import lstm_jax as lj
from benchmarks.shapes import Shape


class Layer(NamedTuple):
    """A layer of one library.

    Attributes:
      name: of library and cell.
      copy: our weights -> the library's.
      apply: `(weights, xs) -> ys`, by the library's own loop.
      step: `(weights, carry, x) -> (carry, y)`, the library's cell; None if it can't
        be used in another loop.
      start: `batch -> carry`, of zeros.
      batch_axis: of xs and ys; 0 means (batch, time, features).
    """

    name: str
    copy: Callable[[Any], Any]
    apply: Callable[[Any, Any], Any]
    step: Callable[[Any, Any, Any], tuple[Any, Any]] | None = None
    start: Callable[[int], Any] | None = None
    batch_axis: int = 1


def ours(**options: Any) -> Layer:
    """This library; `unroll` takes the options."""
    name = " ".join(["lstm_jax", *(str(value) for value in options.values())])

    def apply(params, xs):
        return lj.unroll(lj.LSTM, params, xs, **options)[1]

    return Layer(name, copy=lambda params: params, apply=apply)


def ours_otherwise() -> list[Layer]:
    """This library without its engine."""
    return [ours(implementation="plain")]


def linen_layer(shape: Shape, cell_type: str) -> Layer:
    """Flax linen: `nn.RNN` around a cell."""
    import flax.linen as nn

    cell = getattr(nn, cell_type)(features=shape.hidden)
    rnn = nn.RNN(cell, time_major=True)

    def apply(weights, xs):
        return rnn.apply({"params": {"cell": weights}}, xs)

    def step(weights, carry, x):
        return cell.apply({"params": weights}, carry, x)

    name = f"Flax linen {cell_type}"
    return Layer(name, _kernels_by_gate, apply, step, partial(_zeros, shape))


def nnx_layer(shape: Shape, cell_type: str) -> Layer:
    """Flax nnx: `nnx.RNN` around a cell."""
    from flax import nnx

    cell = getattr(nnx, cell_type)(shape.input, shape.hidden, rngs=nnx.Rngs(0))
    cell_graph, cell_weights = nnx.split(cell)
    rnn_graph, rnn_weights, rest = nnx.split(
        nnx.RNN(cell, time_major=True), nnx.Param, ...
    )
    copy = partial(_kernels_by_gate, input_forget="if_")
    if cell_type == "OptimizedLSTMCell":
        copy = _nnx_optimized

    def apply(weights, xs):
        weights = _with_values(rnn_weights, {"cell": weights})
        return nnx.merge(rnn_graph, weights, _copied(rest))(xs)

    def step(weights, carry, x):
        return nnx.merge(cell_graph, _with_values(cell_weights, weights))(carry, x)

    name = f"Flax nnx {cell_type}"
    return Layer(name, copy, apply, step, partial(_zeros, shape))


def haiku_layer(shape: Shape) -> Layer:
    """Haiku: `hk.dynamic_unroll(hk.LSTM)`."""
    import haiku as hk

    def whole(xs):
        core = hk.LSTM(shape.hidden)
        return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    def one_step(x, carry):
        return hk.LSTM(shape.hidden)(x, carry)

    def copy(params):
        # Haiku stacks i, g, f, o and adds 1 to the input of its forget gate.
        i, f, g, o = (jnp.concatenate(gate[1:3]) for gate in _by_gate(params))
        b_i, b_f, b_g, b_o = jnp.split(params.b, 4)
        return {
            "w": jnp.concatenate([i, g, f, o], axis=-1),
            "b": jnp.concatenate([b_i, b_g, b_f - 1, b_o]),
        }

    def apply(weights, xs):
        return hk.transform(whole).apply({"lstm/linear": weights}, None, xs)

    def step(weights, carry, x):
        transformed = hk.transform(one_step)
        y, carry = transformed.apply({"lstm/linear": weights}, None, x, carry)
        return carry, y

    def start(batch):
        hidden, cell = _zeros(shape, batch)
        return hk.LSTMState(hidden=hidden, cell=cell)

    return Layer("Haiku LSTM", copy, apply, step, start)


def equinox_layer(shape: Shape) -> Layer:
    """Equinox: `lax.scan` over a vmapped `eqx.nn.LSTMCell`."""
    import equinox as eqx

    cell = eqx.nn.LSTMCell(shape.input, shape.hidden, key=jax.random.key(0))

    def copy(params):
        return {"ih": params.w_ih.T, "hh": params.w_hh.T, "b": params.b}

    def step(weights, carry, x):
        values = (weights["ih"], weights["hh"], weights["b"])
        filled = eqx.tree_at(lambda c: (c.weight_ih, c.weight_hh, c.bias), cell, values)
        carry = jax.vmap(filled)(x, carry)
        return carry, carry[0]

    def apply(weights, xs):
        carry = _zeros(shape, xs.shape[1])
        return jax.lax.scan(partial(step, weights), carry, xs)[1]

    return Layer("Equinox LSTMCell", copy, apply, step, partial(_zeros, shape))


def keras_layer(shape: Shape) -> Layer | None:
    """Keras on JAX: `keras.layers.LSTM`; None if Keras is not installed."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        import keras
    except ImportError:
        return None
    if keras.config.backend() != "jax":
        return None
    layer = keras.layers.LSTM(shape.hidden, return_sequences=True)
    layer.build((None, shape.time, shape.input))
    others = [variable.value for variable in layer.non_trainable_variables]

    def apply(weights, xs):
        return layer.stateless_call(weights, others, xs)[0]

    return Layer("Keras LSTM", copy=list, apply=apply, batch_axis=0)


def library_cells(shape: Shape) -> list[Layer]:
    """The JAX libraries whose cells can be used in another loop."""
    return _installed(LIBRARIES, shape)


def jax_layers(shape: Shape) -> list[Layer]:
    """Every JAX library that is installed."""
    keras = keras_layer(shape)
    if keras is None:
        print("Keras on JAX is not installed: left out (pip install keras)")
    return library_cells(shape) + ([] if keras is None else [keras])


Builder = Callable[[Shape], Layer]
FASTEST: dict[str, list[Builder]] = {
    "flax": [
        partial(linen_layer, cell_type="OptimizedLSTMCell"),
        partial(nnx_layer, cell_type="OptimizedLSTMCell"),
    ],
    "equinox": [equinox_layer],
}
LIBRARIES: dict[str, list[Builder]] = {
    "flax": [
        partial(linen_layer, cell_type="OptimizedLSTMCell"),
        partial(linen_layer, cell_type="LSTMCell"),
        partial(nnx_layer, cell_type="OptimizedLSTMCell"),
        partial(nnx_layer, cell_type="LSTMCell"),
    ],
    "haiku": [haiku_layer],
    "equinox": [equinox_layer],
}


def fastest_layers(shape: Shape) -> list[Layer]:
    """The fastest cell of each library that is installed."""
    return _installed(FASTEST, shape)


def _installed(libraries: dict[str, list[Builder]], shape: Shape) -> list[Layer]:
    found = []
    for library, builders in libraries.items():
        if find_spec(library) is None:
            print(f"{library} is not installed: left out")
            continue
        found += [build(shape) for build in builders]
    return found


def _by_gate(params: lj.LSTMParams):
    """Yields the letter of each gate with its w_ih, w_hh and b."""
    quarters = (jnp.split(leaf, 4, axis=-1) for leaf in params)
    return zip("ifgo", *quarters, strict=True)


def _kernels_by_gate(params: lj.LSTMParams, input_forget: str = "if") -> Any:
    """Returns the weights as Flax names them, but for `input_forget`, alone in nnx."""
    weights = {}
    for gate, w_ih, w_hh, b in _by_gate(params):
        weights[input_forget if gate == "f" else f"i{gate}"] = {"kernel": w_ih}
        weights[f"h{gate}"] = {"kernel": w_hh, "bias": b}
    return weights


def _zeros(shape: Shape, batch: int) -> Any:
    """Returns an empty carry, two arrays."""
    return tuple(jnp.zeros((batch, shape.hidden)) for _ in range(2))


def _nnx_optimized(params: lj.LSTMParams) -> Any:
    return {
        "dense_i": {"kernel": params.w_ih},
        "dense_h": {"kernel": params.w_hh, "bias": params.b},
    }


def _copied(state: Any) -> Any:
    """Returns a copy made in this trace: nnx can't write to a state of another one."""
    return jax.tree.map(lambda leaf: leaf, state)


def _with_values(state: Any, values: Any) -> Any:
    """Returns a copy of an nnx state with other values."""
    from flax import nnx

    state = _copied(state)
    nnx.replace_by_pure_dict(state, values)
    return state
