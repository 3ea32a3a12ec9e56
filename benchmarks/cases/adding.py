"""The adding problem and one update on it, in JAX.

Two of the numbers of a sequence are marked; the answer is their sum.

References:
  Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import lstm_jax as lj
from benchmarks import devices
from benchmarks.shapes import Shape
from benchmarks.sides import Setting

RATE = 1e-3
LARGEST_NORM = 1.0

optimizer = optax.chain(optax.clip_by_global_norm(LARGEST_NORM), optax.adam(RATE))


class Batch(NamedTuple):
    """Numbers with marks (time, batch, 2), and the sum of the marked ones (batch,)."""

    xs: Any
    sums: Any


class Model(NamedTuple):
    """An LSTM whose last output is read by one linear unit."""

    lstm: lj.LSTMParams
    w: Any
    b: Any


class State(NamedTuple):
    """What one update hands to the next."""

    model: Model
    opt_state: Any
    key: Any


def sample(key: jax.Array, time: int, batch: int) -> Batch:
    """Draws numbers in [0, 1), one mark in each half of the time."""
    key_numbers, key_first, key_second = jax.random.split(key, 3)
    numbers = jax.random.uniform(key_numbers, (time, batch))
    first = jax.random.randint(key_first, (batch,), 0, time // 2)
    second = jax.random.randint(key_second, (batch,), time // 2, time)
    times = jnp.arange(time)[:, None]
    marks = ((times == first) | (times == second)).astype(numbers.dtype)
    return Batch(jnp.stack([numbers, marks], -1), jnp.sum(numbers * marks, axis=0))


def init_model(key: jax.Array, shape: Shape) -> Model:
    """Draws a model."""
    key_lstm, key_w = jax.random.split(key)
    return Model(
        lstm=lj.LSTM.init(key_lstm, shape.input, shape.hidden),
        w=shape.hidden**-0.5 * jax.random.normal(key_w, (shape.hidden,)),
        b=jnp.zeros(()),
    )


def init_state(key: jax.Array, shape: Shape) -> State:
    """Draws a model and begins its training."""
    key_model, key_data = jax.random.split(key)
    model = init_model(key_model, shape)
    return State(model, optimizer.init(model), key_data)


def loss(model: Model, batch: Batch) -> jax.Array:
    """Returns the mean squared error."""
    _, ys = lj.unroll(lj.LSTM, model.lstm, batch.xs)
    return jnp.mean((ys[-1] @ model.w + model.b - batch.sums) ** 2)


def loss_and_gradient(setting: Setting) -> Callable:
    """Returns `(model, batch) -> (loss, gradient)`, the batch over the devices."""

    def function(model, batch):
        return devices.mean(jax.value_and_grad(loss)(model, batch), setting)

    batch_specs = Batch(devices.rows(1), devices.rows(0))
    return devices.split(function, setting, (devices.WHOLE, batch_specs), devices.WHOLE)


def step(shape: Shape, setting: Setting) -> Callable[[State], tuple[State, jax.Array]]:
    """Returns one update: draw the batch, loss, gradient, clip, Adam.

    Every device draws its part of the batch.
    """
    part = shape.batch // setting.devices

    def function(model, keys):
        batch = sample(keys[0], shape.time, part)
        return devices.mean(jax.value_and_grad(loss)(model, batch), setting)

    split = devices.split(
        function, setting, (devices.WHOLE, devices.rows(0)), devices.WHOLE
    )

    def update(state):
        key, key_batch = jax.random.split(state.key)
        value, gradient = split(
            state.model, jax.random.split(key_batch, setting.devices)
        )
        # optax raises floats to integer counts, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            changes, opt_state = optimizer.update(
                gradient, state.opt_state, state.model
            )
            model: Any = optax.apply_updates(state.model, changes)
        return State(model, opt_state, key), value

    return update
