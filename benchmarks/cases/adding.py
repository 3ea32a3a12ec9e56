"""One update on the adding problem, in JAX: our task, and a model as our trainer's."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import optax

import lstm_jax as lj
from benchmarks import devices
from benchmarks.shapes import Shape
from benchmarks.sides import Setting
from lstm_jax import readouts
from lstm_jax.training.models import ModelParams, init_model

TASK = lj.TASKS["adding"]
RATE = 1e-3
LARGEST_NORM = 1.0

optimizer = optax.chain(optax.clip_by_global_norm(LARGEST_NORM), optax.adam(RATE))


class State(NamedTuple):
    """What one update passes to the next."""

    model: ModelParams
    opt_state: Any
    key: Any


def init_state(key: jax.Array, shape: Shape) -> State:
    """Draws a model and begins its training."""
    key_model, key_data = jax.random.split(key)
    sizes = (TASK.input_size, TASK.output_size)
    model = init_model(key_model, lj.LSTM, *sizes, hidden_size=shape.hidden)
    return State(model, optimizer.init(model), key_data)


def loss(model: ModelParams, batch: lj.Batch) -> jax.Array:
    """Returns the mean squared error."""
    _, ys = lj.unroll(lj.LSTM, model.cell, batch.inputs)
    # All sequences have the same length, and so end at the same step.
    return TASK.loss(readouts.linear(model.readout, ys[-1]), batch)


def loss_and_gradient(setting: Setting) -> Callable:
    """Returns `(model, batch) -> (loss, gradient)`, the batch over the devices."""

    def function(model, batch):
        return devices.mean(jax.value_and_grad(loss)(model, batch), setting)

    inputs, rows = (cast(Any, devices.rows(axis)) for axis in (1, 0))
    batch_specs = lj.Batch(inputs, targets=rows, weights=rows, lengths=rows)
    return devices.split(function, setting, (devices.WHOLE, batch_specs), devices.WHOLE)


def step(shape: Shape, setting: Setting) -> Callable[[State], tuple[State, jax.Array]]:
    """Returns one update: draw the batch, loss, gradient, clip, Adam.

    Every device draws its own part of the batch.
    """
    part = shape.batch // setting.devices

    def function(model, keys):
        batch = TASK.sample(keys[0], part, shape.time)
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
