"""A state without training, and checkpoints of it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lstm_jax.readouts import LinearParams
from lstm_jax.training import checkpoints
from lstm_jax.training.loop import ModelParams, begin_training

CONFIG = {"hidden_size": 3, "clip": 1.0, "forget_bias": None}


HISTORY = {"step": np.arange(4), "loss": np.array([0.1, np.nan, 1e300, 1 / 3])}


def state_of(seed):
    """A state with leaves of several dtypes, and a key; nothing is compiled."""
    random = np.random.default_rng(seed)
    weights = {
        "single": jnp.asarray(random.normal(size=(3, 4)), jnp.float32),
        "half": jnp.asarray(random.normal(size=5), jnp.bfloat16),
    }
    readout = LinearParams(w=weights["single"] + 1, b=jnp.zeros(4))
    params = ModelParams(cell=weights, readout=readout)
    state = begin_training(jax.random.key(seed), params, optax.adam(1e-3))
    numbers = (state.opt_state, state.step, state.diverged_at, state.right_in_a_row)
    changed = jax.tree.map(lambda leaf: leaf + jnp.asarray(seed, leaf.dtype), numbers)
    fields = ("opt_state", "step", "diverged_at", "right_in_a_row")
    return state._replace(**dict(zip(fields, changed, strict=True)))


def save(folder, *steps, keep=3):
    for step in steps:
        checkpoints.save(
            folder, step, state_of(step), config=CONFIG, history=HISTORY, keep=keep
        )


def save_four(folder):
    save(folder, 10, 20, 30, 40)
    return folder


def assert_same_bits(found, wanted):
    found, wanted = map(checkpoints.named_arrays, (found, wanted))
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes(), name
