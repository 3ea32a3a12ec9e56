"""Small networks with gates, their weights in files, and what is said of bad ones."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import lstm_jax as lj
from experiments.common.cli import ConfigError
from lstm_jax.training.checkpoints import named_arrays

INPUT, HIDDEN, LAG = 2, 3, 6
SMALL: dict[str, Any] = {"lag": LAG, "num_examples": 2}


def lstm_params(forget_biases):
    """All weights zero, so that every gate is a constant: f = σ(b)."""
    hidden = len(forget_biases)
    none, b = np.zeros(hidden, np.float32), np.asarray(forget_biases, np.float32)
    return lj.LSTMParams(
        w_ih=jnp.zeros((INPUT, 4 * hidden)),
        w_hh=jnp.zeros((hidden, 4 * hidden)),
        b=jnp.concatenate([none, b, none, none]),
    )


def gru_params(update_biases):
    hidden = len(update_biases)
    none, b = np.zeros(hidden, np.float32), np.asarray(update_biases, np.float32)
    return lj.GRUParams(
        w_ih=jnp.zeros((INPUT, 3 * hidden)),
        w_hh=jnp.zeros((hidden, 3 * hidden)),
        b=jnp.concatenate([none, b, none]),
        b_hn=jnp.zeros(hidden),
    )


def save_npz(path, tree):
    arrays: Any = named_arrays(tree)
    np.savez(path, **arrays)
    return str(path)


def save_torch(path, tensors):
    safetensors.numpy.save_file(
        {key: np.ascontiguousarray(value) for key, value in tensors.items()}, path
    )
    return str(path)


def module_arrays(module, prefix=""):
    return {f"{prefix}{k}": v.numpy() for k, v in module.state_dict().items()}


def refusal(action):
    with pytest.raises(ConfigError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message
