"""A task that a user wrote; the nature show takes seconds to compile."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from lstm_jax.tasks.nature_show import cross_entropy
from lstm_jax.training.loop import init_train_state

STEPS: dict[str, Any] = {"batch_size": 16, "length": 4}


def draw_signs(key, batch_size, max_length, length=None):
    """Noise; the question at the end is the sign of the first number."""
    length = max_length if length is None else length
    inputs = jax.random.normal(key, (max_length, batch_size, 2), jnp.float32)
    return lj.Batch(
        inputs=jnp.where(jnp.arange(max_length)[:, None, None] < length, inputs, 0),
        targets=(inputs[0, :, 0] > 0).astype(jnp.int32),
        weights=jnp.ones((batch_size,), jnp.float32),
        lengths=jnp.full((batch_size,), length, jnp.int32),
    )


SIGNS = lj.Task(
    name="signs",
    input_size=2,
    output_size=2,
    answers="last_step",
    sample=draw_signs,
    sample_test=draw_signs,
    loss=cross_entropy,
    accuracy=lambda outputs, batch: jnp.mean(
        (outputs[:, 1] > outputs[:, 0]) == (batch.targets == 1)
    ),
    floor=lambda length: np.log(2),
)


def momentum(learning_rate=0.1, clip=1e9):
    """Descent whose first update is the gradient itself, times the learning rate."""
    return optax.chain(
        optax.clip_by_global_norm(clip), optax.sgd(learning_rate, momentum=0.9)
    )


def numbers_of(state):
    """Everything in a state but its key, which NumPy cannot read."""
    return state._replace(key=jax.random.key_data(state.key))


def small_start(key, optimizer, task=SIGNS):
    def start(key):
        return init_train_state(key, lj.RNN, task, optimizer, hidden_size=2)

    return jax.jit(start)(key)
