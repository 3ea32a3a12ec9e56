"""The LSTM of `jax.experimental.rnn` by itself: what JAX's users have of cuDNN."""

import jax
import jax.numpy as jnp

from benchmarks.peers.layers import Layer
from benchmarks.shapes import Shape
from lstm_jax.cudnn import by_jax, packed


def layers(shape: Shape) -> list[Layer]:
    """Returns the layer; none where there is no GPU."""
    return [layer(shape)] if jax.default_backend() == "gpu" else []


def layer(shape: Shape) -> Layer:
    """Returns the layer, which takes (batch, time, input) and one vector of weights."""

    def apply(weights, xs):
        batch, time, _ = xs.shape
        empty = jnp.zeros((1, batch, shape.hidden))
        lengths = jnp.full(batch, time, jnp.int32)
        sizes = (shape.input, shape.hidden, 1, 0.0, False)
        return by_jax(xs, empty, empty, weights, lengths, *sizes)[0]

    return Layer("jax.experimental.rnn", copy=packed, apply=apply, batch_axis=0)
