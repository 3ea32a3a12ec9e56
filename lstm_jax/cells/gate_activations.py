"""What a gate is made of: the logistic function, or the clipped lines that save it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.checks import check_choice


def hard_sigmoid(z: Array) -> Array:
    """Returns z / 6 + 1/2 clipped to [0, 1]: PyTorch, JAX and Keras from version 3."""
    return jnp.clip(z / 6 + 0.5, 0, 1)


def hard_sigmoid_keras2(z: Array) -> Array:
    """Returns z / 5 + 1/2 clipped to [0, 1]: Keras before version 3, and ONNX."""
    return jnp.clip(z / 5 + 0.5, 0, 1)


GATE_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_keras2": hard_sigmoid_keras2,
}


def gate_activation_of(name: str) -> Callable[[Array], Array]:
    """Returns the function; refuses another name.

    Raises:
      ValueError: the name is not one of GATE_ACTIVATIONS.
    """
    check_choice("gate_activation", name, GATE_ACTIVATIONS)
    return GATE_ACTIVATIONS[name]
