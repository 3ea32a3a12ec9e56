"""Strings of symbols that are shown, and then asked about, one answer a symbol.

    shown    n symbols    n markers
    asked                 n symbols

A length is in steps, 2 n; of an odd one the last step is empty. Inputs are one-hot: the
symbols, the marker.
"""

import jax.numpy as jnp
from jaxtyping import Array, Int

from lstm_jax.tasks.sampling import ask_every, one_hot, random_symbols, steps
from lstm_jax.tasks.task import Batch
from lstm_jax.types import PRNGKey


def random_strings(
    key: PRNGKey, num_symbols: int, max_length: int, batch_size: int
) -> Int[Array, "half batch"]:
    """Returns symbols, each as likely as another, for half of the steps."""
    return random_symbols(key, (max_length // 2, batch_size), 0, num_symbols)


def ask_behind(
    strings: Int[Array, "half batch"],
    answers: Int[Array, "half batch"],
    num_symbols: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    """Returns a batch of the first length // 2 symbols and of their answers."""
    step, many = steps(max_length), length // 2
    at_place = lambda of, place: of[jnp.clip(place[:, 0], 0, len(of) - 1)]
    shown = jnp.where(step < many, at_place(strings, step), num_symbols)
    asked = at_place(answers, step - many)
    return ask_every(one_hot(shown, num_symbols + 1), asked, 2 * many, step >= many)
